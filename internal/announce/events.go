package announce

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// The type "progress" is the last progress of a running campaign that was written to the event stream.
type progress struct {
	counts campaign.Counts
	at     time.Time
}

// progressEvery is the shortest time between two progress events of a campaign.
const progressEvery = time.Second

// Progress writes the counts of a running campaign to the event stream, if they have changed and at
// least progressEvery has passed since the campaign's last progress event. After an error of Redis,
// the next sweep writes these counts.
func (a *Announcer) Progress(ctx context.Context, sum ledger.Summary) error {
	if !sum.FinishedAt.IsZero() {
		delete(a.progress, sum.ID)
		return nil
	}
	last, now := a.progress[sum.ID], time.Now()
	if sum.Total < 2 || sum.Pending == sum.Total || sum.Counts == last.counts || now.Sub(last.at) < progressEvery {
		return nil
	}
	if err := a.write(ctx, *campaignEvent(events.CampaignProgress, sum.State, sum)); err != nil {
		return err
	}
	if a.progress == nil || len(a.progress) >= maxKnown {
		a.progress = map[string]progress{}
	}
	a.progress[sum.ID] = progress{sum.Counts, now}
	return nil
}

// The method "publish" writes the event e to the event stream, unless an event with the given name has
// been announced.
func (a *Announcer) publish(ctx context.Context, name string, e events.Event) error {
	if done, err := a.Ledger.Index().WasAnnounced(ctx, name); err != nil || done {
		return err
	}
	return a.write(ctx, e)
}

// The method "write" appends the event e to the event stream. If the user of Redis has no right to
// write to the stream, the method returns no error, because the log must not depend on this right.
func (a *Announcer) write(ctx context.Context, e events.Event) error {
	err := events.New(a.Ledger.Runner(), 0).Add(ctx, e)
	if redis.IsPermissionError(err) {
		return nil
	}
	return err
}

// campaignEvent returns an event of a campaign with its counts.
func campaignEvent(kind string, state campaign.State, sum ledger.Summary) *events.Event {
	e := &events.Event{Kind: kind, Campaign: sum.ID, State: string(state), Counts: &events.Counts{
		Total: sum.Total, Pending: sum.Pending, Accepted: sum.Accepted, Delivered: sum.Delivered,
		Undelivered: sum.Undelivered, Rejected: sum.Rejected, Unknown: sum.Unknown, Skipped: sum.Skipped,
	}}
	if state == campaign.Paused {
		e.Reason = sum.PausedBy
	}
	return e
}
