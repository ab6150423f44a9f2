package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/sweep"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/sms"
)

// plan continues a campaign's planning where the last planner stopped. It ends when all pages are
// planned, the campaign is stopped, another planner has committed the page first, or this worker
// drains. Each page is committed separately, so planning may be interrupted at any point.
func (w *Worker) plan(ctx context.Context, p queue.Pointer) error {
	plan, err := w.ledger.StartPlan(ctx, p.Campaign, func(spec campaign.Spec) (campaign.PlanSnapshot, error) {
		// A snapshot that exists applies, even if this worker does not have the snapshot's accounts
		// and routes.
		if f, _, err := w.ledger.Snapshot(ctx, p.Campaign); err != nil || len(f.Accounts) > 0 {
			return f, err
		}
		return w.takeSnapshot(ctx, p.Campaign, spec)
	})
	if errors.Is(err, ledger.ErrNotFound) || err == nil && plan == nil {
		return nil
	}
	if err != nil {
		return err
	}
	pl, err := planning.New(plan.Spec, plan.Snapshot)
	if err != nil {
		return &ledger.Unreadable{Campaign: plan.ID, Record: "spec", Err: err}
	}
	if plan.Next == 0 {
		if err := w.joinAccounts(ctx, plan.Snapshot); err != nil {
			return err
		}
	}
	first, err := catchUp(ctx, plan, pl)
	if err != nil {
		return err
	}
	opted, err := w.optOutLookup(ctx, plan, plan.Total-first+1)
	if err != nil {
		return err
	}
	last, err := w.planPages(ctx, plan, pl, opted, first)
	switch {
	case errors.Is(err, ledger.ErrMoved), errors.Is(err, ledger.ErrStopped), errors.Is(err, ledger.ErrNotFound):
		return nil
	case errors.Is(err, redisguard.ErrDraining):
		return w.waker.HandOver(p)
	case err != nil:
		return err
	}
	w.log.Info().Str("campaign", plan.ID).Int("recipients", plan.Total).Bool("done", last.done).Msg("campaign planned")
	if last.first != nil {
		p.Batch, p.Wake = last.first.Batch, last.first.Number
		return w.sender.Send(ctx, w.accounts[plan.Spec.Via].sending, p)
	}
	return nil
}

// planPages plans the remaining pages and returns the result of committing the last one. first is
// the row that the next page begins with.
//
// It is a pipeline. While one page is planned, opt-outs are looked up for the page after it. The
// two pages after that are read, which takes longest. The two pages before it are committed, in
// order.
func (w *Worker) planPages(ctx context.Context, plan *ledger.Plan, pl *planning.Planner, opted *ledger.OptOutLookup, first int) (last committed, err error) {
	var before, newest *future[committed]
	defer func() { _, _ = newest.wait() }() // planPages returns this error itself, unless another error came first
	pages := prefetch(1, parallelMap(2, w.ledger.ReadPages(ctx, plan.ID, plan.Next, plan.Pages, first), pl.Read))
	for page, err := range prefetch(1, lookups(ctx, opted, pages)) {
		if err != nil {
			return last, err
		}
		if w.stop.Draining() {
			_, err := newest.wait()
			return last, cmp.Or(err, redisguard.ErrDraining)
		}
		if err := checkComplete(plan, page.Page); err != nil {
			return last, err
		}
		pl.SetOptedOut(page.opted)
		out := pl.Plan(page.Reading, page.Number+1 == plan.Pages)
		if _, err := before.wait(); err != nil {
			return last, err
		}
		previous := newest
		newest = startFuture(func() (committed, error) { return w.commitPage(ctx, plan, out, previous) })
		before = previous
	}
	return newest.wait()
}

// lookedUp is a page together with its opted-out recipients, each with its suppression list.
type lookedUp struct {
	planning.Reading
	opted map[sms.MSISDN]string
}

// lookups looks up which recipients of each page have opted out, and yields the page together with
// them.
func lookups(ctx context.Context, opted *ledger.OptOutLookup, pages iter.Seq2[planning.Reading, error]) iter.Seq2[lookedUp, error] {
	return func(yield func(lookedUp, error) bool) {
		for page, err := range pages {
			x := lookedUp{Reading: page}
			if err == nil && opted.Any() {
				x.opted, err = opted.OptedOut(ctx, page.Numbers())
			}
			if !yield(x, err) {
				return
			}
		}
	}
}

