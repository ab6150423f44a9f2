package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

const (
	// sweeperLife is how long the lock of a dead sweeper keeps other workers from sweeping.
	sweeperLife = 3 * time.Second
	// staleUpload is the age at which the sweeper removes an upload that was never committed from
	// the index. The upload's staging area expires an hour earlier.
	staleUpload = 25 * time.Hour
	// retryTakeover is how long a retry must have made no progress before the sweeper continues the
	// retry.
	retryTakeover = 10 * time.Second
	// retireFor is how long a sweep may spend on deleting campaigns past retention.
	retireFor = time.Second
	// retireEvery is how often the sweeper looks for campaigns past retention.
	retireEvery = time.Minute
)

// sweeper holds what one sweep remembers for the next. Nothing depends on this memory: a new
// sweeper rebuilds it.
type sweeper struct {
	retired         time.Time
	retries         map[string]retrySeen
	probes          map[string]*probeTurns
	flows           campaignAccounts
	publishedCounts map[string]int // number of campaigns by account, as last published
	moves           failoverState
}

// probeTurns decides which batch may probe a held account. Each batch gets one turn before any
// batch gets a second one. So a batch whose calls are always refused does not keep the others from
// showing that the account works.
type probeTurns struct {
	since   time.Time // start of the hold
	tried   map[string]bool
	chosen  bool // a batch was chosen in this sweep
	skipped bool // a batch was skipped in this sweep because it has had its turn
}

// next reports whether the batch named work may probe in this sweep. If so, it records that the
// batch has had its turn.
func (p *probeTurns) next(work string) bool {
	if p.chosen {
		return false
	}
	if p.tried[work] {
		p.skipped = true
		return false
	}
	p.chosen, p.tried[work] = true, true
	return true
}

// newSweep prepares for another sweep. If every batch has had its turn, all of them get a turn
// again.
func (p *probeTurns) newSweep() {
	if p.skipped && !p.chosen {
		clear(p.tried)
	}
	p.chosen, p.skipped = false, false
}

type retrySeen struct {
	record string
	since  time.Time
}

