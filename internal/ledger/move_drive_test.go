package ledger

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

func claimUUID(c *Claim) string {
	if c.IdempotencyKey == (uuid.UUID{}) {
		return ""
	}
	return c.IdempotencyKey.String()
}

// testSnapshot is the planning snapshot of a test campaign. A call has at most six recipients at
// account 0, and at most two at account 1.
var testSnapshot = campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "a0", MaxRecipients: 6, BatchSize: 6}, {Name: "a1", MaxRecipients: 2, BatchSize: 4}}}

// move moves some of a batch's recipients to the other account, like a sweeper that has read the
// batch long ago.
func (d *sequenceDriver) move() {
	var batches []string
	for a := range modelAccounts {
		for _, b := range d.m.order[a] {
			batches = append(batches, d.m.below(b)...)
		}
	}
	if len(batches) == 0 {
		return
	}
	batch := batches[d.draw(len(batches), "batch")]
	if d.chance(4, "long ago") && len(d.movables) > 0 {
		d.moveNow(d.movables[d.draw(len(d.movables), "movable")])
		return
	}
	m, err := d.l.Movable(d.ctx, d.id, batch, time.Now().Add(1000*time.Hour))
	d.ok(err)
	d.checkMovable(m)
	d.movables = append(d.movables, m)
	if d.chance(4, "later") {
		return
	}
	d.moveNow(m)
}

// checkMovable checks that m has exactly those recipients of the batch that have certainly not been
// sent and were never unknown.
func (d *sequenceDriver) checkMovable(m *Movable) {
	var want, got []int
	for i, r := range d.m.rows {
		g := d.m.gens[r.from]
		if strings.HasPrefix(r.call, m.Batch+".") && r.left == "" && r.status == campaign.Pending && g.state == "r" && r.before == nil {
			want = append(want, i+1)
		}
	}
	for _, p := range m.To {
		got = append(got, p.Row)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		d.rt.Fatalf("rows of batch %s that may move: got %v, want %v", m.Batch, got, want)
	}
}

func (d *sequenceDriver) moveNow(m *Movable) {
	stay := map[int]bool{}
	for _, p := range m.To {
		stay[p.Row] = d.chance(5, "stays")
	}
	target := 1 - m.Been[0]
	openBatchLimit := 1 + d.draw(3, "window")
	taken := map[*modelGen][]int{}
	changed, count := false, 0
	for _, x := range m.gens {
		g := d.m.gens[genKey(m.Batch+"."+strconv.Itoa(x.gen.Call), x.gen.Number)]
		for i, p := range x.to {
			if stay[p.Row] {
				continue
			}
			count++
			changed = changed || g == nil || g.state != "r" || strconv.Itoa(g.rev) != x.gen.Revision
			if g != nil {
				taken[g] = append(taken[g], int(x.positions[i]))
			}
		}
	}
	out, err := d.l.Move(d.ctx, d.id, script.NewToken(), m, testSnapshot, openBatchLimit, func(p campaign.Planned, body string) int {
		if body != d.m.body(p.Row) {
			d.rt.Fatalf("row %d would move with the body %q, want its own body", p.Row, body)
		}
		if stay[p.Row] {
			return -1
		}
		return target
	})
	d.ok(err)
	d.rt.Logf("  move %d of %s to account %d: %+v", count, m.Batch, target, out)
	if changed || d.m.stop != "" || d.m.fin || d.m.retry != nil {
		count = 0
	}
	if out.Count != count {
		d.rt.Fatalf("%d recipients of batch %s moved, want %d", out.Count, m.Batch, count)
	}
	d.checkWatched(out.Wakes)
	if count == 0 {
		return
	}
	to := map[string][][]int{}
	names, err := d.l.records.movedTo(d.ctx, d.id, m.Batch)
	d.ok(err)
	for _, name := range names[len(d.m.moved[m.Batch]):] {
		to[name] = d.movedCalls(name, target)
	}
	d.m.moved[m.Batch] = names
	d.m.move(taken, to)
}

// movedCalls returns the rows of each call of a batch that was moved to an account. It checks that
// each row has its own body, and that the account takes calls of this size.
func (d *sequenceDriver) movedCalls(name string, target int) (calls [][]int) {
	b, err := d.l.records.batch(d.ctx, d.id, name)
	d.ok(err)
	for k := range b.Calls {
		var rows []int
		for _, p := range b.call(k) {
			rows = append(rows, p.Row)
		}
		if i := slices.IndexFunc(rows, func(row int) bool { return d.m.body(row) != b.body(k) }); i >= 0 {
			d.rt.Fatalf("row %d has moved to a call that sends %q, want its own body", rows[i], b.body(k))
		}
		if len(rows) > testSnapshot.Accounts[target].MaxRecipients {
			d.rt.Fatalf("a call of %d recipients for account %d is larger than MaxRecipients", len(rows), target)
		}
		calls = append(calls, rows)
	}
	return calls
}
