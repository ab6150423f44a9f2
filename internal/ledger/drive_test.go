package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// driver does a random sequence of everything that can happen to a campaign, to
// the ledger and to the model, and compares them after every step.
type driver struct {
	rt  *rapid.T
	ctx context.Context
	id  string
	l   *Ledger
	rdb *redis.Client
	m   *model
	gw  *gateway
	say *again

	plan   *Plan // of the planner that is up to date
	behind *Plan // of one that may not be
	read   []reading
	ends   []end
	uuids  map[string]string // I2: what each message_uuid stood for
	best   map[int]Status    // I4: the most that was known of each row
	asked  map[int]int       // by row: how often it was retried
	noKey  map[string]bool   // I3: generations at account 1 that may have been taken
	saves  []save
	forgot bool
	steps  int
}

// reading is a generation as some worker read it, and may act on however late.
type reading struct {
	batch string
	gen   *Generation
	rev   int
}

// end is something that a worker has to tell the ledger about a claim; it may do
// so at any time, and more than once.
type end struct {
	what string
	do   func()
}

// save is a moment that a Redis which forgets may go back to.
type save struct {
	ledger, open string
	model        *model
}

func (d *driver) ok(err error) {
	if err != nil {
		d.rt.Fatal(err)
	}
}

func (d *driver) draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.rt, what) }

// chance is true once in n times.
func (d *driver) chance(n int, what string) bool { return d.draw(n, what) == n-1 }

func (d *driver) enqueue() {
	d.m = &model{calls: map[string]*modelCall{}, gens: map[string]*modelGen{}}
	n := 1 + d.draw(24, "recipients")
	spec := Spec{Body: "Habari"}
	if d.chance(3, "expires") {
		d.m.expiry = 40 * 24 * time.Hour
		spec.ExpiresAt = time.Now().Add(d.m.expiry)
	}
	u, err := d.l.Begin(d.id, spec)
	d.ok(err)
	pageSize := 1 + d.draw(12, "page size")
	for row := 1; row <= n; row++ {
		if u.rows == pageSize {
			d.ok(u.flush(d.ctx, 1)) // small pages, so that planning has several
		}
		d.ok(u.Add(d.ctx, number(row).E164()))
		d.m.rows = append(d.m.rows, &modelRow{})
		if (row-1)%pageSize == 0 {
			d.m.pages = append(d.m.pages, nil)
		}
		last := len(d.m.pages) - 1
		d.m.pages[last] = append(d.m.pages[last], row)
	}
	_, err = u.Commit(d.ctx)
	d.ok(err)
}

func (d *driver) startPlan() *Plan {
	p, err := d.l.StartPlan(d.ctx, d.id, func(Spec) (Frozen, error) {
		return Frozen{Country: "KE", Accounts: []FrozenAccount{{Name: "a0", MaxRecipients: 6, BatchSize: 6}, {Name: "a1", MaxRecipients: 6, BatchSize: 6}}}, nil
	})
	d.ok(err)
	if wantNil := d.m.planned() || d.m.stop != ""; (p == nil) != wantNil {
		d.rt.Fatalf("a plan to start: %t, want %t", p != nil, !wantNil)
	}
	return p
}

// planPage plans the page at which a planner stands, whether or not it is too late.
func (d *driver) planPage() {
	if d.plan == nil || d.chance(3, "planner starts again") {
		d.plan = d.startPlan()
	}
	if d.plan == nil {
		return
	}
	if d.behind == nil {
		other := *d.plan
		d.behind = &other
	}
	p := d.plan
	if d.chance(5, "planner is behind") {
		p = d.behind
	}
	if p.Next == len(d.m.pages) {
		return // it knows that it is through
	}
	if p.Next != d.m.cur || d.m.stop != "" {
		_, _, err := p.CommitPage(d.ctx, NewToken(), PlannedPage{Page: p.Next, First: 1, LeftOut: []LeftOut{{Row: 1, Reason: ReasonDuplicate}}})
		want := ErrMoved
		if d.m.stop != "" {
			want = ErrStopped
		}
		if !errors.Is(err, want) {
			d.rt.Fatalf("a planner at page %d of %d was told %v, want %v", p.Next, d.m.cur, err, want)
		}
		d.plan, d.behind = nil, nil
		return
	}
	page := d.fillPage(p)
	wakes, done, err := p.CommitPage(d.ctx, NewToken(), page)
	d.ok(err)
	d.m.cur++
	d.m.finish()
	if done != d.m.fin {
		d.rt.Fatalf("done is %t after planning, want %t", done, d.m.fin)
	}
	d.watched(wakes)
	d.plan = p
	if p == d.behind {
		d.behind = nil
	}
}

