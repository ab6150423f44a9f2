package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/queue"
)

// plan takes up a campaign's planning where it stands and carries it on until it
// is through, stopped, another planner was faster, or this worker drains. Every
// page is committed by itself, so that it can end anywhere.
func (w *Worker) plan(ctx context.Context, p queue.Pointer) error {
	plan, err := w.ledger.StartPlan(ctx, p.Campaign, func(spec ledger.Spec) (ledger.Frozen, error) {
		// What is frozen wins, also over accounts and routes that this worker does not know.
		if f, _, err := w.ledger.Frozen(ctx, p.Campaign); err != nil || len(f.Accounts) > 0 {
			return f, err
		}
		return w.freeze(ctx, spec)
	})
	if errors.Is(err, ledger.ErrNotFound) || err == nil && plan == nil {
		return nil
	}
	if err != nil {
		return err
	}
	pl, err := planning.New(plan.Spec, plan.Frozen)
	if err != nil {
		return &ledger.Unreadable{Campaign: plan.ID, Record: "spec", Err: err}
	}
	if plan.Next == 0 {
		if err := w.joins(ctx, plan.Frozen); err != nil {
			return err
		}
	}
	first, err := catchUp(ctx, plan, pl)
	if err != nil {
		return err
	}
	lists, err := w.suppressed(ctx, plan)
	if err != nil {
		return err
	}
	for page, err := range w.ledger.ReadPages(ctx, plan.ID, plan.Next, plan.Pages, first) {
		if err != nil {
			return err
		}
		if w.draining() {
			return w.handOver(p)
		}
		if err := complete(plan, page); err != nil {
			return err
		}
		opted, err := w.ledger.OptedOut(ctx, lists, numbersIn(pl, page, lists))
		if err != nil {
			return err
		}
		pl.LeaveOut(opted)
		done, first, err := w.planPage(ctx, plan, pl, page)
		if errors.Is(err, ledger.ErrMoved) || errors.Is(err, ledger.ErrStopped) || errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if page.Number+1 == plan.Pages {
			w.log.Info().Str("campaign", plan.ID).Int("recipients", plan.Total).Bool("done", done).Msg("planned")
		}
		if first != nil {
			p.Batch, p.Wake = first.Batch, first.Number
			return w.send(ctx, w.accounts[plan.Spec.Via], p)
		}
	}
	return nil
}

// planPage plans a page and queues the batches that are handed out; but the first of a
// campaign that one task plans and sends is the caller's to go on with.
func (w *Worker) planPage(ctx context.Context, plan *ledger.Plan, pl *planning.Planner, page ledger.Page) (done bool, first *ledger.Wake, err error) {
	out := pl.Page(page, page.Number+1 == plan.Pages)
	out.Windows = map[int]int{}
	for n := range plan.Frozen.Lanes() {
		out.Windows[n] = min(firstWindow, w.window(ctx, plan.Frozen.Lane(n).Account.Name))
	}
	wakes, done, err := plan.CommitPage(ctx, ledger.NewToken(), out)
	if err != nil {
		return false, nil, err
	}
	via := plan.Spec.Via
	if len(wakes) > 0 && plan.Pages == 1 && w.accounts[via] != nil && queue.PlansWhereItSends(via, plan.Total) {
		first, wakes = &wakes[0], wakes[1:]
	}
	return done, first, w.wakeAll(ctx, plan.ID, plan.Frozen, plan.Spec, wakes)
}

// freeze works out what planning of a campaign depends on.
func (w *Worker) freeze(ctx context.Context, spec ledger.Spec) (ledger.Frozen, error) {
	f := ledger.Frozen{Country: spec.Country}
	if spec.Class != ledger.Transactional {
		f.Windows = w.frozenWindows()
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return f, err
	}
	if f.Country == "" {
		f.Country = w.cfg.Country
	}
	names := []string{spec.Via}
	if spec.Via == "" {
		f.Routes, names = w.cfg.Routes, nil
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
		frozen := planning.Account(a.Card, spec)
		frozen.Resend = a.Info.KeyTTL == 0 && cmp.Or(spec.OnUnknown, a.OnUnknown) == OnUnknownResend
		frozen.Held = spec.Via == "" && w.passOver(a, now)
		f.Accounts = append(f.Accounts, frozen)
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("plan: the campaign names no account and this worker has no routes")
	}
	return f, nil
}

// catchUp tells a planner what earlier ones of the campaign have planned, and returns the
// row that the next page begins with.
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
	if plan.Spec.Personal() && plan.Spec.MaxSegments > 0 {
		if segments, err = plan.PlannedSegments(ctx); err != nil {
			return 0, err
		}
	}
	if err := pl.Resume(plan.Carry, segments); err != nil {
		return 0, &ledger.Unreadable{Campaign: plan.ID, Record: "carry", Err: err}
	}
	return plan.FirstRow(ctx)
}

// complete says so if the last page does not end with the last recipient: then a page
// was cut short, and what is in none of them would be pending for ever.
func complete(plan *ledger.Plan, page ledger.Page) error {
	rows := page.First + len(page.Inputs) - 1
	if page.Number+1 != plan.Pages || rows == plan.Total {
		return nil
	}
	return &ledger.Unreadable{Campaign: plan.ID, Record: "p" + strconv.Itoa(page.Number),
		Err: fmt.Errorf("the pages hold %d recipients of %d", rows, plan.Total)}
}
