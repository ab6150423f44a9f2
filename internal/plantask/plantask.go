// Package plantask runs the planning of a campaign. It reads the campaign's pages, looks up which
// recipients have opted out, and commits the plan that package planning computes.
package plantask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/announce"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/drain"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/pipeline"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/sweep"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/sms"
)

// Runner runs planning tasks. Set its fields before the first task. Its methods are safe for
// concurrent use.
type Runner struct {
	Ledger   *ledger.Ledger
	Accounts *accounts.Store // stores the card, the hold and the number of campaigns of each account
	OptOuts  *optout.Lists   // the suppression lists
	Clock    interface {
		Now(ctx context.Context) (time.Time, error)
	} // its method returns the time by Redis' clock
	Waker     *wake.Waker
	Shares    *pacing.Shares
	Stop      *drain.Signals
	Announcer *announce.Announcer
	Tracer    *tracing.Tracer // nil: no traces
	Log       zerolog.Logger

	// Settings returns the settings of the cluster that are in force.
	Settings func(ctx context.Context) (accounts.Settings, error)
	// Serves reports whether this worker serves the account with the given name.
	Serves func(account string) bool
}

// Batch is a batch that Tuma does not queue, because the task that planned it also sends it.
type Batch struct {
	queue.Pointer
	Account string // the name of the account that the batch belongs to
}

// Plan continues a campaign's planning where the last planner stopped. It ends when all pages are
// planned, the campaign is stopped, or this worker drains. It also ends if another planner commits a
// page before Plan can commit the same page. Each page is committed separately, so planning may be
// interrupted at any point. If one task plans and sends the campaign, Plan returns the batch that the
// caller must send next. Otherwise it returns nil.
func (r *Runner) Plan(ctx context.Context, p queue.Pointer) (*Batch, error) {
	plan, err := r.Ledger.StartPlan(ctx, p.Campaign, func(spec campaign.Spec) (campaign.PlanSnapshot, error) {
		// An existing snapshot applies, even if this worker does not have its accounts and routes.
		if f, _, err := r.Ledger.Snapshot(ctx, p.Campaign); err != nil || len(f.Accounts) > 0 {
			return f, err
		}
		return r.takeSnapshot(ctx, p.Campaign, spec)
	})
	if errors.Is(err, ledger.ErrNotFound) || err == nil && plan == nil {
		return nil, nil //nolint:nilnil // nil means that there is no batch to send
	}
	if err != nil {
		return nil, err
	}
	ctx, span := r.Tracer.Plan(ctx, tracing.Campaign{Trace: plan.Spec.Trace, Upload: plan.Upload()}, p.Trace, plan.Next == 0, plan.Total)
	first, err := r.planCampaign(ctx, plan, p)
	tracing.EndPlan(span, err)
	return first, err
}

// planCampaign is the part of Plan for a campaign whose planning is not complete.
func (r *Runner) planCampaign(ctx context.Context, plan *ledger.Plan, p queue.Pointer) (*Batch, error) {
	pl, err := planning.New(plan.Spec, plan.Snapshot)
	if err != nil {
		return nil, &ledger.Unreadable{Campaign: plan.ID, Record: "spec", Err: err}
	}
	if plan.Next == 0 {
		if err := r.joinAccounts(ctx, plan.Snapshot); err != nil {
			return nil, err
		}
		r.Announcer.Started(ctx, plan.ID, plan.Total)
	}
	first, err := catchUp(ctx, plan, pl)
	if err != nil {
		return nil, err
	}
	opted, err := r.optOutLookup(ctx, plan, plan.Total-first+1)
	if err != nil {
		return nil, err
	}
	last, err := r.planPages(ctx, plan, pl, opted, first)
	switch {
	case errors.Is(err, ledger.ErrMoved), errors.Is(err, ledger.ErrStopped), errors.Is(err, ledger.ErrNotFound):
		return nil, nil //nolint:nilnil // nil means that there is no batch to send
	case errors.Is(err, drain.ErrDraining):
		return nil, r.Waker.HandOver(p)
	case err != nil:
		return nil, err
	}
	r.Log.Debug().Func(tracing.LogID(tracing.ID(ctx))).Str("campaign", plan.ID).Int("recipients", plan.Total).Bool("done", last.done).Msg("campaign planned")
	if last.done {
		r.Announcer.EndedNow(ctx, plan.ID, plan.Total)
	}
	if last.first == nil {
		return nil, nil //nolint:nilnil // nil means that there is no batch to send
	}
	p.Batch, p.Wake, p.Trace = last.first.Batch, last.first.Number, tracing.Header(ctx)
	return &Batch{Pointer: p, Account: plan.Spec.Via}, nil
}