func (d *driver) fillPage(p *Plan) PlannedPage {
	rows := d.m.pages[p.Next]
	page := PlannedPage{Page: p.Next, First: rows[0], Windows: map[int]int{0: 1 + d.draw(3, "window"), 1: 1 + d.draw(3, "window")}}
	for a, c := range p.Carry {
		if len(c) != len(d.m.carry[a]) {
			d.rt.Fatalf("account %d carries %d over, want %d", a, len(c), len(d.m.carry[a]))
		}
	}
	for _, row := range rows {
		switch to := d.draw(8, "place"); to {
		case 0:
			page.LeftOut = append(page.LeftOut, LeftOut{Row: row, Reason: ReasonInvalidNumber, Code: "too_short"})
			d.m.rows[row-1].left = ReasonInvalidNumber
		case 1:
			page.LeftOut = append(page.LeftOut, LeftOut{Row: row, Reason: ReasonDuplicate})
			d.m.rows[row-1].left = ReasonDuplicate
		default:
			d.m.carry[to%accounts] = append(d.m.carry[to%accounts], row)
		}
	}
	last := p.Next+1 == len(d.m.pages)
	page.Carry = make([][]Planned, accounts)
	for a := range accounts {
		for len(d.m.carry[a]) > 0 && (last || d.chance(2, "batch")) {
			page.Batches = append(page.Batches, d.cutBatch(a))
		}
		for _, row := range d.m.carry[a] {
			page.Carry[a] = append(page.Carry[a], Planned{Row: row, MSISDN: number(row)})
		}
	}
	return page
}

// cutBatch takes calls of one to six off what an account carries.
func (d *driver) cutBatch(a int) PlannedBatch {
	b := PlannedBatch{Account: a}
	name := BatchName(a, len(d.m.order[a]))
	d.m.order[a] = append(d.m.order[a], name)
	for k := range 1 + d.draw(3, "calls") {
		rows := d.m.carry[a][:min(1+d.draw(6, "call size"), len(d.m.carry[a]))]
		if len(rows) == 0 {
			break
		}
		d.m.carry[a] = d.m.carry[a][len(rows):]
		b.Calls = append(b.Calls, len(rows))
		call := name + "." + strconv.Itoa(k)
		d.m.calls[call] = &modelCall{rows: rows}
		g := &modelGen{call: call, state: "r"}
		for pos, row := range rows {
			b.To = append(b.To, Planned{Row: row, MSISDN: number(row)})
			d.m.rows[row-1].call, d.m.rows[row-1].pos = call, pos
			g.members = append(g.members, pos)
		}
		d.m.gens[genKey(call, 0)] = g
	}
	return b
}

// watched checks that batches which were handed out can be found by the sweeper,
// as long as something is open in them.
func (d *driver) watched(wakes []Wake) {
	for _, w := range wakes {
		open, err := d.rdb.HExists(d.ctx, ledgerKey(d.id), "l"+w.Batch).Result()
		d.ok(err)
		if err := d.rdb.ZScore(d.ctx, openKey(d.id), w.Batch).Err(); err != nil && open && d.m.stop == "" {
			d.rt.Fatalf("batch %s was handed out and is not watched: %v", w.Batch, err)
		}
	}
}

// look reads a batch that was handed out.
func (d *driver) look() *Work {
	open, err := d.rdb.ZRange(d.ctx, openKey(d.id), 0, -1).Result()
	d.ok(err)
	open = slices.DeleteFunc(open, func(s string) bool { return s == PlanWork })
	if len(open) == 0 {
		return nil
	}
	w, err := d.l.LoadWork(d.ctx, d.id, open[d.draw(len(open), "batch")])
	d.ok(err)
	for _, g := range w.Open {
		rev, err := strconv.Atoi(g.Revision)
		d.ok(err)
		d.read = append(d.read, reading{batch: w.Batch.Name, gen: g, rev: rev})
	}
	return w
}

