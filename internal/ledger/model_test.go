package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// model is the expected state of a campaign: plain data and the delivery rules, without Redis. The
// driver applies every step to both and compares them.
type model struct {
	personal bool          // the campaign has merge fields
	now      time.Duration // by a clock that moves only when the test moves it
	expiry   time.Duration // 0: none

	rows  []*modelRow
	pages [][]int // the rows of each page, from 1
	cur   int
	carry [accounts][]int

	calls map[string]*modelCall // by name: batch and call, "b.k"
	gens  map[string]*modelGen  // by name: batch, call and generation, "b.k.g"
	order [accounts][]string    // batches as planned
	moved map[string][]string   // the batches that recipients of a batch moved to
	under map[string]string     // idempotency keys of late results, by "call generation"; the generation is one of another call

	version  string       // version of the opt-outs that the campaign has received
	excluded map[int]bool // rows that the campaign's opt-outs name
	listed   map[int]bool // rows on a suppression list; in this test Redis never loses the lists

	paused    bool
	threshold *modelThreshold
	stop      string
	fin       bool

	retry     *modelRetry
	lastRetry modelRetry
}

// accounts is the number of accounts of a test campaign. Account 0 is at a gateway with idempotency
// keys, account 1 at one without.
const accounts = 2

type modelRow struct {
	left   string // the skip reason of planning or an opt-out
	call   string // "b.k", if it is in a batch
	pos    int
	status campaign.Status
	from   string     // the generation it waits in, or that set the status
	under  string     // the key of that generation, if it belongs to another call
	before *modelSent // the unknown outcome before a retry or a resend
	sent   []modelSent
}

// modelSent is the result of one generation for a recipient.
type modelSent struct {
	gen string
	id  string
}

type modelCall struct {
	rows []int
	next int // number of generations opened so far
}

type modelGen struct {
	call                  string
	number                int
	state                 string // "r", "s", "d" or "t", as in prelude.lua
	members               []int  // positions
	token                 string
	claims, tries         int
	bad, rev              int
	doubt                 bool
	uuid, login           string
	lease, due            time.Duration
	first                 time.Duration
	closedBy, abandonedBy string // tokens: of the last claim, and of the caller that abandoned it
}

type modelRetry struct {
	token             string
	unknown, rejected bool
	batches           []string // batches that the retry must still visit
	count             int
}

func genKey(call string, number int) string { return fmt.Sprintf("%s.%d", call, number) }

func (m *model) clone() *model {
	c := *m
	c.rows = nil
	for _, r := range m.rows {
		x := *r
		x.sent = slices.Clone(r.sent)
		c.rows = append(c.rows, &x)
	}
	for a := range accounts {
		c.carry[a], c.order[a] = slices.Clone(m.carry[a]), slices.Clone(m.order[a])
	}
	c.calls, c.gens = map[string]*modelCall{}, map[string]*modelGen{}
	c.under, c.moved = maps.Clone(m.under), map[string][]string{}
	c.excluded = maps.Clone(m.excluded)
	for k, v := range m.moved {
		c.moved[k] = slices.Clone(v)
	}
	for k, v := range m.calls {
		x := *v
		c.calls[k] = &x
	}
	for k, v := range m.gens {
		x := *v
		x.members = slices.Clone(v.members)
		c.gens[k] = &x
	}
	if m.retry != nil {
		x := *m.retry
		c.retry = &x
	}
	if m.threshold != nil {
		x := *m.threshold
		x.batches = maps.Clone(m.threshold.batches)
		c.threshold = &x
	}
	return &c
}

func (g *modelGen) inFlight() bool { return g != nil && (g.state == "s" || g.state == "d") }

func (m *model) row(call string, pos int) *modelRow { return m.rows[m.calls[call].rows[pos]-1] }

func (m *model) planned() bool { return m.cur == len(m.pages) }

// shown returns what a user sees of a row. A stopped campaign skips the rows that are not in
// flight.
func (m *model) shown(r *modelRow) (campaign.Status, string) {
	switch {
	case r.left != "":
		return campaign.Skipped, r.left
	case r.status != campaign.Pending || m.stop == "":
		return r.status, ""
	case r.call != "" && m.gens[r.from].inFlight():
		return campaign.Pending, ""
	case r.before != nil:
		return campaign.Unknown, ""
	}
	return campaign.Skipped, m.stop
}

func (m *model) pending() (n int) {
	for _, r := range m.rows {
		if s, _ := m.shown(r); s == campaign.Pending {
			n++
		}
	}
	return n
}

func (m *model) finish() {
	if !m.fin && m.pending() == 0 && m.retry == nil && (m.planned() || m.stop != "") {
		m.fin = true
	}
}