// planPages plans the remaining pages and returns the result of committing the last page. The
// parameter "first" is the row with which the next page begins.
//
// It works as a pipeline. While page N is planned, opt-outs are looked up for page N+1. At the
// same time, pages N+2 and N+3 are read, which takes longest, and pages N-1 and N-2 are
// committed, in order.
func (r *Runner) planPages(ctx context.Context, plan *ledger.Plan, pl *planning.Planner, opted *optout.Lookup, first int) (last committed, err error) {
	var before, newest *pipeline.Future[committed]
	defer func() { _, _ = newest.Wait() }() // the error is ignored here, because planPages returns it, or returns another error instead
	pages := pipeline.Prefetch(1, pipeline.ParallelMap(2, r.Ledger.ReadPages(ctx, plan.ID, plan.Next, plan.Pages, first), pl.Read))
	for page, err := range pipeline.Prefetch(1, lookups(ctx, opted, pages)) {
		if err != nil {
			return last, err
		}
		if r.Stop.Draining() {
			_, err := newest.Wait()
			return last, cmp.Or(err, drain.ErrDraining)
		}
		if err := checkComplete(plan, page.Page); err != nil {
			return last, err
		}
		pl.SetOptedOut(page.opted)
		out := pl.Plan(page.Reading, page.Number+1 == plan.Pages)
		if _, err := before.Wait(); err != nil {
			return last, err
		}
		previous := newest
		newest = pipeline.Start(func() (committed, error) { return r.commitPage(ctx, plan, out, previous) })
		before = previous
	}
	return newest.Wait()
}

// lookedUp is a page together with its opted-out recipients, each with its suppression list.
type lookedUp struct {
	planning.Reading
	opted map[sms.MSISDN]string
}