// claim asks to submit what was just read, or was read long ago.
func (d *driver) claim() {
	w := d.look()
	if len(d.read) == 0 {
		return
	}
	r := d.read[len(d.read)-1-d.draw(min(len(d.read), 4), "reading")]
	if d.chance(6, "an old reading") {
		r = d.read[d.draw(len(d.read), "reading")]
	}
	wake := 0
	stale := false
	if w != nil && w.Batch.Name == r.batch && d.chance(8, "a stale wake") && w.Wake > 1 {
		wake, stale = w.Wake-1, true
	}
	lease := []time.Duration{lapsed, time.Hour}[d.draw(2, "lease")]
	d.ask(r, wake, stale, lease)
}

func (d *driver) ask(r reading, wake int, stale bool, lease time.Duration) *Claim {
	a, err := BatchAccount(r.batch)
	d.ok(err)
	call := r.batch + "." + strconv.Itoa(r.gen.Call)
	mg := d.m.gens[genKey(call, r.gen.Number)]
	login := "one"
	if d.chance(6, "another login") {
		login = "two"
	}
	keyLife := []time.Duration{keyed, noKey}[a]
	was := "?"
	if mg != nil {
		was = mg.state
	}
	req := ClaimRequest{ID: d.id, Batch: r.batch, Wake: wake, Gen: r.gen, UUID: requestID(r.batch, r.gen, login), Login: login,
		KeyLife: keyLife, Lease: lease, Window: 1 + d.draw(3, "window")}
	c, err := d.l.Claim(d.ctx, req)
	d.ok(err)
	d.rt.Logf("claim %s.%d rev %d login %s wake %d lease %v by %s: %s %s", call, r.gen.Number, r.rev, login, wake, lease, c.Token, c.Answer, c.Why)
	want, why := d.m.claim(mg, modelClaim{token: c.Token, uuid: req.UUID.String(), login: login, rev: r.rev, keyLife: keyLife, lease: lease, staleWake: stale})
	if c.Answer != want || c.Why != why {
		d.rt.Fatalf("claim of %s.%d (%s) was told %q %q, want %q %q", call, r.gen.Number, was, c.Answer, c.Why, want, why)
	}
	switch {
	case c.Answer == ClaimGo:
		d.went(r, call, a, mg, c, login)
	case c.Answer == ClaimDoubtful || c.Answer == ClaimStopped && c.Doubt:
		d.giveUp(r, call, c)
	}
	return c
}

// giveUp is a worker's decision not to submit a doubtful generation again.
func (d *driver) giveUp(r reading, call string, c *Claim) {
	d.settleLater("abandon", r, call, c, repeat(len(r.gen.To), unknown(c.Why)), Abandon, 0)
}

// went submits what was told to go, and leaves behind what the worker has to tell.
func (d *driver) went(r reading, call string, a int, mg *modelGen, c *Claim, login string) {
	// I5.
	if d.m.paused || d.m.stop != "" {
		d.rt.Fatalf("I5: a claim was told to go while the campaign is paused (%t) or stopped (%q)", d.m.paused, d.m.stop)
	}
	var rows []int
	var list strings.Builder
	fmt.Fprintf(&list, "%s %s", r.batch, login)
	for _, p := range r.gen.To {
		rows = append(rows, p.Row)
		fmt.Fprintf(&list, " %d", p.Row)
	}
	if was, ok := d.uuids[c.UUID.String()]; ok && was != list.String() {
		d.rt.Fatalf("I2: uuid %s stood for %q and now for %q", c.UUID, was, list.String())
	}
	d.uuids[c.UUID.String()] = list.String()
	if mg.uuid != c.UUID.String() || mg.doubt != c.Doubt || mg.tries != c.Tries {
		d.rt.Fatalf("the claim says uuid %s doubt %t tries %d, want %s %t %d", c.UUID, c.Doubt, c.Tries, mg.uuid, mg.doubt, mg.tries)
	}
	if gen := genKey(call, r.gen.Number); d.noKey[gen] && !d.forgot {
		d.rt.Fatalf("I3: generation %s may have been taken at a gateway without a key, and was told to go again", gen)
	}
	answer := d.gw.submit(a, login+c.UUID.String(), rows)
	if a == 1 && (answer.kind == lost || answer.kind == partial || answer.kind == answered) {
		d.noKey[genKey(call, r.gen.Number)] = true
	}
	d.rt.Logf("  sent to %v: %s %v", rows, answer.kind, answer.records)
	d.reactTo(r, call, a, c, answer)
}