func (m *model) stopCampaign(why string) {
	if m.stop == "" && !m.fin {
		m.stop, m.paused = why, false
		m.finish()
	}
}

// waiting returns the positions that are pending in a generation.
func (m *model) waiting(g *modelGen) (out []int) {
	for _, p := range g.members {
		if r := m.row(g.call, p); r.status == campaign.Pending && r.from == genKey(g.call, g.number) {
			out = append(out, p)
		}
	}
	return out
}

func (m *model) closeGen(g *modelGen) {
	g.state, g.closedBy = "t", g.token
}

// tidy updates a generation that lost recipients to a settle. The generation ends when no recipient
// waits in it. If it was not claimed yet, its submission becomes a different request.
func (m *model) tidy(g *modelGen) {
	left := m.waiting(g)
	switch {
	case g.state == "t":
	case len(left) == 0:
		m.closeGen(g)
	case g.state == "r" && len(left) < len(g.members):
		g.members = left
		g.rev++
		g.uuid, g.login = "", ""
	}
}

func (m *model) openGen(call string, members []int, tries int, due time.Duration) {
	c := m.calls[call]
	c.next++
	m.gens[genKey(call, c.next)] = &modelGen{call: call, number: c.next, state: "r", members: members, tries: tries, due: due}
	for _, p := range members {
		r := m.row(call, p)
		if r.status == campaign.Unknown {
			r.before = &r.sent[0]
		}
		r.status, r.from, r.under, r.sent = campaign.Pending, genKey(call, c.next), "", nil
	}
}

type modelClaim struct {
	token, uuid, login string
	rev                int
	keyLife, lease     time.Duration
	staleWake, closed  bool
	origin             string // the batch in which its recipients were planned
	version            string
	ghost              bool // it is in a batch that Redis lost, and was never divided
}

func (m *model) claim(g *modelGen, c modelClaim) (answer ClaimResult, why string) {
	if m.expiry != 0 && m.now >= m.expiry {
		m.stopCampaign(campaign.ReasonExpired)
	}
	if c.ghost {
		return ClaimChanged, ""
	}
	if g == nil || g.state == "t" {
		return ClaimSettled, ""
	}
	if c.staleWake {
		return ClaimStale, ""
	}
	if g.state == "s" {
		if m.now < g.lease {
			return ClaimBusy, ""
		}
		g.state, g.doubt = "d", true
	}
	switch {
	case m.stop != "":
		return ClaimStopped, m.stop
	case m.paused:
		return ClaimPaused, ""
	case m.threshold.beyond(c.origin):
		return ClaimCanary, ""
	case m.now < g.due:
		return ClaimLater, ""
	case g.rev != c.rev:
		return ClaimChanged, ""
	}
	if g.state == "d" {
		switch {
		case g.login != c.login:
			return ClaimDoubtful, "login_changed"
		case c.keyLife == 0:
			return ClaimDoubtful, "no_key"
		case m.now-g.first > c.keyLife:
			return ClaimDoubtful, "key_expired"
		}
	}
	if g.state == "r" && c.version != m.version {
		return ClaimExcluded, ""
	}
	if c.closed {
		return ClaimClosed, ""
	}
	if g.state == "r" && (g.uuid == "" || g.login != c.login) {
		g.uuid, g.login, g.first = c.uuid, c.login, m.now
	}
	g.state, g.token, g.lease = "s", c.token, m.now+c.lease
	g.claims++
	return ClaimGranted, ""
}

// narrow removes recipients that have opted out, by position in the call.
func (m *model) narrow(g *modelGen, rev int, token string, positions []int) (stale bool) {
	if g == nil || g.state != "r" || g.rev != rev || m.stop != "" {
		return true
	}
	for _, p := range positions {
		r := m.row(g.call, p)
		if r.before != nil {
			r.status, r.from, r.under, r.sent, r.before = campaign.Unknown, r.before.gen, "", []modelSent{*r.before}, nil
		} else {
			r.left, r.from = campaign.ReasonOptedOut, ""
		}
	}
	g.token = token
	g.members = slices.DeleteFunc(g.members, func(p int) bool { return slices.Contains(positions, p) })
	if len(g.members) == 0 {
		m.closeGen(g)
	} else {
		g.rev++
		g.uuid, g.login = "", ""
	}
	m.judge()
	m.finish()
	return false
}

func (m *model) doubtEnd(g *modelGen, token string, backOff time.Duration, count bool) (stale bool) {
	if g == nil || g.state == "t" || g.token != token {
		return true
	}
	if g.state == "s" {
		g.state, g.doubt, g.due = "d", true, m.now+backOff
		if count {
			g.bad++
		}
	}
	return false
}