// The function "lookups" finds out which recipients of each page have opted out. It yields each
// page together with these recipients.
func lookups(ctx context.Context, opted *optout.Lookup, pages iter.Seq2[planning.Reading, error]) iter.Seq2[lookedUp, error] {
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

// The type "committed" is the result of committing a page. The field "done" is true if the campaign is
// finished. If one task plans and sends the campaign, the field "first" is the campaign's first batch.
type committed struct {
	done  bool
	first *ledger.Wake
}

// commitPage waits until the previous page is committed, commits its page, and queues the batches
// that this commit opens. If one task plans and sends the campaign, commitPage returns the first
// batch instead of queueing it.
func (r *Runner) commitPage(ctx context.Context, plan *ledger.Plan, page campaign.PlannedPage, before *pipeline.Future[committed]) (c committed, err error) {
	page.OpenBatchLimits = map[int]int{}
	for n := range plan.Snapshot.Streams() {
		account := plan.Snapshot.Stream(n).Account
		page.OpenBatchLimits[n] = min(firstOpenBatches(account, page.Page), r.Shares.OpenBatchLimit(ctx, account.Name))
	}
	packed := ledger.PackPage(page)
	if c, err := before.Wait(); err != nil {
		return c, err
	}
	wakes, done, err := plan.Commit(ctx, script.NewToken(), packed)
	if err != nil {
		return c, err
	}
	c.done = done
	via := plan.Spec.Via
	if len(wakes) > 0 && plan.Pages == 1 && r.Serves(via) && queue.PlansInline(via, plan.Total) {
		c.first, wakes = &wakes[0], wakes[1:]
	}
	return c, r.Waker.All(ctx, plan.ID, &wake.Campaign{Spec: plan.Spec, Snapshot: plan.Snapshot}, wakes)
}

// takeSnapshot collects the settings on which the planning of a campaign depends: country, sending
// hours, routes and accounts.
func (r *Runner) takeSnapshot(ctx context.Context, id string, spec campaign.Spec) (campaign.PlanSnapshot, error) {
	settings, err := r.Settings(ctx)
	if err != nil {
		return campaign.PlanSnapshot{}, fmt.Errorf("plan: %w", err)
	}
	// Planning uses the country and the sending hours that were in force at the enqueue. So a
	// change of the settings after the enqueue does not change how numbers are read.
	defaults := cmp.Or(spec.Defaults, &campaign.Defaults{Country: settings.Country, Windows: settings.Windows})
	f := campaign.PlanSnapshot{Country: cmp.Or(spec.Country, defaults.Country)}
	if spec.Class != campaign.Transactional {
		f.SendingHours = defaults.Hours()
	}
	now, err := r.Clock.Now(ctx)
	if err != nil {
		return f, err
	}
	sum, err := r.Ledger.Summary(ctx, id)
	if err != nil {
		return f, err
	}
	names := []string{spec.Via}
	if spec.Via == "" {
		f.Routes, names = settings.Routes, nil
		for _, route := range settings.Routes {
			names = append(names, route.Via...)
		}
	}
	for _, name := range names {
		if planning.AccountNumber(f, name) >= 0 {
			continue
		}
		a, err := r.Accounts.Account(ctx, name)
		if err != nil {
			return f, fmt.Errorf("plan: %w", err)
		}
		snapshot := planning.Account(a.Card, spec, sum.Total, a.Slots)
		snapshot.Resend = a.Info.KeyTTL == 0 && cmp.Or(spec.OnUnknown, a.OnUnknown) == campaign.ResendUnknown
		snapshot.Held = spec.Via == "" && sweep.SkipInPlanning(a, spec.Class, settings.FailoverAfter, now)
		f.Accounts = append(f.Accounts, snapshot)
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("plan: the campaign names no account, and no routes are configured: name an account or configure routes")
	}
	return f, nil
}

// catchUp gives the planner pl the recipients that earlier planners of the campaign have planned.
// It returns the row with which the next page begins.
func catchUp(ctx context.Context, plan *ledger.Plan, pl *planning.Planner) (first int, err error) {
	if plan.Next == 0 {
		return 1, nil
	}
	for x, err := range plan.PlannedMessages(ctx) {
		if err != nil {
			return 0, err
		}
		pl.Remember(x.Planned, x.Body)
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

// These constants limit how many batches of an account planning opens. It opens firstOpenBatchLimit
// batches for each planned page. It may open more batches, as long as all open batches together
// have at most firstOpenCalls calls. If ten campaigns start at once, the first campaign must not
// fill the queue before the other campaigns are known. Later the sweeper, and each settle that ends
// a batch, open more batches, up to the open-batch limit.
const (
	firstOpenBatchLimit = 2
	firstOpenCalls      = 100
)

// firstOpenBatches returns how many batches of an account may be open once the given page is
// planned. The small batches of a small campaign are opened together, so that the campaign uses
// all slots at once.
func firstOpenBatches(a campaign.SnapshotAccount, page int) int {
	calls := max(1, a.BatchSize/a.CallSize())
	if a.Calls > 0 {
		calls = a.Calls
	}
	return max(firstOpenBatchLimit*(page+1), firstOpenCalls/calls)
}

// joinAccounts increments the number of campaigns of each account of the campaign, without waiting
// for the next sweep. The next sweep counts all campaigns again.
func (r *Runner) joinAccounts(ctx context.Context, f campaign.PlanSnapshot) error {
	for _, a := range f.Accounts {
		if err := r.Accounts.AddCampaign(ctx, a.Name); err != nil {
			return err
		}
		r.Shares.Forget(a.Name)
	}
	return nil
}

// optOutLookup returns a lookup in the suppression lists that apply to a campaign. The parameter
// "recipients" is the number of recipients that are not planned yet. The lookup ignores a list that
// is empty now, even if a later opt-out adds a number to it. Such an opt-out has an effect
// nevertheless, because it is also recorded in each open campaign, and this campaign is open.
func (r *Runner) optOutLookup(ctx context.Context, plan *ledger.Plan, recipients int) (*optout.Lookup, error) {
	counts, err := r.OptOuts.Counts(ctx)
	if err != nil || len(counts) == 0 {
		return r.OptOuts.NewLookup(nil, nil, 0), err
	}
	var accounts []string
	for _, a := range plan.Snapshot.Accounts {
		accounts = append(accounts, a.Name)
	}
	lists, err := r.Ledger.SuppressionLists(ctx, plan.Spec, accounts)
	return r.OptOuts.NewLookup(lists, counts, recipients), err
}
