// Package planning decides, without Redis, what becomes of each uploaded recipient of a
// campaign: left out and why, or in which batch and call of which account, and with which
// body. A worker commits what it decides; a preview counts it.
package planning

import (
	"fmt"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Planner turns the pages of one campaign, in their order, into batches. It remembers
// every number that it has planned, in three to six bytes each, and per lane the calls
// that are not full yet: recipients with the same body meet in one if they are no more
// than ledger.CarryRows apart, as long as all that waits fits into what one page carries
// over to the next. What it says depends on nothing
// but what it was given, so that another planner says the same. Not safe for concurrent
// use.
type Planner struct {
	spec     ledger.Spec
	snapshot ledger.PlanSnapshot
	renderer *renderer // nil: the campaign is plain
	seen     *msisdnSet
	streams  []*stream
	codes    []string // with which numbers of each window's country begin
	count    int
	segments int
	// opted is who is on a suppression list, of the page at hand.
	opted map[sms.MSISDN]string
}

// New begins to plan a campaign. The frozen part must name an account. It errs if the
// body cannot be read.
func New(spec ledger.Spec, snapshot ledger.PlanSnapshot) (*Planner, error) {
	p := &Planner{spec: spec, snapshot: snapshot, seen: newMSISDNSet(), codes: callingCodes(snapshot)}
	for n := range snapshot.Streams() {
		p.streams = append(p.streams, newStream(snapshot.Stream(n)))
	}
	if !spec.Personalized() {
		return p, nil
	}
	var err error
	p.renderer, err = newRenderer(spec)
	return p, err
}

// Remember tells of a recipient that an earlier planner has planned, whether it is in a
// batch or carried over.
func (p *Planner) Remember(x ledger.Planned) {
	p.seen.add(x.MSISDN)
	p.count++
}

// Resume goes on with what an earlier planner has carried over, by lane, where its batches
// have so many segments; that only counts if the body has merge fields and the campaign a
// cap on segments. It errs if what was carried over cannot be rendered.
func (p *Planner) Resume(carry [][]ledger.Call, segments int) error {
	p.segments = segments
	for n, calls := range carry {
		for _, c := range calls {
			if p.renderer == nil {
				for _, x := range c.To {
					p.streams[n].add("", nil, x)
				}
				continue
			}
			body, reason, _ := p.renderer.render(c.Values)
			if reason != "" {
				return fmt.Errorf("plan: a body that was carried over cannot be rendered: %s", reason)
			}
			p.segments += len(c.To) * segmentsOf(body)
			p.streams[n].resume(body, c)
		}
	}
	return nil
}

// Planned is how many recipients are planned so far.
func (p *Planner) Planned() int { return p.count }

// Reading is a page whose numbers have been read.
type Reading struct {
	ledger.Page
	numbers []sms.MSISDN   // 0: it is none
	codes   map[int]string // why not
}

// Read reads the numbers of a page, which takes most of the time that planning takes.
// Unlike the other methods it may be called while other pages are read, and one is planned.
func (p *Planner) Read(page ledger.Page) Reading {
	r := Reading{Page: page, numbers: make([]sms.MSISDN, len(page.Inputs))}
	for i, input := range page.Inputs {
		m, err := sms.ParseMSISDN(input, p.snapshot.Country)
		if err != nil {
			if r.codes == nil {
				r.codes = map[int]string{}
			}
			r.codes[i] = numberCode(err)
			continue
		}
		r.numbers[i] = m
	}
	return r
}

// Numbers are those of the recipients that are numbers, for who has to ask which of
// them have opted out.
func (r Reading) Numbers() []sms.MSISDN {
	out := make([]sms.MSISDN, 0, len(r.numbers))
	for _, m := range r.numbers {
		if m != 0 {
			out = append(out, m)
		}
	}
	return out
}

// Numbers are those of a page that was not read yet.
func (p *Planner) Numbers(page ledger.Page) []sms.MSISDN { return p.Read(page).Numbers() }

// LeaveOut says who of the next page is on a suppression list, and on which. They are left
// out before all else: it does not count who else they would be, or where they would go.
func (p *Planner) SetOptedOut(opted map[sms.MSISDN]string) { p.opted = opted }

// Page plans a page that was not read yet.
func (p *Planner) Page(page ledger.Page, last bool) ledger.PlannedPage {
	return p.Plan(p.Read(page), last)
}

// Plan plans one page, and what is left over with the last one. A page that could not be
// committed is lost, and its planner with it. Windows are the caller's to fill in. What
// it returns shares no memory with what is planned later.
func (p *Planner) Plan(page Reading, last bool) ledger.PlannedPage {
	out := ledger.PlannedPage{Page: page.Number, First: page.First}
	// Most of what is remembered is in no cache; asked for all at once, memory answers faster.
	again := p.seen.contains(page.numbers)
	for i, m := range page.numbers {
		var values []string
		if page.Values != nil {
			values = page.Values[i]
		}
		row := page.First + i
		if m == 0 {
			out.Skipped = append(out.Skipped, ledger.SkippedRecipient{Row: row, Reason: ledger.ReasonInvalidNumber, Code: page.codes[i]})
			continue
		}
		body, to, reason, code := p.assign(m, again[i], values)
		if reason != "" {
			out.Skipped = append(out.Skipped, ledger.SkippedRecipient{Row: row, Reason: reason, Code: code})
			continue
		}
		l := p.streams[to]
		l.add(body, values, ledger.Planned{Row: row, MSISDN: m})
		out.Batches = append(out.Batches, l.ready()...)
		if p.count == p.spec.Canary {
			out.Batches = append(out.Batches, p.flush()...) // the canary has batches, and so calls, of its own
		}
	}
	if last {
		out.Batches = append(out.Batches, p.flush()...)
	}
	next := page.First + len(page.Inputs)
	for _, l := range p.streams {
		for len(l.calls) > 0 && l.calls[0].To[0].Row <= next-ledger.CarryRows {
			out.Batches = append(out.Batches, l.oldest())
		}
	}
	out.Batches = append(out.Batches, p.shrinkCarry()...)
	for _, l := range p.streams {
		out.Carry = append(out.Carry, l.carry())
	}
	return out
}

// close makes batches of all that waits.
func (p *Planner) flush() (out []ledger.PlannedBatch) {
	for _, l := range p.streams {
		for len(l.calls) > 0 {
			out = append(out, l.oldest())
		}
	}
	return out
}

// shrink makes batches of what waits in the fullest lanes until the rest can be carried over.
func (p *Planner) shrinkCarry() (out []ledger.PlannedBatch) {
	sizes, sum := make([]int, len(p.streams)), 0
	for n, l := range p.streams {
		sizes[n] = ledger.CarrySize(l.calls)
		sum += sizes[n]
	}
	for sum > ledger.MaxBodies {
		fullest := 0
		for n := range sizes {
			if sizes[n] > sizes[fullest] {
				fullest = n
			}
		}
		out = append(out, p.streams[fullest].oldest())
		sum -= sizes[fullest]
		sizes[fullest] = ledger.CarrySize(p.streams[fullest].calls)
		sum += sizes[fullest]
	}
	return out
}

// place renders the body for a number and finds the lane that carries it, or says why it
// is left out.
func (p *Planner) assign(m sms.MSISDN, again bool, values []string) (body string, stream int, reason, code string) {
	if list, ok := p.opted[m]; ok {
		return "", 0, ledger.ReasonOptedOut, ledger.ListCode(list)
	}
	seen, low := p.seen.blockOf(m)
	if again || seen.has(low) {
		return "", 0, ledger.ReasonDuplicate, ""
	}
	if body, stream, reason, code = p.assignStream(m, values); reason != "" {
		return "", 0, reason, code // whoever repeats it is left out for the same reason, or is not
	}
	seen.add(low)
	p.count++
	return body, stream, "", ""
}

func (p *Planner) assignStream(m sms.MSISDN, values []string) (body string, stream int, reason, code string) {
	if p.renderer != nil {
		if body, reason, code = p.renderer.render(values); reason != "" {
			return "", 0, reason, code
		}
	}
	account, reason := p.route(m, body)
	if reason != "" {
		return "", 0, reason, ""
	}
	if !p.takeFromCap(body) {
		return "", 0, ledger.ReasonOverCap, ""
	}
	return body, account + p.hoursIndex(m)*len(p.snapshot.Accounts), "", ""
}

// spend counts a message, if the caps allow it.
func (p *Planner) takeFromCap(body string) bool {
	if p.renderer == nil {
		return !p.spec.Capped(p.count)
	}
	if p.spec.MaxMessages > 0 && p.count >= p.spec.MaxMessages {
		return false
	}
	if p.spec.MaxSegments == 0 {
		return true
	}
	n := segmentsOf(body)
	if p.segments+n > p.spec.MaxSegments {
		return false
	}
	p.segments += n
	return true
}

func segmentsOf(body string) int {
	n, _ := sms.Segments(body)
	return n
}