func (d *driver) reactTo(r reading, call string, a int, c *Claim, answer reply) {
	n := len(r.gen.To)
	backOff := []time.Duration{0, 2 * time.Hour}[d.draw(2, "back-off")]
	number := r.gen.Number
	switch answer.kind {
	case unreached:
		d.later("release", func() {
			if d.releaseNow(call, number, c, backOff, d.chance(2, "renew")) {
				d.settleNow(call, r, c, repeat(n, notSent()), Verdict, 0)
			}
		})
	case busy:
		if d.chance(2, "busy is an answer") {
			d.settleLater("busy", r, call, c, repeat(n, notNow()), Answer, backOff)
		} else {
			d.later("renew", func() { d.releaseNow(call, number, c, backOff, true) })
		}
	case refused:
		switch d.draw(3, "refusal") {
		case 0:
			d.settleLater("refuse", r, call, c, repeat(n, rejected("refused")), Verdict, 0)
		case 1:
			d.later("renew", func() { d.releaseNow(call, number, c, backOff, true) })
		case 2:
			d.later("split", func() { d.splitNow(call, number, c) })
		}
	case answered:
		d.settleLater("settle", r, call, c, answer.records, Answer, backOff)
	case partial:
		basis := Answer
		if a == 0 {
			basis = Partial
		}
		d.settleLater("partial", r, call, c, answer.records, basis, backOff)
	case lost:
		if a == 1 && d.chance(2, "unknown at once") {
			d.settleLater("unknown", r, call, c, repeat(n, unknown("no_answer")), Verdict, 0)
			return
		}
		count := d.chance(2, "counts")
		d.later("doubt", func() {
			mg := d.m.gens[genKey(call, number)]
			out, err := d.l.Doubt(d.ctx, c, backOff, count)
			d.ok(err)
			stale := d.m.doubtEnd(mg, c.Token, backOff, count)
			if out.Stale != stale || !stale && out.Count != mg.bad {
				d.rt.Fatalf("doubt came to %+v, want stale %t", out, stale)
			}
		})
	}
}

func (d *driver) later(what string, do func()) { d.ends = append(d.ends, end{what, do}) }

func (d *driver) settleLater(what string, r reading, call string, c *Claim, records []Record, basis Basis, retryIn time.Duration) {
	d.later(what, func() { d.settleNow(call, r, c, records, basis, retryIn) })
}

func (d *driver) settleNow(call string, r reading, c *Claim, records []Record, basis Basis, retryIn time.Duration) {
	list := make([]int, len(r.gen.To))
	for i := range list {
		list[i] = i
		if p := r.gen.positions; p != "" {
			list[i] = int(binary.BigEndian.Uint16([]byte(p[2*i:])))
		}
	}
	d.rt.Logf("  settle %s.%d by %s: %s %v", call, r.gen.Number, c.Token, basis, records)
	out, err := d.l.Settle(d.ctx, c, records, basis, 1, retryIn)
	d.ok(err)
	stale := d.m.settle(modelSettle{call: call, gen: r.gen.Number, token: c.Token, list: list, records: records, basis: basis, retryIn: retryIn})
	d.ended("settle", out, stale)
}

func (d *driver) releaseNow(call string, number int, c *Claim, backOff time.Duration, renew bool) (stale bool) {
	out, err := d.l.Release(d.ctx, c, backOff, renew)
	d.ok(err)
	d.rt.Logf("  release %s.%d by %s renew %t: stale %t", call, number, c.Token, renew, out.Stale)
	stale = d.m.release(d.m.gens[genKey(call, number)], c.Token, backOff, renew)
	d.ended("release", out, stale)
	return stale
}