// sweep examines every open campaign once. It queues lost wake-ups, opens more batches, completes
// operations that their callers did not finish, and deletes what is past retention. Only one of all
// workers sweeps at a time; two sweeps at once would do no harm.
func (w *Worker) sweep(ctx context.Context) error {
	w.memory.read(ctx, w.cfg.Redis, w.log)
	mine, err := w.ledger.Sweeping(ctx, w.cfg.Name, max(sweeperLife, 3*w.cfg.SweepEvery))
	if err != nil || !mine {
		return err
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return err
	}
	open, err := w.ledger.OpenCampaigns(ctx)
	if err != nil {
		return err
	}
	for _, p := range w.sweeper.probes {
		p.newSweep()
	}
	w.sweeper.moves.newSweep()
	var errs []error
	if err := w.publishCampaignCounts(ctx, open); err != nil {
		errs = append(errs, err)
	}
	for _, e := range open {
		if err := w.sweepCampaign(ctx, e, now); err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", e.ID, err))
		}
	}
	if now.Sub(w.sweeper.retired) > retireEvery {
		more, err := w.retire(ctx, now.Add(-w.cfg.Retention))
		if !more {
			w.sweeper.retired = now
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (w *Worker) sweepCampaign(ctx context.Context, e ledger.IndexEntry, now time.Time) error {
	sum, err := w.ledger.Summary(ctx, e.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return w.ledger.RemoveFromOpenIndex(ctx, e)
	case errors.Is(err, ledger.ErrNewer):
		return nil
	case ledger.AsUnreadable(err) != nil:
		return w.quarantine(ctx, e.ID, "", ledger.AsUnreadable(err), false)
	case err != nil:
		return err
	case sum.State == campaign.Uploading:
		if now.Sub(e.Since) > staleUpload {
			return w.ledger.RemoveFromOpenIndex(ctx, e)
		}
		return nil
	}
	w.sweeper.note(e.ID, sum)
	if sum.RetryRecord != "" {
		// An unreadable part of the retry must not keep the sweep from the rest of the campaign.
		err := w.takeOverRetry(ctx, e.ID, sum.RetryRecord, now)
		if u := ledger.AsUnreadable(err); u != nil {
			err = w.quarantine(ctx, e.ID, "", u, false)
		}
		if err != nil {
			return err
		}
	} else {
		delete(w.sweeper.retries, e.ID)
	}
	if sum.State == campaign.Done || sum.State == campaign.Cancelled && sum.Pending == 0 {
		if sum.RetryRecord != "" {
			return nil
		}
		return w.ledger.RemoveFromOpenIndex(ctx, e)
	}
	if sum.Unreadable != nil {
		return w.quarantine(ctx, e.ID, "", sum.Unreadable, false)
	}
	if sum.StoppedBy != "" && sum.QuarantinedWork > 0 {
		if done, err := w.ledger.WriteOff(ctx, e.ID, w.writeOffAfter()); err != nil || done {
			return err
		}
	}
	return w.sweepOpen(ctx, e.ID, sum, now)
}

// sweepOpen queues those batches of an open campaign that are due.
func (w *Worker) sweepOpen(ctx context.Context, id string, sum ledger.Summary, now time.Time) error {
	c := &loadedCampaign{spec: sum.Spec, total: sum.Total}
	openBatchLimits := map[int]int{}
	if len(sum.Accounts) > 0 {
		var err error
		if c, err = w.campaign(ctx, id); err != nil {
			return err
		}
		for n := range c.snapshot.Streams() {
			openBatchLimits[n] = w.openBatchLimit(ctx, c.snapshot.Stream(n).Account.Name)
		}
	}
	wakes, done, err := w.ledger.TopUp(ctx, id, openBatchLimits)
	if u := ledger.AsUnreadable(err); u != nil {
		err = w.quarantine(ctx, id, "", u, false)
	}
	if err != nil || done {
		return err
	}
	if err := w.wakeAll(ctx, id, c.snapshot, c.spec, wakes); err != nil {
		return err
	}
	errs := []error{w.failOver(ctx, sum, c, openBatchLimits, now)}
	due, err := w.ledger.DueBatches(ctx, id, now)
	errs = append(errs, err)
	for _, x := range due {
		errs = append(errs, w.orQuarantine(ctx, id, x.Batch, w.sweepWork(ctx, sum, c, x, now)))
	}
	return errors.Join(errs...)
}

// sweepWork looks for the wake-up of overdue work. If the wake-up is lost or its worker has fallen
// silent, sweepWork queues a new one.
func (w *Worker) sweepWork(ctx context.Context, sum ledger.Summary, c *loadedCampaign, x ledger.Wake, now time.Time) error {
	id, name := sum.ID, c.firstQueue()
	p := queue.Pointer{Campaign: id, Wake: x.Number}
	if x.Batch != ledger.PlanWork {
		var err error
		if name, err = queueOf(c.snapshot, c.spec, x.Batch); err != nil {
			return &ledger.Unreadable{Campaign: id, Record: "o", Bytes: []byte(x.Batch), Err: err}
		}
		p.Batch = x.Batch
		held, err := w.stillHeld(ctx, sum, c, x.Batch, now)
		if err != nil {
			return err
		}
		if held {
			return w.ledger.Watch(ctx, id, x.Batch, now.Add(heldWatch))
		}
	}
	place, err := w.queue.Find(name, p)
	if err != nil {
		return err
	}
	if place == queue.Waiting {
		return w.ledger.Watch(ctx, id, x.Batch, now.Add(wakeWatch))
	}
	next, ok, err := w.ledger.RaiseWake(ctx, id, x, wakeWatch)
	if err != nil || !ok {
		return err
	}
	w.log.Debug().Str("campaign", id).Str("work", x.Batch).Int("wake", next.Number).Bool("running", place == queue.Running).Msg("lost or silent work queued again")
	return w.wakeOne(ctx, id, c, next)
}

// stillHeld reports whether a batch's account is held, so that waking the batch would be useless.
// If the time of the hold has passed, each sweep wakes one batch, for the probe. It wakes no batch
// of a paused campaign, because such a batch could not make the call. A stopped campaign only has
// to end its doubtful calls, for which the account is not needed.
func (w *Worker) stillHeld(ctx context.Context, sum ledger.Summary, c *loadedCampaign, batch string, now time.Time) (bool, error) {
	if sum.StoppedBy != "" {
		return false, nil
	}
	stream, err := c.snapshot.StreamOf(batch)
	if err != nil {
		return false, err
	}
	name := stream.Account.Name
	a, err := w.ledger.Account(ctx, name)
	if errors.Is(err, ledger.ErrNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !a.Hold.Held() {
		delete(w.sweeper.probes, name)
		return false, nil
	}
	if a.Hold.Until.IsZero() || now.Before(a.Hold.Until) || sum.PausedBy != "" {
		return true, nil
	}
	p := w.sweeper.probes[name]
	if p == nil || !p.since.Equal(a.Hold.Since) {
		p = &probeTurns{since: a.Hold.Since, tried: map[string]bool{}}
		if w.sweeper.probes == nil {
			w.sweeper.probes = map[string]*probeTurns{}
		}
		w.sweeper.probes[name] = p
	}
	return !p.next(sum.ID + " " + batch), nil
}

// takeOverRetry continues a retry that has made no progress for retryTakeover.
func (w *Worker) takeOverRetry(ctx context.Context, id, record string, now time.Time) error {
	if w.sweeper.retries == nil {
		w.sweeper.retries = map[string]retrySeen{}
	}
	seen, ok := w.sweeper.retries[id]
	if !ok || seen.record != record {
		w.sweeper.retries[id] = retrySeen{record: record, since: now}
		return nil
	}
	if now.Sub(seen.since) < retryTakeover {
		return nil
	}
	w.log.Info().Str("campaign", id).Msg("continuing a retry that its caller left unfinished")
	return w.ledger.FinishRetry(ctx, id, record)
}

// retire deletes campaigns that ended before the given time, for at most retireFor. more reports
// whether some of these campaigns may be left.
func (w *Worker) retire(ctx context.Context, before time.Time) (more bool, err error) {
	until := time.Now().Add(retireFor)
	for more = true; more && time.Now().Before(until); {
		if more, err = w.retireSome(ctx, before); err != nil {
			return false, err
		}
	}
	return more, w.retireAccounts(ctx, before)
}

// retireAccounts deletes accounts that no worker has served since the time before. It keeps
// accounts that an operator has held or given a rate.
func (w *Worker) retireAccounts(ctx context.Context, before time.Time) error {
	accounts, err := w.ledger.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.LastSeen.IsZero() || a.LastSeen.After(before) || a.RateSet || a.Hold.Held() && a.Hold.Until.IsZero() {
			continue
		}
		if err := w.ledger.ForgetAccount(ctx, a.Name); err != nil {
			return err
		}
		w.log.Info().Str("account", a.Name).Msg("account deleted: not served within retention")
	}
	return nil
}

// retireSome examines the thousand oldest campaigns of the index and deletes those that ended
// before the given time. some reports whether it deleted any.
func (w *Worker) retireSome(ctx context.Context, before time.Time) (some bool, err error) {
	ids, err := w.ledger.IndexedBefore(ctx, before)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		gone, err := w.ledger.Purge(ctx, id, before)
		if errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
			continue
		}
		if err != nil {
			return false, err
		}
		if gone {
			some = true
			w.log.Info().Str("campaign", id).Msg("campaign deleted: past retention")
		}
	}
	return some, nil
}