func (m *model) release(g *modelGen, token string, backOff time.Duration, renew bool) (stale bool) {
	switch {
	case g == nil:
		return true
	case g.state == "t":
		return g.closedBy != token
	case g.token != token:
		return true
	case g.state != "s":
		return false
	}
	g.due = m.now + backOff
	if g.doubt {
		g.state = "d"
		return false
	}
	g.state = "r"
	if m.stop != "" {
		m.closeGen(g)
	} else {
		if renew {
			g.rev++
			g.uuid, g.login = "", ""
		}
		m.tidy(g)
	}
	m.finish()
	return false
}

func (m *model) split(g *modelGen, token string, first int) (stale bool) {
	switch {
	case g == nil:
		return true
	case g.state == "t":
		return g.closedBy != token
	case g.token != token || g.state != "s" || g.doubt:
		return true
	}
	left := m.waiting(g)
	m.closeGen(g)
	if m.stop == "" {
		if first == 0 {
			first = (len(left) + 1) / 2
		}
		first = min(first, len(left))
		for _, part := range [][]int{left[:first], left[first:]} {
			if len(part) > 0 {
				m.openGen(g.call, slices.Clone(part), g.tries, 0)
			}
		}
	}
	m.finish()
	return false
}

type modelSettle struct {
	call    string
	gen     int
	token   string
	list    []int // positions
	rows    []int
	uuid    string
	records []campaign.Record
	reason  campaign.SettleReason
	retryIn time.Duration
	resend  bool
	looks   int
}

// settleElsewhere applies a late result to recipients that have moved, or that moved back because
// Redis lost the move. An acceptance ends their wait.
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
			m.calls[r.call].next++ // the generation gets a number in that call too
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

// move moves rows of a batch's generations to batches of another account. to has the calls of each
// new batch.
func (m *model) move(taken map[*modelGen][]int, to map[string][][]int) {
	for g, positions := range taken {
		g.members = slices.DeleteFunc(g.members, func(p int) bool { return slices.Contains(positions, p) })
		if len(g.members) == 0 {
			m.closeGen(g)
			continue
		}
		g.rev++
		g.uuid, g.login = "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(to)) {
		for k, rows := range to[name] {
			call := fmt.Sprintf("%s.%d", name, k)
			g := &modelGen{call: call, state: "r"}
			for pos, row := range rows {
				r := m.rows[row-1]
				r.call, r.pos, r.from, r.under = call, pos, genKey(call, 0), ""
				g.members = append(g.members, pos)
			}
			m.calls[call] = &modelCall{rows: rows}
			m.gens[genKey(call, 0)] = g
		}
	}
}

