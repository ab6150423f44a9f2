package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/announce"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/quarantine"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/usage"
	"github.com/tuma-sms/tuma/internal/wake"
)

const (
	// sweeperLife is how long the lock of a dead sweeper prevents other workers from sweeping.
	sweeperLife = 3 * time.Second
	// retryTakeover is the time without progress after which the sweeper continues a retry.
	retryTakeover = 10 * time.Second
)

// Sweeper looks for work that is lost or stuck. Set its exported fields before the first sweep. It
// is not safe for concurrent use.
type Sweeper struct {
	Ledger     *ledger.Ledger
	Accounts   *accounts.Store
	Queue      *queue.Queue
	Campaigns  *wake.Campaigns
	Waker      *wake.Waker
	Quarantine *quarantine.Quarantine
	Shares     *pacing.Shares
	Memory     *redisguard.Memory // each sweep first reads how full the memory of Redis is
	Announcer  *announce.Announcer
	// Reports is the index of message IDs, from which the sweeper removes old segments.
	Reports *tracking.Index
	Census  *census.Taker
	// Usage counts what the campaigns have sent.
	Usage *usage.Store
	// Keys counts the messages of each API key. The sweeper subtracts the unsent messages of
	// cancelled campaigns from that count.
	Keys  *keys.Store
	Meter Meter
	Log   zerolog.Logger

	Name   string        // the name of this worker
	Served []string      // the names of the accounts that this worker serves
	Every  time.Duration // the time between two sweeps
	// Retention returns how long a finished campaign is kept.
	Retention func() time.Duration
	// MessageRetention is how long a finished single message is kept.
	MessageRetention time.Duration
	// FailoverAfter returns how long an account must have been held before its work fails over (see
	// HeldLong).
	FailoverAfter func() time.Duration
	// WriteOffAfter is how long a stopped campaign waits for calls with unreadable records. It is
	// longer than any lease.
	WriteOffAfter time.Duration

	remembered
}

// remembered is what one sweep remembers for the next sweep. This data may be lost, because a new
// sweeper rebuilds it.
type remembered struct {
	retired         time.Time
	retries         map[string]retrySeen
	probes          map[string]*probeTurns
	inUse           accountUsage
	publishedCounts map[string]int // number of campaigns by account, as last published
	failovers       failoverState
	counting        bool // a census is taken in this sweep
	invariant       invariantCheck
	skips           skipCount
}

type retrySeen struct {
	record string
	since  time.Time
}

// Sweep examines every open campaign once. It queues lost wake-ups, opens more batches, completes
// operations that their callers did not finish, and deletes campaigns past retention. Only one of
// all workers sweeps at a time, but two sweeps at once would do no harm.
func (s *Sweeper) Sweep(ctx context.Context) error {
	s.Memory.Read(ctx)
	mine, err := s.Ledger.Index().Sweeping(ctx, s.Name, max(sweeperLife, 3*s.Every))
	if err != nil || !mine {
		return err
	}
	now, err := s.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	open, err := s.Ledger.Index().Open(ctx)
	if err != nil {
		return err
	}
	for _, p := range s.probes {
		p.newSweep()
	}
	s.failovers.newSweep()
	errs := []error{s.announceHolds(ctx, now)}
	if err := s.publishCampaignCounts(ctx, open); err != nil {
		errs = append(errs, err)
	}
	s.counting = s.Census.Begin(now)
	for _, e := range open {
		if err := s.sweepCampaign(ctx, e, now); err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", e.ID, err))
		}
	}
	if s.counting {
		errs = append(errs, s.Census.End(ctx))
	}
	if now.Sub(s.retired) > retireEvery {
		more, err := s.retire(ctx, now)
		if !more {
			s.retired = now
		}
		errs = append(errs, err, s.Reports.Expire(ctx))
	}
	return errors.Join(errs...)
}

