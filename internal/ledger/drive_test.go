package ledger

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// sequenceDriver runs a random sequence of everything that can happen to a campaign. It applies
// every step to the ledger and to the model, and then compares the two.
type sequenceDriver struct {
	rt  *rapid.T
	ctx context.Context
	id  string
	l   *Ledger
	// The field "reports" stays the same during the whole sequence, so that some proofs in its cache become stale.
	reports *Reports
	rdb     *redis.Client
	m       *model
	gw      *modelGateway
	replay  *replayHook

	plan      *Plan // the plan of the up-to-date planner
	stalePlan *Plan // the plan of a possibly outdated planner
	read      []generationRead
	ends      []claimEnd
	uuids     map[string]string       // for invariant I2 (a key stands for one request): the request of each idempotency key
	mostKnown map[int]campaign.Status // for invariant I4 (a status never becomes less certain): the most certain status of each row so far
	retried   map[int]int             // the number of retries of each row
	resend    bool                    // whether account 1 submits unknown recipients once more
	noKey     map[string]bool         // for invariant I3 (no message twice without a retry or resend): generations at account 1 that may have reached the gateway
	maybe     map[int]int             // for invariant I3: by row, the number of submissions at account 1 that were or may have been accepted
	saves     []savedRedis
	movables  []*Movable
	forgot    bool
	steps     int
	named     []string   // batches of the current page
	opts      Exclusions // the opt-outs that the worker has read so far
}

// generationRead is a generation as a worker read it. The worker may act on it at any later time.
type generationRead struct {
	batch string
	gen   *Generation
	rev   int
}

// claimEnd is a step that a worker has to make to end a claim. The worker may make the step at any
// time, and more than once.
type claimEnd struct {
	what string
	do   func()
}

// savedRedis is a saved state of Redis, which a simulated data loss may restore.
type savedRedis struct {
	ledger, open    string
	overlay, delays string
	model           *model
}

func (d *sequenceDriver) ok(err error) {
	if err != nil {
		d.rt.Fatal(err)
	}
}

func (d *sequenceDriver) draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.rt, what) }

// chance returns true in one of n draws on average. `what` names the draw.
func (d *sequenceDriver) chance(n int, what string) bool { return d.draw(n, what) == n-1 }