// below returns a batch and the batches that its recipients moved to, in the order in which a retry
// visits them.
func (m *model) below(batch string) []string {
	out := []string{batch}
	for _, b := range m.moved[batch] {
		out = append(out, m.below(b)...)
	}
	return out
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

func (m *model) settleHere(s modelSettle) (superseded bool) {
	g := m.gens[genKey(s.call, s.gen)]
	forgotten := g == nil
	if forgotten {
		g = &modelGen{call: s.call, number: s.gen, state: "t", closedBy: s.token}
		m.gens[genKey(s.call, s.gen)] = g
		m.calls[s.call].next = max(m.calls[s.call].next, s.gen)
	}
	mine := g.state == "s" && g.token == s.token
	saysAccepted := slices.ContainsFunc(s.records, func(r campaign.Record) bool { return r.Status == campaign.Accepted })
	switch {
	case g.state == "t":
		if s.reason == campaign.SettleAbandon && !forgotten && g.abandonedBy != s.token {
			return true
		}
	case s.reason == campaign.SettleAbandon:
		if g.state == "s" {
			return true
		}
	case !mine && g.state != "r" && s.reason == campaign.SettleVerdict && !saysAccepted:
		return true
	}
	var again, anew []int
	touched := map[*modelGen]bool{g: true}
	state := g.state
	for i, p := range s.list {
		r, x := m.row(s.call, p), s.records[i]
		status := x.Status
		if r.call != s.call {
			continue
		}
		if state != "t" && g.doubt && (status == campaign.Rejected && !fromGateway(s.reason) || status == campaign.Pending && mine) {
			status = campaign.Unknown
		}
		word := modelSent{gen: genKey(s.call, s.gen), id: x.MessageID}
		resolve := func() {
			r.status, r.from, r.under, r.sent = status, word.gen, "", []modelSent{word}
			if status >= campaign.Accepted {
				r.before = nil
			}
		}
		switch {
		case r.left != "":
			if status != campaign.Pending {
				r.left = ""
				resolve()
			}
		case r.status == campaign.Pending && state != "t" && r.from == word.gen:
			switch {
			case status == campaign.Pending && mine && s.reason != campaign.SettlePartial:
				again = append(again, p)
			case status == campaign.Pending:
			case status == campaign.Unknown && state != "r" && (s.reason == campaign.SettlePartial || s.reason == campaign.SettleLookup || !mine && s.reason != campaign.SettleAbandon):
			default:
				if status == campaign.Unknown && s.resend && m.stop == "" && r.before == nil {
					anew = append(anew, p)
				}
				resolve()
			}
		case r.status == campaign.Pending:
			other := m.gens[r.from]
			if status >= campaign.Accepted || forgotten && status != campaign.Pending && !other.inFlight() {
				if other != nil {
					touched[other] = true
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
			single := state == "t" && g.closedBy == s.token && g.claims == 1
			if status == campaign.Rejected && fromGateway(s.reason) || status != campaign.Unknown && single {
				r.status, r.sent = campaign.Rejected, []modelSent{word}
			}
		}
	}
	if len(again) > 0 && m.stop == "" {
		tries := g.tries + 1
		if s.reason == campaign.SettleSpared {
			tries--
		}
		prompt, later, longest := []int(nil), []int(nil), s.retryIn
		for i, p := range s.list {
			switch in := s.records[i].RetryIn; {
			case s.records[i].Status == campaign.Pending && in > s.retryIn:
				longest = max(longest, in)
				if slices.Contains(again, p) {
					later = append(later, p)
				}
			case slices.Contains(again, p):
				prompt = append(prompt, p)
			}
		}
		if len(prompt) > 0 {
			m.openGen(s.call, prompt, tries, m.now+s.retryIn)
		}
		if len(later) > 0 {
			m.openGen(s.call, later, tries, m.now+longest)
		}
	}
	if len(anew) > 0 {
		m.openGen(s.call, anew, g.tries, m.now+s.retryIn)
	}
	gave := g.state != "t" && s.reason == campaign.SettleAbandon
	for x := range touched {
		if x == g && m.stop != "" && len(again) > 0 && len(again) == len(m.waiting(g)) {
			m.closeGen(g)
			continue
		}
		m.tidy(x)
	}
	if gave && g.state == "t" {
		g.abandonedBy = s.token
	}
	if s.reason == campaign.SettleLookup && g.state == "d" && g.bad == s.looks {
		g.due = m.now + s.retryIn
		g.bad++
	}
	if mine && g.state == "s" {
		g.state, g.doubt, g.due = "d", true, m.now+s.retryIn
		if s.reason != campaign.SettleLookup {
			g.bad++
		}
	}
	m.finish()
	return false
}

// fromGateway reports whether a settle is based on the gateway's own answer.
func fromGateway(b campaign.SettleReason) bool {
	return b == campaign.SettleAnswer || b == campaign.SettlePartial || b == campaign.SettleSpared || b == campaign.SettleLookup
}

func (m *model) retryOpen(token string, unknown, rejected bool) error {
	switch {
	case m.lastRetry.token == token:
		return nil
	case m.retry != nil && m.retry.token == token:
		return nil
	case m.retry != nil:
		return ErrBusy
	case m.stop != "" || m.expiry != 0 && m.now >= m.expiry:
		return ErrStopped
	case !m.planned():
		return ErrPlanning
	}
	some := slices.ContainsFunc(m.rows, func(r *modelRow) bool {
		return unknown && r.status == campaign.Unknown || rejected && r.status == campaign.Rejected
	})
	if !some {
		return ErrNothingToRetry
	}
	m.fin = false
	m.retry = &modelRetry{token: token, unknown: unknown, rejected: rejected}
	for a := range accounts {
		for _, b := range m.order[a] {
			m.retry.batches = append(m.retry.batches, m.below(b)...)
		}
	}
	return nil
}

// retryStep reopens the recipients of the next batch of a retry.
func (m *model) retryStep() {
	r := m.retry
	b := r.batches[0]
	r.batches = r.batches[1:]
	for _, call := range slices.Sorted(maps.Keys(m.calls)) {
		if !strings.HasPrefix(call, b+".") || m.stop != "" {
			continue
		}
		var list []int
		for p := range m.calls[call].rows {
			if x := m.row(call, p); x.call == call && x.left == "" && !m.listed[m.calls[call].rows[p]] && (r.unknown && x.status == campaign.Unknown || r.rejected && x.status == campaign.Rejected) {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			m.openGen(call, list, 0, 0)
			r.count += len(list)
			m.threshold.tryAgain(len(list))
		}
	}
	if len(r.batches) == 0 {
		m.lastRetry, m.retry = *r, nil
		m.finish()
	}
}