func (s *Sweeper) sweepCampaign(ctx context.Context, e ledger.IndexEntry, now time.Time) error {
	sum, err := s.Ledger.Summary(ctx, e.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return s.Ledger.Index().Remove(ctx, e)
	case errors.Is(err, ledger.ErrNewer):
		return nil
	case ledger.AsUnreadable(err) != nil:
		s.Meter.Repaired(RepairQuarantine)
		return s.Quarantine.Record(ctx, e.ID, "", ledger.AsUnreadable(err), false)
	case err != nil:
		return err
	case sum.State == campaign.Uploading:
		return nil
	}
	s.inUse.note(e.ID, sum)
	if err := errors.Join(s.observe(ctx, sum), s.Announcer.Pause(ctx, sum, now), s.Announcer.Ended(ctx, sum), s.Announcer.Progress(ctx, sum)); err != nil {
		// A failure of a metric or a log line must not prevent the sweep of the campaign's work.
		s.Log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Str("campaign", e.ID).Msg("could not count a campaign in the metrics or announce its state in the log")
	}
	uncounted := errors.Join(s.Usage.Count(ctx, sum, now), s.Keys.GiveBackCancelled(ctx, sum.Spec.CreatedBy, sum.ID, sum.CreatedAt, sum.Reasons[campaign.ReasonCancelled]))
	if uncounted != nil {
		s.Log.WithLevel(outage.Level(uncounted, zerolog.WarnLevel)).Err(uncounted).Str("campaign", e.ID).Msg("could not count the messages of a campaign; the next sweep counts them")
	}
	if sum.RetryRecord != "" {
		// An unreadable part of the retry must not prevent the sweep of the rest of the campaign.
		err := s.takeOverRetry(ctx, e.ID, sum.RetryRecord, now)
		if u := ledger.AsUnreadable(err); u != nil {
			err = s.Quarantine.Record(ctx, e.ID, "", u, false)
		}
		if err != nil {
			return err
		}
	} else {
		delete(s.retries, e.ID)
	}
	if sum.State == campaign.Done || sum.State == campaign.Cancelled && sum.Pending == 0 {
		if sum.RetryRecord != "" {
			return nil
		}
		if uncounted != nil { // the campaign stays in the open index until its usage is counted
			return uncounted
		}
		return s.ended(ctx, e, sum, now)
	}
	if sum.Unreadable != nil {
		return s.Quarantine.Record(ctx, e.ID, "", sum.Unreadable, false)
	}
	if sum.StoppedBy != "" && sum.QuarantinedWork > 0 {
		if done, err := s.Ledger.WriteOff(ctx, e.ID, s.WriteOffAfter); err != nil || done {
			if done {
				s.Meter.Repaired(RepairWriteOff)
			}
			return err
		}
	}
	return s.sweepOpen(ctx, e.ID, sum, now)
}

// announceHolds logs each hold that has begun or ended since the last sweep.
func (s *Sweeper) announceHolds(ctx context.Context, now time.Time) error {
	holds, err := s.Accounts.Holds(ctx)
	if err != nil {
		return err
	}
	return s.Announcer.Accounts(ctx, holds, now)
}