func (d *driver) splitNow(call string, number int, c *Claim) {
	out, err := d.l.Split(d.ctx, c)
	d.ok(err)
	d.rt.Logf("  split %s.%d by %s: stale %t", call, number, c.Token, out.Stale)
	d.ended("split", out, d.m.split(d.m.gens[genKey(call, number)], c.Token))
}

func (d *driver) ended(what string, out Settled, stale bool) {
	if out.Stale != stale {
		d.rt.Fatalf("%s: stale is %t, want %t", what, out.Stale, stale)
	}
	if !stale && out.Done != d.m.fin {
		d.rt.Fatalf("%s: done is %t, want %t", what, out.Done, d.m.fin)
	}
	d.watched(out.Wakes)
}

// end tells the ledger something that a worker has to tell, perhaps not for the
// last time; or the worker dies and never does.
func (d *driver) end() {
	if len(d.ends) == 0 {
		return
	}
	i := len(d.ends) - 1 - d.draw(min(3, len(d.ends)), "end")
	if d.chance(3, "a late end") {
		i = d.draw(len(d.ends), "end")
	}
	e := d.ends[i]
	if !d.chance(10, "dies") {
		d.rt.Log("end:", e.what)
		e.do()
	}
	if !d.chance(3, "again later") {
		d.ends = slices.Delete(d.ends, i, i+1)
	}
}

func (d *driver) control() {
	order := rapid.SampledFrom([]string{"pause", "pause", "resume", "resume", "resume", "cancel"}).Draw(d.rt, "order")
	if order == "cancel" && !d.chance(3, "really") {
		order = "resume"
	}
	var want error
	switch {
	case d.m.stop == ReasonCancelled && order == "cancel":
	case d.m.stop == ReasonCancelled:
		want = ErrStopped
	case d.m.stop != "" || d.m.fin:
		want = ErrDone
	case order == "cancel":
		d.m.halt(ReasonCancelled)
	default:
		d.m.paused = order == "pause"
	}
	do := map[string]func(context.Context, string, string) (InFlight, error){"pause": d.l.Pause, "resume": d.l.Resume, "cancel": d.l.Cancel}
	f, err := do[order](d.ctx, d.id, "test")
	d.rt.Log("  ", order, err)
	if !errors.Is(err, want) {
		d.rt.Fatalf("%s was answered %v, want %v", order, err, want)
	}
	if calls := d.flying(); f.Calls != calls {
		d.rt.Fatalf("%s says %d calls are in flight, want %d", order, f.Calls, calls)
	}
}

func (d *driver) flying() (n int) {
	for _, g := range d.m.gens {
		if g.state == "s" {
			n++
		}
	}
	return n
}

func (d *driver) pass() {
	by := []time.Duration{3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 26 * 24 * time.Hour}[d.draw(4, "time")]
	d.ok(travel(d.ctx, d.rdb, d.id, by))
	d.m.now += by
}

func (d *driver) topUp() {
	wakes, done, err := d.l.TopUp(d.ctx, d.id, map[int]int{0: 1 + d.draw(4, "window"), 1: 1 + d.draw(4, "window")})
	d.ok(err)
	if d.m.expiry != 0 && d.m.now >= d.m.expiry {
		d.m.halt(ReasonExpired)
	}
	if done != d.m.fin {
		d.rt.Fatalf("top-up: done is %t, want %t", done, d.m.fin)
	}
	d.watched(wakes)
}

func (d *driver) wake() {
	due, err := d.l.Due(d.ctx, d.id, time.Now().Add(1000*time.Hour))
	d.ok(err)
	if len(due) == 0 {
		return
	}
	w := due[d.draw(len(due), "wake")]
	next, ok, err := d.l.RaiseWake(d.ctx, d.id, w, 5*time.Second)
	d.ok(err)
	if !ok || next.Number != w.Number+1 {
		d.rt.Fatalf("the wake after %+v is %+v %t", w, next, ok)
	}
}

