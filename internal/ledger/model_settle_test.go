package ledger

import (
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

type modelSettle struct {
	call    string
	gen     int
	token   string
	list    []int // positions of the recipients in the call
	rows    []int
	uuid    string
	records []campaign.Record
	reason  campaign.SettleReason
	retryIn time.Duration
	resend  bool
	looks   int
}

// settleElsewhere applies the accepted results of a late settle to recipients that have moved, or that
// moved back because Redis lost the move. If such a recipient was pending in another call, that call does
// not send to the recipient any more. The result "told" is true if the settle has an accepted result for
// such a recipient.
func (m *model) settleElsewhere(s modelSettle) (told bool) {
	key := genKey(s.call, s.gen)
	if g := m.gens[key]; s.uuid == "" && g != nil {
		s.uuid = g.uuid
	}
	touched := map[*modelGen]bool{}
	for i, row := range s.rows {
		r, x := m.rows[row-1], s.records[i]
		if r.call == s.call || x.Status < campaign.Accepted {
			continue
		}
		told = true
		opted := r.left != ""
		r.left = ""
		word := modelSent{gen: key, id: x.MessageID}
		if _, ok := m.under[r.call+" "+key]; !ok {
			m.under[r.call+" "+key] = s.uuid
			m.calls[r.call].next++ // the settled generation also gets the next generation number in the recipient's present call
		}
		switch {
		case r.status >= campaign.Accepted:
			if !slices.ContainsFunc(r.sent, func(w modelSent) bool { return w.gen == key }) {
				r.sent = append(r.sent, word)
			}
			continue
		case r.status == campaign.Pending && !opted:
			touched[m.gens[r.from]] = true
		}
		r.status, r.from, r.under, r.sent, r.before = x.Status, key, m.under[r.call+" "+key], []modelSent{word}, nil
	}
	for g := range touched {
		m.tidy(g)
	}
	m.finish()
	return told
}

func (m *model) settle(s modelSettle) (superseded, elsewhere bool) {
	if m.calls[s.call] == nil {
		elsewhere = m.settleElsewhere(s)
		return !elsewhere, elsewhere
	}
	if !m.settleHere(s) {
		m.judge()
		return false, m.settleElsewhere(s)
	}
	return true, false
}

// settling is a settle of a generation of the model.
type settling struct {
	modelSettle
	m           *model
	of          *modelGen
	state       string // the state of the generation before the settle
	forgotten   bool   // Redis has lost the generation
	mine        bool   // the settle belongs to the current claim of the generation
	again, anew []int  // positions that go into new generations: the slice "again" has recipients that were refused for now, the slice "anew" has recipients that will be resent
	touched     map[*modelGen]bool
}

func (m *model) settleHere(s modelSettle) (superseded bool) {
	g := m.gens[genKey(s.call, s.gen)]
	forgotten := g == nil
	if forgotten {
		g = &modelGen{call: s.call, number: s.gen, state: "t", closedBy: s.token}
		m.gens[genKey(s.call, s.gen)] = g
		m.calls[s.call].next = max(m.calls[s.call].next, s.gen)
	}
	x := &settling{modelSettle: s, m: m, of: g, state: g.state, forgotten: forgotten, mine: g.state == "s" && g.token == s.token, touched: map[*modelGen]bool{g: true}}
	if x.superseded() {
		return true
	}
	for i, p := range s.list {
		x.settleRow(i, p)
	}
	x.openAgain()
	if len(x.anew) > 0 {
		m.openGen(s.call, x.anew, g.tries, m.now+s.retryIn)
	}
	x.end()
	m.finish()
	return false
}

// superseded reports whether the settle has no effect.
func (x *settling) superseded() bool {
	saysAccepted := slices.ContainsFunc(x.records, func(r campaign.Record) bool { return r.Status == campaign.Accepted })
	switch {
	case x.of.state == "t":
		if x.reason == campaign.SettleAbandon && !x.forgotten && x.of.abandonedBy != x.token {
			return true
		}
	case x.reason == campaign.SettleAbandon:
		if x.of.state == "s" {
			return true
		}
	case !x.mine && x.of.state != "r" && x.reason == campaign.SettleVerdict && !saysAccepted:
		return true
	}
	return false
}

// settleRow applies the i-th record to the recipient at position p of the call.
func (x *settling) settleRow(i, p int) {
	r, answer := x.m.row(x.call, p), x.records[i]
	status := answer.Status
	if r.call != x.call {
		return
	}
	if x.state != "t" && x.of.doubt && (status == campaign.Rejected && !fromGateway(x.reason) || status == campaign.Pending && x.mine) {
		status = campaign.Unknown
	}
	word := modelSent{gen: genKey(x.call, x.gen), id: answer.MessageID}
	resolve := func() {
		r.status, r.from, r.under, r.sent = status, word.gen, "", []modelSent{word}
		if status >= campaign.Accepted {
			r.before = nil
		}
	}
	switch {
	case r.left != "":
		if status >= campaign.Accepted || status != campaign.Pending && (x.forgotten || r.leftIn == word.gen) {
			r.left = ""
			resolve()
		}
	case r.status == campaign.Pending && x.state != "t" && r.from == word.gen:
		x.settlePending(p, r, status, resolve)
	case r.status == campaign.Pending:
		other := x.m.gens[r.from]
		if status >= campaign.Accepted || x.forgotten && status != campaign.Pending && !other.inFlight() {
			if other != nil {
				x.touched[other] = true
			}
			resolve()
		}
	case status >= campaign.Accepted && r.status >= campaign.Accepted:
		if !slices.ContainsFunc(r.sent, func(w modelSent) bool { return w.gen == word.gen }) {
			r.sent = append(r.sent, word)
		}
	case status >= campaign.Accepted:
		resolve()
	case r.status == campaign.Unknown && r.from == word.gen:
		single := x.state == "t" && x.of.closedBy == x.token && x.of.claims == 1
		if status == campaign.Rejected && fromGateway(x.reason) || status != campaign.Unknown && single {
			r.status, r.sent = campaign.Rejected, []modelSent{word}
		}
	}
}

// settlePending applies a status to a recipient that waits for the answer to this generation.
// The function "resolve" sets the status.
func (x *settling) settlePending(p int, r *modelRow, status campaign.Status, resolve func()) {
	switch {
	case status == campaign.Pending && x.mine && x.reason != campaign.SettlePartial:
		x.again = append(x.again, p)
	case status == campaign.Pending:
	case status == campaign.Unknown && x.state != "r" && (x.reason == campaign.SettlePartial || x.reason == campaign.SettleLookup || !x.mine && x.reason != campaign.SettleAbandon):
	default:
		if status == campaign.Unknown && x.resend && x.m.stop == "" && r.before == nil {
			x.anew = append(x.anew, p)
		}
		resolve()
	}
}

// openAgain opens the generations of the recipients that were refused for now.
func (x *settling) openAgain() {
	if len(x.again) > 0 && x.m.stop == "" {
		tries := x.of.tries + 1
		if x.reason == campaign.SettleSpared {
			tries--
		}
		prompt, later, longest := []int(nil), []int(nil), x.retryIn
		for i, p := range x.list {
			switch in := x.records[i].RetryIn; {
			case x.records[i].Status == campaign.Pending && in > x.retryIn:
				longest = max(longest, in)
				if slices.Contains(x.again, p) {
					later = append(later, p)
				}
			case slices.Contains(x.again, p):
				prompt = append(prompt, p)
			}
		}
		if len(prompt) > 0 {
			x.m.openGen(x.call, prompt, tries, x.m.now+x.retryIn)
		}
		if len(later) > 0 {
			x.m.openGen(x.call, later, tries, x.m.now+longest)
		}
	}
}

// The method "end" looks at each generation that the settle touched. It closes the generation if
// no recipient waits there any more. If the settled generation has waiting recipients, it stays
// in doubt.
func (x *settling) end() {
	gave := x.of.state != "t" && x.reason == campaign.SettleAbandon
	for other := range x.touched {
		if other == x.of && x.m.stop != "" && len(x.again) > 0 && len(x.again) == len(x.m.waiting(x.of)) {
			x.m.closeGen(x.of)
			continue
		}
		x.m.tidy(other)
	}
	if gave && x.of.state == "t" {
		x.of.abandonedBy = x.token
	}
	if x.reason == campaign.SettleLookup && x.of.state == "d" && x.of.bad == x.looks {
		x.of.due = x.m.now + x.retryIn
		x.of.bad++
	}
	if x.mine && x.of.state == "s" {
		x.of.state, x.of.doubt, x.of.due = "d", true, x.m.now+x.retryIn
		if x.reason != campaign.SettleLookup {
			x.of.bad++
		}
	}
}

// fromGateway reports whether a settle is based on the gateway's own answer.
func fromGateway(b campaign.SettleReason) bool {
	return b == campaign.SettleAnswer || b == campaign.SettlePartial || b == campaign.SettleSpared || b == campaign.SettleLookup
}
