// Package planning decides, without Redis, what becomes of each uploaded recipient of a
// campaign: left out and why, or in which batch and call of which account. A worker
// commits what it decides; a preview counts it.
package planning

import (
	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Planner turns the pages of one campaign, in their order, into batches. It remembers
// every number that it has planned, in about three bytes each. What it says depends on
// nothing but what it was given, so that another planner says the same. Not safe for
// concurrent use.
type Planner struct {
	spec   ledger.Spec
	frozen ledger.Frozen
	seen   *roaring64.Bitmap
	carry  [][]ledger.Planned // by lane
	size   []int              // of a batch, by lane
	codes  []string           // with which numbers of each window's country begin
	count  int
	opted  map[sms.MSISDN]string // who is on a suppression list, of the page at hand
}

// New begins to plan a campaign. The frozen part must name an account.
func New(spec ledger.Spec, frozen ledger.Frozen) *Planner {
	p := &Planner{spec: spec, frozen: frozen, seen: roaring64.New(), carry: make([][]ledger.Planned, frozen.Lanes()),
		size: make([]int, frozen.Lanes()), codes: callingCodes(frozen)}
	for n := range p.size {
		p.size[n] = frozen.Lane(n).Account.BatchSize
	}
	return p
}

// Remember tells of a recipient that an earlier planner has planned, whether it is in a
// batch or carried over.
func (p *Planner) Remember(x ledger.Planned) {
	p.seen.Add(uint64(x.MSISDN))
	p.count++
}

// Resume goes on with what an earlier page, or planner, has carried over, by lane.
func (p *Planner) Resume(carry [][]ledger.Planned) { p.carry = carry }

// Planned is how many recipients are planned so far.
func (p *Planner) Planned() int { return p.count }

// Numbers are those of a page's recipients that are numbers, for who has to ask which of
// them have opted out.
func (p *Planner) Numbers(page ledger.Page) []sms.MSISDN {
	out := make([]sms.MSISDN, 0, len(page.Inputs))
	for _, input := range page.Inputs {
		if m, err := sms.ParseMSISDN(input, p.frozen.Country); err == nil {
			out = append(out, m)
		}
	}
	return out
}

// LeaveOut says who of the next page is on a suppression list, and on which. They are left
// out before all else: it does not count who else they would be, or where they would go.
func (p *Planner) LeaveOut(opted map[sms.MSISDN]string) { p.opted = opted }

// Page plans one page, and what is left over with the last one. What it returns is not
// gone on with before Resume: a page that could not be committed is lost, and its planner
// with it. Windows of the page are the caller's to fill in.
func (p *Planner) Page(page ledger.Page, last bool) ledger.PlannedPage {
	out := ledger.PlannedPage{Page: page.Number, First: page.First}
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
		if p.count == p.spec.Canary {
			p.close(&out) // the canary has batches, and so calls, of its own
		}
	}
	if last {
		p.close(&out)
	}
	return out
}

// close makes batches of all that is carried over.
func (p *Planner) close(out *ledger.PlannedPage) {
	for lane, rest := range out.Carry {
		if len(rest) > 0 {
			out.Batches = append(out.Batches, p.batch(lane, rest))
			out.Carry[lane] = nil
		}
	}
}

// place reads a number and finds the lane that carries it, or says why it is left out.
func (p *Planner) place(input string) (m sms.MSISDN, lane int, reason, code string) {
	m, err := sms.ParseMSISDN(input, p.frozen.Country)
	if err != nil {
		return 0, 0, ledger.ReasonInvalidNumber, numberCode(err)
	}
	if list, ok := p.opted[m]; ok {
		return 0, 0, ledger.ReasonOptedOut, ledger.ListCode(list)
	}
	if p.seen.Contains(uint64(m)) {
		return 0, 0, ledger.ReasonDuplicate, ""
	}
	account := p.route(m)
	if account < 0 {
		return 0, 0, ledger.ReasonNoRoute, ""
	}
	if p.spec.Capped(p.count) {
		return 0, 0, ledger.ReasonOverCap, ""
	}
	p.seen.Add(uint64(m))
	p.count++
	return m, account + p.window(m)*len(p.frozen.Accounts), "", ""
}

// batch cuts the recipients of a batch into calls.
func (p *Planner) batch(lane int, to []ledger.Planned) ledger.PlannedBatch {
	b := ledger.PlannedBatch{Lane: lane, To: to}
	most := p.frozen.Lane(lane).Account.MaxRecipients
	for left := len(to); left > 0; left -= most {
		b.Calls = append(b.Calls, min(left, most))
	}
	return b
}
