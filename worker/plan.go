package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/sms"
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
	pl := &planner{plan: plan, seen: roaring64.New(), carry: plan.Carry, size: make([]int, plan.Frozen.Lanes()), codes: callingCodes(plan.Frozen)}
	for n := range pl.size {
		pl.size[n] = plan.Frozen.Lane(n).Account.BatchSize
	}
	if plan.Next == 0 {
		if err := w.joins(ctx, plan.Frozen); err != nil {
			return err
		}
	}
	first, err := pl.catchUp(ctx)
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
		if err := pl.complete(page); err != nil {
			return err
		}
		done, first, err := w.planPage(ctx, pl, page)
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
func (w *Worker) planPage(ctx context.Context, pl *planner, page ledger.Page) (done bool, first *ledger.Wake, err error) {
	out := pl.page(page)
	out.Windows = map[int]int{}
	for n := range pl.size {
		out.Windows[n] = min(firstWindow, w.window(ctx, pl.plan.Frozen.Lane(n).Account.Name))
	}
	wakes, done, err := pl.plan.CommitPage(ctx, ledger.NewToken(), out)
	if err != nil {
		return false, nil, err
	}
	pl.carry = out.Carry
	via := pl.plan.Spec.Via
	if len(wakes) > 0 && pl.plan.Pages == 1 && w.accounts[via] != nil && queue.PlansWhereItSends(via, pl.plan.Total) {
		first, wakes = &wakes[0], wakes[1:]
	}
	return done, first, w.wakeAll(ctx, pl.plan.ID, pl.plan.Frozen, pl.plan.Spec, wakes)
}

// freeze works out what planning of a campaign depends on.
func (w *Worker) freeze(ctx context.Context, spec ledger.Spec) (ledger.Frozen, error) {
	f := ledger.Frozen{Country: spec.Country}
	if spec.Class != ledger.Transactional {
		f.Windows = w.frozenWindows()
	}
	segments, _ := sms.Segments(spec.Body)
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
		if accountNumber(f, name) >= 0 {
			continue
		}
		a, err := w.ledger.Account(ctx, name)
		if err != nil {
			return f, fmt.Errorf("plan: %w", err)
		}
		most := max(1, a.Info.MaxRecipients)
		f.Accounts = append(f.Accounts, ledger.FrozenAccount{Name: name, MaxRecipients: most, BatchSize: batchSize(most, messageRate(a.Card, segments)),
			Resend: a.Info.KeyTTL == 0 && cmp.Or(spec.OnUnknown, a.OnUnknown) == OnUnknownResend, Held: spec.Via == "" && w.passOver(a, now)})
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("plan: the campaign names no account and this worker has no routes")
	}
	return f, nil
}

// largestBatch bounds a batch, whatever the rate.
const largestBatch = 500

// messageRate is an account's rate in messages a second; 0: unlimited.
func messageRate(c ledger.Card, segments int) float64 {
	switch c.Unit {
	case UnitRequests:
		return c.Rate * float64(max(1, c.Info.MaxRecipients))
	case UnitSegments:
		return c.Rate / float64(max(1, segments))
	}
	return c.Rate
}

// mostCalls is how many calls a batch has at most: one slot makes them one after the
// other, and a small campaign at a gateway that takes one number a call should use more
// slots than one.
const mostCalls = 50

// batchSize is up to 500 recipients, 50 calls or a minute of the rate, in whole calls
// where more than one fits.
func batchSize(maxRecipients int, rate float64) int {
	n := min(largestBatch, mostCalls*maxRecipients)
	if rate > 0 {
		n = int(min(float64(n), max(1, rate*60)))
	}
	if n > maxRecipients {
		n -= n % maxRecipients
	}
	return n
}

