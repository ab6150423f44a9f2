// Package announce logs events that all workers see but only one worker should log. These are the start
// and the end of a campaign, pauses, and holds of accounts.
package announce

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/tracing"
)

// Announcer logs each event once for all workers on one Redis. The list in Index names the events
// that were logged. If the worker dies right after it has entered an event, the event is not
// logged. Set the exported fields before the first call. The methods are safe for concurrent use,
// except Accounts, Pause and Progress, which the sweeper calls.
type Announcer struct {
	Ledger *ledger.Ledger
	Log    zerolog.Logger

	mu    sync.Mutex
	known map[string]bool // events known to be in the list in Redis

	progress map[string]progress // the progress of the running campaigns; only the sweeper uses it
	standing map[string]standing // holds and pauses; nil before the list was read
}

// keepEnd and keepHold are how long the list keeps an event. A campaign stays in the open index for
// a few minutes after its end. After these minutes no worker reads the campaign again, so keepEnd
// may be short.
const (
	keepEnd  = time.Hour
	keepHold = 7 * 24 * time.Hour
)

// maxKnown is the maximum number of events that an Announcer remembers.
const maxKnown = 10_000

// The method "first" enters the event in the list, and reports whether the event is new in the list.
// Before that, it writes the parameter e to the event stream, unless e is nil. If the worker dies between
// these two steps, another worker writes e again.
func (a *Announcer) first(ctx context.Context, event string, at time.Time, keep time.Duration, e *events.Event) (bool, error) {
	a.mu.Lock()
	known := a.known[event]
	a.mu.Unlock()
	if known {
		return false, nil
	}
	if e != nil {
		if err := a.publish(ctx, event, *e); err != nil {
			return false, err
		}
	}
	first, err := a.Ledger.Index().Announce(ctx, event, at, keep)
	if err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= maxKnown {
		a.known = map[string]bool{}
	}
	a.known[event] = true
	return first, nil
}

// eventName returns the name of an event in the list. The parameter "what" is the campaign or the
// account. Two holds of one account, or two pauses of one campaign, differ in the parameter "since".
func eventName(kind, what string, since time.Time) string {
	return fmt.Sprintf("%s %s %d", kind, what, since.UnixMilli())
}

// Started logs that the planning of a campaign has begun. The parameter "total" is the number of
// its recipients. A campaign of one message is logged at debug level, by every worker that
// starts to plan it. An error of Redis is logged at debug level, because its only effect is a
// missing log line.
func (a *Announcer) Started(ctx context.Context, id string, total int) {
	if total < 2 {
		a.Log.Debug().Func(tracing.LogID(tracing.ID(ctx))).Str("campaign", id).Msg("campaign of one message started")
		return
	}
	if err := a.started(ctx, id); err != nil {
		a.Log.Debug().Err(err).Str("campaign", id).Msg("could not log the start of the campaign")
	}
}

func (a *Announcer) started(ctx context.Context, id string) error {
	sum, err := a.Ledger.Summary(ctx, id)
	if err != nil {
		return err
	}
	if first, err := a.first(ctx, eventName("started", id, sum.CreatedAt), sum.CreatedAt, time.Since(sum.CreatedAt)+keepEnd, campaignEvent(events.CampaignState, campaign.Sending, sum)); err != nil || !first {
		return err
	}
	e := a.Log.Info().Func(tracing.LogID(tracing.ID(ctx))).Str("campaign", id).Int("recipients", sum.Total).Str("class", string(classOf(sum)))
	if sum.Spec.Via != "" {
		e = e.Str("account", sum.Spec.Via)
	}
	if sum.Canary > 0 {
		e = e.Int("canary", sum.Canary)
	}
	e.Msg("campaign started")
	return nil
}

// EndedNow logs the end of a campaign whose last recipient has just been settled. The parameter
// "total" is the number of its recipients. A campaign of one message is logged at debug level.
// After an error of Redis, the next sweep logs the end.
func (a *Announcer) EndedNow(ctx context.Context, id string, total int) {
	if total < 2 {
		a.Log.Debug().Func(tracing.LogID(tracing.ID(ctx))).Str("campaign", id).Msg("campaign of one message ended")
		return
	}
	sum, err := a.Ledger.Summary(ctx, id)
	if err == nil {
		err = a.Ended(ctx, sum)
	}
	if err != nil {
		a.Log.Debug().Err(err).Str("campaign", id).Msg("could not log the end of the campaign; the sweeper logs it")
	}
}

// Ended logs the end of a campaign with its counts, if the campaign has ended and has more than one
// message.
func (a *Announcer) Ended(ctx context.Context, sum ledger.Summary) error {
	if sum.FinishedAt.IsZero() || sum.Pending > 0 || sum.Total < 2 {
		return nil
	}
	if first, err := a.first(ctx, eventName("ended", sum.ID, sum.FinishedAt), sum.FinishedAt, time.Since(sum.FinishedAt)+keepEnd, campaignEvent(events.CampaignState, sum.State, sum)); err != nil || !first {
		return err
	}
	began := sum.CreatedAt
	if sum.StartAt.After(began) {
		began = sum.StartAt
	}
	took := max(sum.FinishedAt.Sub(began), time.Millisecond)
	counts := a.Log.With().Str("campaign", sum.ID).Str("state", string(sum.State)).Int("recipients", sum.Total)
	if sum.Delivered+sum.Undelivered > 0 {
		counts = counts.Int("delivered", sum.Delivered).Int("undelivered", sum.Undelivered)
	}
	counts = counts.Int("accepted", sum.Accepted).Int("rejected", sum.Rejected).Int("unknown", sum.Unknown).Int("skipped", sum.Skipped)
	for _, reason := range sortedReasons(sum.Reasons) {
		counts = counts.Int("skipped_"+reason, sum.Reasons[reason])
	}
	log := counts.Logger()
	ended := sum.Total - sum.Skipped
	log.Info().Func(tracing.LogID(tracing.ID(ctx))).Int("calls", sum.Calls).Int("segments", sum.Segments).Float64("messages_per_s", perSecond(ended, took)).
		Int64("took_ms", took.Milliseconds()).Msg("campaign ended")
	return nil
}