// sweepOpen opens and moves batches of an open campaign, and queues those of its batches that are due.
func (s *Sweeper) sweepOpen(ctx context.Context, id string, sum ledger.Summary, now time.Time) error {
	c := &wake.Campaign{Spec: sum.Spec, Total: sum.Total}
	openBatchLimits := map[int]int{}
	if len(sum.Accounts) > 0 {
		var err error
		if c, err = s.Campaigns.Get(ctx, id); err != nil {
			return err
		}
		if c.Upload != sum.Upload { // another campaign has taken the ID: the next sweep examines that campaign
			s.Campaigns.Forget(id)
			return nil
		}
		for n := range c.Snapshot.Streams() {
			openBatchLimits[n] = s.Shares.OpenBatchLimit(ctx, c.Snapshot.Stream(n).Account.Name)
		}
	}
	wakes, done, err := s.Ledger.TopUp(ctx, id, openBatchLimits)
	if u := ledger.AsUnreadable(err); u != nil {
		err = s.Quarantine.Record(ctx, id, "", u, false)
	}
	if err != nil || done {
		return err
	}
	if err := s.Waker.All(ctx, id, c, wakes); err != nil {
		return err
	}
	errs := []error{s.failOver(ctx, sum, c, openBatchLimits, now)}
	due, err := s.Ledger.DueBatches(ctx, id, now)
	errs = append(errs, err)
	// The accounts of the batches are not known in two cases: the campaign was planned after the
	// summary was read, or Redis has lost the plan. A later sweep reads the new plan.
	unplanned := len(c.Snapshot.Accounts) == 0 && (!sum.Planned || len(sum.Accounts) > 0)
	if len(due) > 0 && len(c.Snapshot.Accounts) == 0 && !unplanned {
		// A plan without accounts is unreadable. But Redis may also have lost the plan, or the whole
		// campaign, while this sweep was reading.
		again, err := s.Ledger.Summary(ctx, id)
		unplanned = err != nil || again.Upload != sum.Upload || !again.Planned || len(again.Accounts) > 0
	}
	for _, x := range due {
		if x.Batch != ledger.PlanWork && unplanned {
			continue
		}
		errs = append(errs, s.Quarantine.Unreadable(ctx, id, x.Batch, s.sweepWork(ctx, sum, c, x, now)))
	}
	return errors.Join(errs...)
}

// sweepWork looks for the wake-up of overdue work. sweepWork queues a new wake-up in two cases:
// the wake-up is lost, or the worker that took it no longer extends the watch of the work.
func (s *Sweeper) sweepWork(ctx context.Context, sum ledger.Summary, c *wake.Campaign, x ledger.Wake, now time.Time) error {
	id, name := sum.ID, c.FirstQueue()
	p := queue.Pointer{Campaign: id, Wake: x.Number}
	if x.Batch != ledger.PlanWork {
		var err error
		if name, err = c.QueueOf(x.Batch); err != nil {
			return &ledger.Unreadable{Campaign: id, Record: "o", Bytes: []byte(x.Batch), Err: err}
		}
		p.Batch = x.Batch
		held, err := s.stillHeld(ctx, sum, c, x.Batch, now)
		if err != nil {
			return err
		}
		if held {
			return s.Ledger.Watch(ctx, id, x.Batch, now.Add(wake.HeldWatch), sum.StoppedBy != "")
		}
	}
	place, err := s.Queue.Find(ctx, name, p)
	if err != nil {
		return err
	}
	if place == queue.Waiting {
		return s.Ledger.Watch(ctx, id, x.Batch, now.Add(wake.Watch), sum.StoppedBy != "")
	}
	next, ok, err := s.Ledger.RaiseWake(ctx, id, x, wake.Watch)
	if err != nil || !ok {
		return err
	}
	s.Meter.Repaired(RepairWake)
	s.Log.Debug().Str("campaign", id).Str("work", x.Batch).Int("wake", next.Number).Bool("running", place == queue.Running).Msg("work queued again: its task is lost, or no worker has reported progress")
	return s.Waker.One(ctx, id, c, next)
}

// takeOverRetry continues a retry that has made no progress for retryTakeover.
func (s *Sweeper) takeOverRetry(ctx context.Context, id, record string, now time.Time) error {
	if s.retries == nil {
		s.retries = map[string]retrySeen{}
	}
	seen, ok := s.retries[id]
	if !ok || seen.record != record {
		s.retries[id] = retrySeen{record: record, since: now}
		return nil
	}
	if now.Sub(seen.since) < retryTakeover {
		return nil
	}
	s.Meter.Repaired(RepairRetry)
	s.Log.Info().Str("campaign", id).Msg("continuing a retry that its caller left unfinished")
	return s.Ledger.FinishRetry(ctx, id, record)
}