func (d *sequenceDriver) enqueue() {
	d.resend = d.chance(2, "resend")
	d.m = &model{excluded: map[int]bool{}, listed: map[int]bool{}, calls: map[string]*modelCall{}, gens: map[string]*modelGen{}, moved: map[string][]string{}, under: map[string]string{}}
	n := 1 + d.draw(24, "recipients")
	spec := campaign.Spec{Body: "Habari"}
	var values []string
	if d.m.personal = d.chance(2, "merge fields"); d.m.personal {
		spec, values = campaign.Spec{Body: "{{n}}", Fields: []string{"n"}}, []string{"n"}
	}
	if d.chance(3, "expires") {
		d.m.expiry = 40 * 24 * time.Hour
		spec.ExpiresAt = time.Now().Add(d.m.expiry)
	}
	d.drawThreshold(&spec)
	u, err := d.l.BeginUpload(d.id, spec)
	d.ok(err)
	pageSize := 1 + d.draw(12, "page size")
	for row := 1; row <= n; row++ {
		if u.rows == pageSize {
			d.ok(u.flush(d.ctx, 1)) // small pages, so that there are several to plan
		}
		d.ok(u.Add(d.ctx, msisdnOfRow(row).E164(), values...))
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

func (d *sequenceDriver) startPlan() *Plan {
	p, err := d.l.StartPlan(d.ctx, d.id, func(campaign.Spec) (campaign.PlanSnapshot, error) {
		return testSnapshot, nil
	})
	d.ok(err)
	if wantNil := d.m.planned() || d.m.stop != ""; (p == nil) != wantNil {
		d.rt.Fatalf("StartPlan returned a plan: %t, want %t", p != nil, !wantNil)
	}
	return p
}

// planPage plans the next page with the up-to-date planner or, sometimes, with an outdated planner.
func (d *sequenceDriver) planPage() {
	if d.plan == nil || d.chance(3, "planner starts again") {
		d.plan = d.startPlan()
	}
	if d.plan == nil {
		return
	}
	if d.stalePlan == nil {
		other := *d.plan
		d.stalePlan = &other
	}
	p := d.plan
	if d.chance(5, "planner is behind") {
		p = d.stalePlan
	}
	if p.Next == len(d.m.pages) {
		return // all pages are planned, so the planner stops
	}
	if p.Next != d.m.cur || d.m.stop != "" {
		_, _, err := p.CommitPage(d.ctx, script.NewToken(), campaign.PlannedPage{Page: p.Next, First: 1, Skipped: []campaign.SkippedRecipient{{Row: 1, Reason: campaign.ReasonDuplicate}}})
		want := ErrMoved
		if d.m.stop != "" {
			want = ErrStopped
		}
		if !errors.Is(err, want) {
			d.rt.Fatalf("a planner at page %d of %d got %v, want %v", p.Next, d.m.cur, err, want)
		}
		d.plan, d.stalePlan = nil, nil
		return
	}
	page := d.fillPage(p)
	wakes, done, err := p.CommitPage(d.ctx, script.NewToken(), page)
	d.ok(err)
	d.m.cur++
	d.m.threshold.plan(len(page.Skipped), page.Batches, d.named, d.m.planned())
	d.m.judge()
	d.m.finish()
	if done != d.m.fin {
		d.rt.Fatalf("done is %t after planning, want %t", done, d.m.fin)
	}
	d.checkWatched(wakes)
	d.plan = p
	if p == d.stalePlan {
		d.stalePlan = nil
	}
}

func (d *sequenceDriver) fillPage(p *Plan) campaign.PlannedPage {
	rows := d.m.pages[p.Next]
	page := campaign.PlannedPage{Page: p.Next, First: rows[0], OpenBatchLimits: map[int]int{0: 1 + d.draw(3, "window"), 1: 1 + d.draw(3, "window")}}
	for a, c := range p.Carry {
		n := 0
		for _, x := range c {
			n += len(x.To)
		}
		if n != len(d.m.carry[a]) {
			d.rt.Fatalf("account %d carries over %d recipients, want %d", a, n, len(d.m.carry[a]))
		}
	}
	d.named = nil
	for _, row := range rows {
		switch to := d.draw(8, "place"); to {
		case 0:
			page.Skipped = append(page.Skipped, campaign.SkippedRecipient{Row: row, Reason: campaign.ReasonInvalidNumber, Code: "too_short"})
			d.m.rows[row-1].left = campaign.ReasonInvalidNumber
		case 1:
			page.Skipped = append(page.Skipped, campaign.SkippedRecipient{Row: row, Reason: campaign.ReasonDuplicate})
			d.m.rows[row-1].left = campaign.ReasonDuplicate
		default:
			d.m.carry[to%modelAccounts] = append(d.m.carry[to%modelAccounts], row)
			if d.m.threshold.place() {
				for a := range modelAccounts {
					for len(d.m.carry[a]) > 0 {
						page.Batches = append(page.Batches, d.cutBatch(a))
					}
				}
			}
		}
	}
	last := p.Next+1 == len(d.m.pages)
	page.Carry = make([][]campaign.Call, modelAccounts)
	for a := range modelAccounts {
		for len(d.m.carry[a]) > 0 && (last || d.chance(2, "batch")) {
			page.Batches = append(page.Batches, d.cutBatch(a))
		}
		if len(d.m.carry[a]) > 0 {
			page.Carry[a] = []campaign.Call{{}}
			if d.m.personal {
				page.Carry[a][0].Values = []string{"n"}
			}
		}
		for _, row := range d.m.carry[a] {
			page.Carry[a][0].To = append(page.Carry[a][0].To, campaign.Planned{Row: row, MSISDN: msisdnOfRow(row)})
		}
	}
	return page
}

// personalizedBody returns the message of a row's recipient in a campaign with merge fields.
func personalizedBody(row int) string {
	return strings.Repeat("Habari, Amina! ", 1+12*(row/3%2)) + strconv.Itoa(row/3)
}

// body returns the message of a row's recipient. It returns "" in a plain campaign.
func (m *model) body(row int) string {
	if !m.personal {
		return ""
	}
	return personalizedBody(row)
}

// cutBatch makes a batch from recipients that an account carries over. The batch has at most three calls, and each
// call has at most six recipients.
func (d *sequenceDriver) cutBatch(a int) campaign.PlannedBatch {
	b := campaign.PlannedBatch{Stream: a}
	name := campaign.BatchName(a, len(d.m.order[a]))
	d.m.order[a], d.named = append(d.m.order[a], name), append(d.named, name)
	for k := range 1 + d.draw(3, "calls") {
		rows := d.m.carry[a][:min(1+d.draw(6, "call size"), len(d.m.carry[a]))]
		if len(rows) == 0 {
			break
		}
		if d.m.personal {
			b.Bodies = append(b.Bodies, personalizedBody(rows[0]))
			if i := slices.IndexFunc(rows, func(row int) bool { return personalizedBody(row) != personalizedBody(rows[0]) }); i > 0 {
				rows = rows[:i]
			}
		}
		d.m.carry[a] = d.m.carry[a][len(rows):]
		b.Calls = append(b.Calls, len(rows))
		call := name + "." + strconv.Itoa(k)
		d.m.calls[call] = &modelCall{rows: rows}
		g := &modelGen{call: call, state: "r"}
		for pos, row := range rows {
			b.To = append(b.To, campaign.Planned{Row: row, MSISDN: msisdnOfRow(row)})
			d.m.rows[row-1].call, d.m.rows[row-1].pos, d.m.rows[row-1].from = call, pos, genKey(call, 0)
			g.members = append(g.members, pos)
		}
		d.m.gens[genKey(call, 0)] = g
	}
	return b
}

// checkWatched checks that the sweeper can find each batch that was handed out and still has open
// work.
func (d *sequenceDriver) checkWatched(wakes []Wake) {
	for _, w := range wakes {
		if planned := slices.Contains(slices.Concat(d.m.order[:]...), w.Batch); planned && d.m.threshold.beyond(w.Batch) {
			d.rt.Fatalf("batch %s was handed out before the canary was over", w.Batch)
		}
		open, err := d.rdb.HExists(d.ctx, ledgerKey(d.id), "l"+w.Batch).Result()
		d.ok(err)
		if err := d.rdb.ZScore(d.ctx, openKey(d.id), w.Batch).Err(); err != nil && open && d.m.stop == "" {
			d.rt.Fatalf("batch %s was handed out but is not in the open set: %v", w.Batch, err)
		}
	}
}
