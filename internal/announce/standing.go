package announce

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// The type "standing" is a hold or a pause whose beginning was logged, and whose end was not.
type standing struct {
	kind, what string
	since      time.Time
}

// These are the kinds of events that have a beginning and an end.
const (
	held, released  = "held", "released"
	paused, resumed = "paused", "resumed"
)

var ends = map[string]string{held: released, paused: resumed}

// readStanding reads the list of events in Redis. It finds the holds and pauses that have begun
// and have not ended. So a worker that takes over the sweep also logs the end of a hold, even if
// another worker logged its beginning.
func (a *Announcer) readStanding(ctx context.Context) error {
	if a.standing != nil {
		return nil
	}
	events, err := a.Ledger.Index().Announced(ctx)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, e := range events {
		listed[e] = true
	}
	a.standing = map[string]standing{}
	for e := range listed {
		kind, rest, _ := strings.Cut(e, " ")
		what, ms, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(ms, 10, 64)
		if end := ends[kind]; err == nil && end != "" && !listed[end+" "+rest] {
			a.standing[kind+" "+what] = standing{kind, what, time.UnixMilli(n)}
		}
	}
	return nil
}

// The method "begun" records that a hold or a pause began at the time "since". It reports whether this
// worker must log the beginning.
func (a *Announcer) begun(ctx context.Context, kind, what string, since, now time.Time, e *events.Event) (bool, error) {
	first, err := a.first(ctx, eventName(kind, what, since), now, keepHold, e)
	if err == nil {
		a.standing[kind+" "+what] = standing{kind, what, since}
	}
	return first, err
}

// The method "over" forgets a hold or a pause that has ended. The result "since" is when it began. The
// result "first" is true if this worker must log the end, because no other worker has logged it.
func (a *Announcer) over(ctx context.Context, kind, what string, now time.Time, e *events.Event) (since time.Time, first bool, err error) {
	was, ok := a.standing[kind+" "+what]
	if !ok {
		return time.Time{}, false, nil
	}
	first, err = a.first(ctx, eventName(ends[kind], what, was.since), now, keepHold, e)
	if err == nil {
		delete(a.standing, kind+" "+what)
	}
	return was.since, first, err
}

// Accounts logs the beginning of each hold of an account, and its release. The parameter "now" is the
// time by Redis' clock. A hold that begins and ends between two sweeps is not logged.
func (a *Announcer) Accounts(ctx context.Context, holds map[string]accounts.Hold, now time.Time) error {
	if err := a.readStanding(ctx); err != nil {
		return err
	}
	for account, hold := range holds {
		if was, ok := a.standing[held+" "+account]; ok && (!hold.Held() || !was.since.Equal(hold.Since)) {
			since, first, err := a.over(ctx, held, account, now, &events.Event{Kind: events.AccountReleased, Account: account})
			if err != nil {
				return fmt.Errorf("account %s: %w", account, err)
			}
			if first {
				a.Log.Info().Str("account", account).Int64("held_ms", now.Sub(since).Milliseconds()).Msg("account released")
			}
		}
		if !hold.Held() {
			continue
		}
		first, err := a.begun(ctx, held, account, hold.Since, now, &events.Event{Kind: events.AccountHeld, Account: account, Reason: hold.Reason, By: hold.By})
		if err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		if !first {
			continue
		}
		e := a.Log.Warn().Str("account", account).Str("reason", hold.Reason).Str("by", hold.By)
		if hold.Code != "" {
			e = e.Str("code", hold.Code)
		}
		if !hold.Until.IsZero() {
			e = e.Time("next_try", hold.Until)
		}
		if hold.BulkOnly {
			e = e.Bool("bulk_only", true)
		}
		e.Msg("account held")
	}
	return nil
}

// Pause writes a log line and an event after a campaign was paused, and again after it was resumed. If a
// paused campaign was cancelled or has ended, Pause only forgets the pause. The parameter "now" is the
// time by Redis' clock.
func (a *Announcer) Pause(ctx context.Context, sum ledger.Summary, now time.Time) error {
	if err := a.readStanding(ctx); err != nil {
		return err
	}
	was, stands := a.standing[paused+" "+sum.ID]
	isPaused := sum.PausedBy != "" && sum.FinishedAt.IsZero() && sum.StoppedBy == ""
	if stands && (!isPaused || !was.since.Equal(sum.PausedAt)) {
		var e *events.Event
		if sum.FinishedAt.IsZero() && sum.StoppedBy == "" {
			e = campaignEvent(events.CampaignState, sum.State, sum)
		}
		since, first, err := a.over(ctx, paused, sum.ID, now, e)
		if err != nil {
			return err
		}
		if first && e != nil {
			a.Log.Info().Str("campaign", sum.ID).Int64("paused_ms", now.Sub(since).Milliseconds()).Msg("campaign resumed")
		}
	}
	if !isPaused {
		return nil
	}
	first, err := a.begun(ctx, paused, sum.ID, sum.PausedAt, now, campaignEvent(events.CampaignState, campaign.Paused, sum))
	if err != nil || !first {
		return err
	}
	level := zerolog.InfoLevel
	if sum.TooManyRejected != nil || strings.HasPrefix(sum.PausedBy, campaign.PausedByGateway) {
		level = zerolog.WarnLevel
	}
	e := a.Log.WithLevel(level).Str("campaign", sum.ID).Str("reason", sum.PausedBy).Int("pending", sum.Pending)
	if t := sum.TooManyRejected; t != nil {
		e = e.Int("rejected_or_unknown", t.Bad).Int("ended", t.Ended)
	}
	e.Msg("campaign paused")
	return nil
}
