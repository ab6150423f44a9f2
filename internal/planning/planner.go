// Package planning decides, without Redis, what happens to each uploaded recipient of a campaign.
// It skips a recipient with a reason, or assigns the recipient to a batch, a call of an account,
// and a body. A worker commits the result to Redis. A preview only counts the recipients in the
// result.
package planning

import (
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// Planner turns the pages of one campaign, in order, into batches. It remembers every number that
// it has planned, in three to six bytes each. In a campaign with merge fields it also remembers a
// hash of every message, in 11 to 22 bytes each. For each stream it keeps the calls that are not
// full yet, so that recipients with the same body share a call. Recipients of one call must be at
// most campaign.CarryRows rows apart. All waiting calls together must not exceed the limit for
// what a page may carry over to the next page.
//
// The result depends only on the input. If another Planner gets the same pages, it produces the
// same batches. A Planner is not safe for concurrent use.
type Planner struct {
	spec     campaign.Spec
	snapshot campaign.PlanSnapshot
	renderer *renderer // nil if the campaign is not personalized
	seen     *msisdnSet
	messages *messageSet // nil if the campaign has no merge fields
	each     bool        // true if a number gets each of its different texts (campaign.DuplicatesEach)
	streams  []*stream
	codes    []string // the calling code of each country in SendingHours
	count    int
	segments int
	// opted maps each suppressed recipient of the next page to the suppression list that has it.
	opted map[sms.MSISDN]string
}

// New returns a planner for a campaign. The snapshot must have at least one account. New returns an
// error if the campaign's template cannot be parsed.
func New(spec campaign.Spec, snapshot campaign.PlanSnapshot) (*Planner, error) {
	p := &Planner{spec: spec, snapshot: snapshot, seen: newMSISDNSet(), codes: callingCodes(snapshot)}
	for n := range snapshot.Streams() {
		p.streams = append(p.streams, newStream(snapshot.Stream(n)))
	}
	if !spec.Personalized() {
		return p, nil
	}
	p.messages, p.each = newMessageSet(), spec.Duplicates == campaign.DuplicatesEach
	var err error
	p.renderer, err = newRenderer(spec)
	return p, err
}

// Remember adds a recipient that an earlier planner has put into a batch or carried over. body is
// the recipient's text. It is empty in a plain campaign. It is also empty for a recipient that was
// carried over, because Resume renders that text.
func (p *Planner) Remember(x campaign.Planned, body string) {
	p.seen.add(x.MSISDN)
	if p.messages != nil && body != "" {
		p.messages.add(x.MSISDN, body)
	}
	p.count++
}

// Resume adds the calls that an earlier planner carried over. The parameter "carry" has the calls of
// each stream. The parameter "segments" is the number of segments in the earlier planner's batches.
// Only a personalized campaign with a segment cap uses this number. Resume returns an error if the
// body of a carried call cannot be rendered.
func (p *Planner) Resume(carry [][]campaign.Call, segments int) error {
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
				return fmt.Errorf("plan: cannot render the text of a recipient that an earlier page carried over: %s", reason)
			}
			p.segments += len(c.To) * segmentsOf(body)
			for _, x := range c.To {
				p.messages.add(x.MSISDN, body)
			}
			p.streams[n].resume(body, c)
		}
	}
	return nil
}

// Planned returns how many recipients have been planned so far.
func (p *Planner) Planned() int { return p.count }

// Reading is a page with its numbers parsed.
type Reading struct {
	campaign.Page
	numbers []sms.MSISDN   // 0 if the input is not a valid number
	codes   map[int]string // by index of the number, the code that says why the number is not valid
}