func accountNumber(f ledger.Frozen, name string) int {
	for i, a := range f.Accounts {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// planner turns pages into batches. It remembers every number it has planned, in
// about three bytes each.
type planner struct {
	plan  *ledger.Plan
	seen  *roaring64.Bitmap
	carry [][]ledger.Planned // by lane
	size  []int              // of a batch, by lane
	codes []string           // with which numbers of each window's country begin
	count int
}

// catchUp rebuilds what earlier planners of the campaign knew, and returns the
// row that the next page begins with.
func (p *planner) catchUp(ctx context.Context) (first int, err error) {
	if p.plan.Next == 0 {
		return 1, nil
	}
	for x, err := range p.plan.PlannedNumbers(ctx) {
		if err != nil {
			return 0, err
		}
		p.seen.Add(uint64(x.MSISDN))
		p.count++
	}
	return p.plan.FirstRow(ctx)
}

// complete says so if the last page does not end with the last recipient: then a page
// was cut short, and what is in none of them would be pending for ever.
func (p *planner) complete(page ledger.Page) error {
	rows := page.First + len(page.Inputs) - 1
	if page.Number+1 != p.plan.Pages || rows == p.plan.Total {
		return nil
	}
	return &ledger.Unreadable{Campaign: p.plan.ID, Record: "p" + strconv.Itoa(page.Number),
		Err: fmt.Errorf("the pages hold %d recipients of %d", rows, p.plan.Total)}
}

// page plans one page, and on the last one also what is left over.
func (p *planner) page(page ledger.Page) ledger.PlannedPage {
	out := ledger.PlannedPage{Page: page.Number, First: page.First, Carry: p.carry}
	out.Carry = make([][]ledger.Planned, len(p.size))
	copy(out.Carry, p.carry)
	for i, input := range page.Inputs {
		row := page.First + i
		m, lane, reason, code := p.place(input)
		if reason != "" {
			out.LeftOut = append(out.LeftOut, ledger.LeftOut{Row: row, Reason: reason, Code: code})
			continue
		}
		out.Carry[lane] = append(out.Carry[lane], ledger.Planned{Row: row, MSISDN: m})
		if len(out.Carry[lane]) == p.size[lane] {
			out.Batches = append(out.Batches, p.batch(lane, out.Carry[lane]))
			out.Carry[lane] = nil
		}
	}
	if page.Number+1 == p.plan.Pages {
		for lane, rest := range out.Carry {
			if len(rest) > 0 {
				out.Batches = append(out.Batches, p.batch(lane, rest))
				out.Carry[lane] = nil
			}
		}
	}
	return out
}

// place reads a number and finds the lane that carries it, or says why it is left out.
func (p *planner) place(input string) (m sms.MSISDN, lane int, reason, code string) {
	m, err := sms.ParseMSISDN(input, p.plan.Frozen.Country)
	if err != nil {
		code = "invalid"
		if n, ok := errors.AsType[*sms.NumberError](err); ok {
			code = string(n.Reason)
		}
		return 0, 0, ledger.ReasonInvalidNumber, code
	}
	if p.seen.Contains(uint64(m)) {
		return 0, 0, ledger.ReasonDuplicate, ""
	}
	account := p.route(m)
	if account < 0 {
		return 0, 0, ledger.ReasonNoRoute, ""
	}
	if p.plan.Spec.Capped(p.count) {
		return 0, 0, ledger.ReasonOverCap, ""
	}
	p.seen.Add(uint64(m))
	p.count++
	return m, account + p.window(m)*len(p.plan.Frozen.Accounts), "", ""
}

// window is the number, from 1, of the window that a recipient is sent to in; 0: none.
func (p *planner) window(m sms.MSISDN) int {
	if len(p.codes) == 0 {
		return 0
	}
	digits, country := m.String(), ""
	for i, w := range p.plan.Frozen.Windows {
		if !strings.HasPrefix(digits, p.codes[i]) {
			continue
		}
		if country == "" {
			country = m.Country()
		}
		if country == w.Country {
			return i + 1
		}
	}
	return 0
}

// callingCodes spares most numbers the question which country they belong to.
func callingCodes(f ledger.Frozen) (out []string) {
	for _, w := range f.Windows {
		out = append(out, sms.CallingCode(w.Country))
	}
	return out
}

func (p *planner) route(m sms.MSISDN) int {
	if len(p.plan.Frozen.Routes) == 0 {
		return 0
	}
	digits := m.String()
	return firstOf(p.plan.Frozen, routeOf(p.plan.Frozen, digits))
}

func (p *planner) batch(lane int, to []ledger.Planned) ledger.PlannedBatch {
	b := ledger.PlannedBatch{Lane: lane, To: to}
	most := p.plan.Frozen.Lane(lane).Account.MaxRecipients
	for left := len(to); left > 0; left -= most {
		b.Calls = append(b.Calls, min(left, most))
	}
	return b
}