// committed is the result of committing a page. done reports whether the campaign is finished. If
// one task plans and sends the campaign, first is the campaign's first batch.
type committed struct {
	done  bool
	first *ledger.Wake
}

// commitPage commits a page once the page before it is committed, and queues the batches that this
// commit opens. If one task plans and sends the campaign, commitPage returns the first batch
// instead of queueing it.
func (w *Worker) commitPage(ctx context.Context, plan *ledger.Plan, page campaign.PlannedPage, before *future[committed]) (c committed, err error) {
	page.OpenBatchLimits = map[int]int{}
	for n := range plan.Snapshot.Streams() {
		page.OpenBatchLimits[n] = min(firstOpenBatchLimit*(page.Page+1), w.shares.OpenBatchLimit(ctx, plan.Snapshot.Stream(n).Account.Name))
	}
	packed := ledger.PackPage(page)
	if c, err := before.wait(); err != nil {
		return c, err
	}
	wakes, done, err := plan.Commit(ctx, script.NewToken(), packed)
	if err != nil {
		return c, err
	}
	c.done = done
	via := plan.Spec.Via
	if len(wakes) > 0 && plan.Pages == 1 && w.accounts[via] != nil && queue.PlansInline(via, plan.Total) {
		c.first, wakes = &wakes[0], wakes[1:]
	}
	return c, w.waker.All(ctx, plan.ID, &wake.Campaign{Spec: plan.Spec, Snapshot: plan.Snapshot}, wakes)
}

// takeSnapshot collects everything that the planning of a campaign depends on: country, sending
// hours, routes and accounts.
func (w *Worker) takeSnapshot(ctx context.Context, id string, spec campaign.Spec) (campaign.PlanSnapshot, error) {
	f := campaign.PlanSnapshot{Country: spec.Country}
	if spec.Class != campaign.Transactional {
		f.SendingHours = w.snapshotHours()
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return f, err
	}
	sum, err := w.ledger.Summary(ctx, id)
	if err != nil {
		return f, err
	}
	if f.Country == "" {
		f.Country = w.cfg.Country
	}
	names := []string{spec.Via}
	if spec.Via == "" {
		f.Routes, names = ledgerRoutes(w.cfg.Routes), nil
		for _, r := range w.cfg.Routes {
			names = append(names, r.Via...)
		}
	}
	for _, name := range names {
		if planning.AccountNumber(f, name) >= 0 {
			continue
		}
		a, err := w.ledger.Account(ctx, name)
		if err != nil {
			return f, fmt.Errorf("plan: %w", err)
		}
		snapshot := planning.Account(a.Card, spec, sum.Total)
		snapshot.Resend = a.Info.KeyTTL == 0 && cmp.Or(spec.OnUnknown, a.OnUnknown) == OnUnknownResend
		snapshot.Held = spec.Via == "" && sweep.SkipInPlanning(a, w.cfg.FailoverAfter, now)
		f.Accounts = append(f.Accounts, snapshot)
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("plan: the campaign names no account, and this worker has no routes to choose one")
	}
	return f, nil
}

// catchUp tells the planner pl which recipients earlier planners of the campaign have planned. It
// returns the row that the next page begins with.
func catchUp(ctx context.Context, plan *ledger.Plan, pl *planning.Planner) (first int, err error) {
	if plan.Next == 0 {
		return 1, nil
	}
	for x, err := range plan.PlannedNumbers(ctx) {
		if err != nil {
			return 0, err
		}
		pl.Remember(x)
	}
	segments := 0
	if plan.Spec.Personalized() && plan.Spec.MaxSegments > 0 {
		if segments, err = plan.PlannedSegments(ctx); err != nil {
			return 0, err
		}
	}
	if err := pl.Resume(plan.Carry, segments); err != nil {
		return 0, &ledger.Unreadable{Campaign: plan.ID, Record: "carry", Err: err}
	}
	return plan.FirstRow(ctx)
}

// checkComplete returns an error if the last page does not end with the campaign's last recipient.
// Without this error, recipients missing from a truncated page would be pending for ever.
func checkComplete(plan *ledger.Plan, page campaign.Page) error {
	rows := page.First + len(page.Inputs) - 1
	if page.Number+1 != plan.Pages || rows == plan.Total {
		return nil
	}
	return &ledger.Unreadable{Campaign: plan.ID, Record: "p" + strconv.Itoa(page.Number),
		Err: fmt.Errorf("the pages hold %d recipients, want %d", rows, plan.Total)}
}