// Read parses the numbers of a page. This takes most of the time of planning. Unlike the other
// methods, Read is safe for concurrent use.
func (p *Planner) Read(page campaign.Page) Reading {
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

// Numbers returns the valid numbers of the page. The caller looks up which of these numbers have
// opted out.
func (r Reading) Numbers() []sms.MSISDN {
	out := make([]sms.MSISDN, 0, len(r.numbers))
	for _, m := range r.numbers {
		if m != 0 {
			out = append(out, m)
		}
	}
	return out
}

// Numbers parses a page and returns its valid numbers. Use it for a page that Read has not parsed.
func (p *Planner) Numbers(page campaign.Page) []sms.MSISDN { return p.Read(page).Numbers() }

// SetOptedOut sets the suppressed numbers of the next page, each with its suppression list. Plan
// checks these numbers first: a suppressed recipient is skipped as opted out, even if another
// reason would apply too.
func (p *Planner) SetOptedOut(opted map[sms.MSISDN]string) { p.opted = opted }

// Page calls Read and then Plan. The parameter "last" is true if this is the campaign's last page.
func (p *Planner) Page(page campaign.Page, last bool) campaign.PlannedPage {
	return p.Plan(p.Read(page), last)
}

// Plan plans one page. For the last page, it also plans the calls that were carried over. If the
// result cannot be committed, the caller must discard the planner. The caller sets
// OpenBatchLimits in the result. The result shares no memory with the results of later pages.
func (p *Planner) Plan(page Reading, last bool) campaign.PlannedPage {
	out := campaign.PlannedPage{Page: page.Number, First: page.First}
	// Most entries of the set p.seen are not in the CPU's cache. If all numbers of the page are looked
	// up together, the CPU can overlap its reads from memory.
	again := p.seen.contains(page.numbers)
	for i, m := range page.numbers {
		var values []string
		if page.Values != nil {
			values = page.Values[i]
		}
		row := page.First + i
		if m == 0 {
			out.Skipped = append(out.Skipped, campaign.SkippedRecipient{Row: row, Reason: campaign.ReasonInvalidNumber, Code: page.codes[i]})
			continue
		}
		body, to, reason, code := p.assign(m, again[i], values)
		if reason != "" {
			out.Skipped = append(out.Skipped, campaign.SkippedRecipient{Row: row, Reason: reason, Code: code})
			continue
		}
		l := p.streams[to]
		l.add(body, values, campaign.Planned{Row: row, MSISDN: m})
		out.Batches = append(out.Batches, l.ready()...)
		if p.count == p.spec.Canary {
			out.Batches = append(out.Batches, p.flush()...) // complete the batches here, so that the canary shares no batch and no call with later recipients
		}
	}
	if last {
		out.Batches = append(out.Batches, p.flush()...)
	}
	next := page.First + len(page.Inputs)
	for _, l := range p.streams {
		for len(l.calls) > 0 && l.calls[0].To[0].Row <= next-campaign.CarryRows {
			out.Batches = append(out.Batches, l.oldest())
		}
	}
	out.Batches = append(out.Batches, p.shrinkCarry()...)
	for _, l := range p.streams {
		out.Carry = append(out.Carry, l.carry())
	}
	return out
}

// The method "flush" puts all waiting calls into batches.
func (p *Planner) flush() (out []campaign.PlannedBatch) {
	for _, l := range p.streams {
		for len(l.calls) > 0 {
			out = append(out, l.oldest())
		}
	}
	return out
}

// shrinkCarry puts the oldest calls of the fullest streams into batches, until the remaining
// waiting calls are few enough to be carried over.
func (p *Planner) shrinkCarry() (out []campaign.PlannedBatch) {
	sizes, sum := make([]int, len(p.streams)), 0
	for n, l := range p.streams {
		sizes[n] = campaign.CarrySize(l.calls)
		sum += sizes[n]
	}
	for sum > campaign.MaxBodies {
		fullest := 0
		for n := range sizes {
			if sizes[n] > sizes[fullest] {
				fullest = n
			}
		}
		out = append(out, p.streams[fullest].oldest())
		sum -= sizes[fullest]
		sizes[fullest] = campaign.CarrySize(p.streams[fullest].calls)
		sum += sizes[fullest]
	}
	return out
}

// assign renders the body for the number m. It returns the body and the stream that sends it. If
// the recipient is skipped, it returns the reason. The parameter "again" is true if the number was
// planned on an earlier page.
func (p *Planner) assign(m sms.MSISDN, again bool, values []string) (body string, stream int, reason, code string) {
	if list, ok := p.opted[m]; ok {
		return "", 0, campaign.ReasonOptedOut, campaign.ListCode(list)
	}
	seen, low := p.seen.blockOf(m)
	if again = again || seen.has(low); again && !p.each {
		return "", 0, campaign.ReasonDuplicate, p.duplicateCode(m, values)
	}
	if body, stream, reason, code = p.assignStream(m, again, values); reason != "" {
		return "", 0, reason, code // p.seen does not get the number, so that a later recipient with this number is not a duplicate
	}
	seen.add(low)
	if p.messages != nil {
		p.messages.add(m, body)
	}
	p.count++
	return body, stream, "", ""
}

// duplicateCode returns campaign.CodeOtherText if the recipient, whose number m was planned before,
// would get another text. Otherwise it returns "". It also returns "" if the recipient has no text,
// because a value is missing.
func (p *Planner) duplicateCode(m sms.MSISDN, values []string) string {
	if p.renderer == nil {
		return ""
	}
	if body, reason, _ := p.renderer.render(values); reason != "" || p.messages.has(m, body) {
		return ""
	}
	return campaign.CodeOtherText
}

// assignStream is the second part of assign. It runs after the checks for opt-outs and for
// duplicate numbers.
func (p *Planner) assignStream(m sms.MSISDN, again bool, values []string) (body string, stream int, reason, code string) {
	if p.renderer != nil {
		if body, reason, code = p.renderer.render(values); reason != "" {
			return "", 0, reason, code
		}
		if again && p.messages.has(m, body) {
			return "", 0, campaign.ReasonDuplicate, ""
		}
	}
	account, reason := p.route(m, body)
	if reason != "" {
		return "", 0, reason, ""
	}
	if !p.takeFromCap(body) {
		return "", 0, campaign.ReasonOverCap, ""
	}
	return body, account + p.hoursIndex(m)*len(p.snapshot.Accounts), "", ""
}

// takeFromCap counts a message with this body in the campaign's caps. It returns false if the
// message would exceed a cap.
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