func (d *driver) retry() {
	if d.m.retry != nil && d.chance(2, "take over") {
		sum, err := d.l.Summary(d.ctx, d.id)
		d.ok(err)
		d.ok(d.l.FinishRetry(d.ctx, d.id, sum.RetryRecord))
		d.retryThrough()
		return
	}
	token := "op-" + strconv.Itoa(d.draw(4, "operation"))
	what := 1 + d.draw(3, "what")
	u, r := what&1 != 0, what&2 != 0
	want := d.m.retryOpen(token, u, r)
	open := d.m.retry != nil && d.m.retry.token == token
	if want == nil && open && d.chance(2, "dies on the way") {
		_, err := d.l.run(d.ctx, retryOpenScript, d.id, nil, token, boolArg(u), boolArg(r))
		d.ok(err)
		d.retryOne()
		return
	}
	n, err := d.l.Retry(d.ctx, d.id, token, u, r)
	d.rt.Log("  retry", token, u, r, n, err)
	if !errors.Is(err, want) {
		d.rt.Fatalf("retry was answered %v, want %v", err, want)
	}
	if open {
		d.retryThrough()
	}
	if want == nil && n != d.m.lastRetry.count {
		d.rt.Fatalf("retry counted %d, want %d", n, d.m.lastRetry.count)
	}
}

// retryOne does one batch of a retry whose caller then dies.
func (d *driver) retryOne() {
	sum, err := d.l.Summary(d.ctx, d.id)
	d.ok(err)
	w := strings.Fields(sum.RetryRecord)
	b, err := d.rdb.HGet(d.ctx, ledgerKey(d.id), "b"+w[4]).Bytes()
	d.ok(err)
	calls, _, err := decodeBatch(b)
	d.ok(err)
	args := []any{w[1], w[4]}
	for _, n := range calls {
		args = append(args, n)
	}
	_, err = d.l.run(d.ctx, retryStepScript, d.id, nil, args...)
	d.ok(err)
	d.noteRetry(d.m.retryStep)
}

func (d *driver) retryThrough() {
	d.noteRetry(func() {
		for d.m.retry != nil {
			d.m.retryStep()
		}
	})
}

// noteRetry remembers whom a retry puts back: knowledge of them begins anew.
func (d *driver) noteRetry(step func()) {
	before := map[int]Status{}
	for i, r := range d.m.rows {
		before[i+1], _ = d.m.shown(r)
	}
	step()
	for i, r := range d.m.rows {
		if now, _ := d.m.shown(r); now == Pending && before[i+1] != Pending {
			d.asked[i+1]++
			delete(d.best, i+1)
		}
	}
}

// remember keeps this moment, for a Redis that goes back to it.
func (d *driver) remember() {
	l, err := d.rdb.Dump(d.ctx, ledgerKey(d.id)).Result()
	d.ok(err)
	o, err := d.rdb.Dump(d.ctx, openKey(d.id)).Result()
	if !errors.Is(err, redis.Nil) {
		d.ok(err)
	}
	d.saves = append(d.saves, save{l, o, d.m.clone()})
}

// forget goes back to an earlier moment: what was claimed and settled since, the
// ledger does not know; the workers do, and say it again or not.
func (d *driver) forget() {
	if len(d.saves) == 0 {
		return
	}
	s := d.saves[len(d.saves)-1]
	d.saves = d.saves[:len(d.saves)-1]
	if s.model.cur != d.m.cur || s.model.now != d.m.now {
		return
	}
	d.ok(d.rdb.RestoreReplace(d.ctx, ledgerKey(d.id), 0, s.ledger).Err())
	if s.open == "" {
		d.ok(d.rdb.Del(d.ctx, openKey(d.id)).Err())
	} else {
		d.ok(d.rdb.RestoreReplace(d.ctx, openKey(d.id), 0, s.open).Err())
	}
	d.m = s.model.clone()
	d.forgot, d.best, d.say.late = true, map[int]Status{}, nil
}

// sayAgain repeats a script that must not change anything, however late.
func (d *driver) sayAgain() {
	if len(d.say.late) == 0 {
		return
	}
	args := d.say.late[d.draw(len(d.say.late), "script")]
	before, err := ledgerText(d.ctx, d.rdb, d.id)
	d.ok(err)
	armed := d.say.armed
	d.say.armed = false
	err = d.rdb.Do(d.ctx, args...).Err()
	d.say.armed = armed
	d.ok(err)
	after, err := ledgerText(d.ctx, d.rdb, d.id)
	d.ok(err)
	if before != after {
		d.rt.Fatalf("I6: said again later, a script changed the ledger: %v\nbefore:\n%s\nafter:\n%s", args, before, after)
	}
}
