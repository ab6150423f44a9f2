package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// model is the expected state of a campaign: plain data and the delivery rules, without Redis. The
// driver applies every step to the model and to the ledger, and compares their states.
type model struct {
	personal bool          // the campaign has merge fields
	now      time.Duration // the time of a clock that moves only when the test moves it
	expiry   time.Duration // when the campaign expires; 0: never

	rows  []*modelRow
	pages [][]int // the rows of the recipients of each page; the first row is 1
	cur   int
	carry [modelAccounts][]int

	calls map[string]*modelCall   // the key is the name: batch and call, "b.k"
	gens  map[string]*modelGen    // the key is the name: batch, call and generation, "b.k.g"
	order [modelAccounts][]string // names of the batches of each account, in the order of planning
	moved map[string][]string     // the batches that recipients of a batch moved to
	// The key of the map is "CALL GENERATION". A recipient of this call has a late result of this generation,
	// which belongs to another call. The value is the idempotency key of the generation.
	under map[string]string

	version  string // version of the opt-outs that the campaign has received
	optOuts  []modelOptOut
	excluded map[int]bool // rows of recipients in the opt-outs that the campaign has received
	listed   map[int]bool // rows on a suppression list; in this test Redis never loses the lists

	paused    bool
	threshold *modelThreshold
	stop      string
	fin       bool

	retry     *modelRetry
	lastRetry modelRetry
}

// modelAccounts is the number of accounts of a test campaign. Account 0 is at a gateway with
// idempotency keys, account 1 is at a gateway without such keys.
const modelAccounts = 2

type modelRow struct {
	left   string // the reason for which planning or an opt-out skipped the recipient
	leftIn string // the generation that an opt-out took the recipient out of
	call   string // the name "b.k" of its call, if the recipient is in a batch
	pos    int
	status campaign.Status
	from   string     // the generation that the recipient waits in, or that has set its status
	under  string     // the idempotency key of the generation in the field "from", if that generation belongs to another call
	before *modelSent // the unknown outcome before a retry or a resend
	// report is Delivered or Undelivered once a delivery report about an accepted message came.
	report campaign.Status
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
	members               []int  // positions of its recipients in the call
	token                 string
	claims, tries         int
	bad, rev              int
	doubt                 bool
	uuid, login           string
	lease, due            time.Duration
	first                 time.Duration
	closedBy, abandonedBy string // tokens: of the last claim, and of the caller that abandoned the generation
	keyedBy               string // token of the first claim under the uuid
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
	for a := range modelAccounts {
		c.carry[a], c.order[a] = slices.Clone(m.carry[a]), slices.Clone(m.order[a])
	}
	c.calls, c.gens = map[string]*modelCall{}, map[string]*modelGen{}
	c.under, c.moved = maps.Clone(m.under), map[string][]string{}
	c.excluded, c.optOuts = maps.Clone(m.excluded), slices.Clone(m.optOuts)
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

// The method "shown" returns what a user sees of a row. A stopped campaign skips the rows that are not in
// flight.
func (m *model) shown(r *modelRow) (campaign.Status, string) {
	switch {
	case r.left != "":
		return campaign.Skipped, r.left
	case r.status == campaign.Accepted && r.report != campaign.Pending:
		return r.report, ""
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

// The method "waiting" returns the positions that are pending in a generation.
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
	rows               []int // rows of the recipients, if the claim names them
	ghost              bool  // Redis and the model have lost the batch, but the worker still has generation 0 of a call of the batch
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
	if g.state == "r" && c.version != m.version && (c.rows == nil || m.mayConcern(c.version, c.rows)) {
		return ClaimExcluded, ""
	}
	if c.closed {
		return ClaimClosed, ""
	}
	if g.state == "r" && (g.uuid == "" || g.login != c.login) {
		g.uuid, g.login, g.first, g.keyedBy = c.uuid, c.login, m.now, c.token
	}
	g.state, g.token, g.lease = "s", c.token, m.now+c.lease
	g.claims++
	return ClaimGranted, ""
}

// The method "narrow" removes recipients that have opted out, by position in the call.
func (m *model) narrow(g *modelGen, rev int, token string, positions []int) (stale bool) {
	if g == nil || g.state != "r" || g.rev != rev || m.stop != "" {
		return true
	}
	for _, p := range positions {
		r := m.row(g.call, p)
		if r.before != nil {
			r.status, r.from, r.under, r.sent, r.before = campaign.Unknown, r.before.gen, "", []modelSent{*r.before}, nil
		} else {
			r.left, r.leftIn, r.from = campaign.ReasonOptedOut, genKey(g.call, g.number), ""
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

func (m *model) release(g *modelGen, token string, backOff time.Duration, of ReleaseOf) (stale bool) {
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
		if of == ReleaseAnswered {
			g.rev++
		}
		if of == ReleaseAnswered || of == ReleaseUnused && g.token == g.keyedBy {
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
		parts := slices.Collect(slices.Chunk(left, max(1, (len(left)+7)/8)))
		if first > 0 {
			first = min(first, len(left))
			parts = [][]int{left[:first], left[first:]}
		}
		for _, part := range parts {
			if len(part) > 0 {
				m.openGen(g.call, slices.Clone(part), g.tries, 0)
			}
		}
	}
	m.finish()
	return false
}
