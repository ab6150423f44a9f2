package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// TestModel_RandomSequencesKeepTheGuarantees runs random sequences of everything that can happen to
// a campaign. To run more sequences, use -rapid.checks=20000. To repeat a sequence, use
// -rapid.seed.
func TestModel_RandomSequencesKeepTheGuarantees(t *testing.T) {
	t.Parallel()
	runSequences(t, false)
}

// TestModel_ConsistentWhenRedisLosesWrites also restores earlier states of Redis, as after a loss
// of data. After a loss, some guarantees cannot hold. But the ledger must stay consistent and the
// campaign must end.
func TestModel_ConsistentWhenRedisLosesWrites(t *testing.T) {
	t.Parallel()
	runSequences(t, true)
}

func runSequences(t *testing.T, forgetful bool) {
	rdb := redistest.Start(t).Client()
	var campaigns, steps atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		d := newSequenceDriver(rt, rdb, "c"+strconv.FormatInt(campaigns.Add(1), 10))
		defer rdb.FlushAll(context.Background())
		d.enqueue()
		d.check()
		actions := d.actions(forgetful)
		for range 10 + d.draw(90, "steps") {
			a := actions[d.draw(len(actions), "action")]
			d.replay.armed = d.chance(4, "answers are lost")
			rt.Log(a.name)
			a.do()
			d.check()
		}
		d.finish()
		steps.Add(int64(d.steps))
	})
	t.Logf("%d steps in %d campaigns", steps.Load(), campaigns.Load())
}

func newSequenceDriver(rt *rapid.T, rdb *redis.Client, id string) *sequenceDriver {
	ctx := context.Background()
	d := &sequenceDriver{rt: rt, ctx: ctx, id: id, uuids: map[string]string{}, mostKnown: map[int]campaign.Status{}, retried: map[int]int{}, noKey: map[string]bool{}, maybe: map[int]int{},
		gw: &modelGateway{rt: rt, known: map[string]map[int]campaign.Record{}, taken: map[int]int{}}}
	// The hook is on a separate client, so closing that client removes the hook.
	d.rdb = redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
	rt.Cleanup(func() { _ = d.rdb.Close() })
	d.l = New(d.rdb)
	d.reports = NewReports(d.l)
	lots := uint64(0)
	d.l.drawNumber = func() uint64 { lots++; return lots }
	d.replay = &replayHook{snapshot: func() (string, error) { return ledgerText(ctx, rdb, id) }}
	late := []any{commitScript.Hash(), planPageScript.Hash(), moveScript.Hash()}
	d.replay.keep = func(args []any) bool { return slices.Contains(late, args[1]) }
	d.rdb.AddHook(d.replay)
	return d
}

type action struct {
	name string
	do   func()
}

func (d *sequenceDriver) actions(forgetful bool) (out []action) {
	add := func(weight int, name string, do func()) {
		for range weight {
			out = append(out, action{name, do})
		}
	}
	add(6, "plan", d.planPage)
	add(16, "claim", d.claim)
	add(14, "end", d.end)
	add(2, "control", d.control)
	add(2, "opt out", d.optOut)
	add(3, "time passes", d.advanceTime)
	add(2, "top up", d.topUp)
	add(1, "wake", d.wake)
	add(3, "retry", d.retry)
	add(4, "move", d.move)
	add(6, "reports", d.report)
	add(1, "again", d.replayLate)
	if forgetful {
		add(3, "remember", d.saveRedis)
		add(2, "forget", d.restoreRedis)
		add(4, "move", d.move)
	}
	return out
}

// check compares the ledger with the model, and checks all invariants.
func (d *sequenceDriver) check() {
	d.steps++
	for _, p := range d.replay.problems {
		d.rt.Error(p)
	}
	armed := d.replay.armed
	d.replay.armed = false
	defer func() { d.replay.armed = armed }()
	a, err := findViolations(d.ctx, d.l, d.rdb, d.id)
	d.ok(err)
	for _, p := range a.problems {
		d.rt.Error(p)
	}
	sum := a.sum
	if sum.StoppedBy != d.m.stop || !sum.FinishedAt.IsZero() != d.m.fin || (sum.PausedBy != "") != d.m.paused {
		d.rt.Errorf("stopped by %q, finished %v, paused by %q; want %q, %t, %t", sum.StoppedBy, sum.FinishedAt, sum.PausedBy, d.m.stop, d.m.fin, d.m.paused)
	}
	if n := d.callsInFlight(); sum.InFlight.Calls != n {
		d.rt.Errorf("%d calls are in flight, want %d", sum.InFlight.Calls, n)
	}
	d.checkThreshold(sum)
	for _, row := range a.rows {
		d.checkRow(row)
	}
	if d.rt.Failed() {
		text, _ := ledgerText(d.ctx, d.rdb, d.id)
		d.rt.Fatalf("the ledger:\n%s", text)
	}
}

func (d *sequenceDriver) checkRow(row Row) {
	r := d.m.rows[row.Row-1]
	want, reason := d.m.shown(r)
	if row.Status != want || want == campaign.Skipped && row.Reason != reason {
		d.rt.Errorf("row %d is %s (%s), want %s (%s)", row.Row, row.Status, row.Reason, want, reason)
		return
	}
	if want >= campaign.Accepted && want <= campaign.Undelivered {
		var ids []string
		for _, s := range r.sent {
			ids = append(ids, s.id)
		}
		if got := append([]string{row.MessageID}, row.Resent...); !slices.Equal(got, ids) {
			d.rt.Errorf("row %d has the message ids %q, want %q", row.Row, got, ids)
		}
	}
	under := r.under
	if g := d.m.gens[r.from]; under == "" && g != nil {
		under = g.uuid
	}
	if want >= campaign.Rejected && want <= campaign.Undelivered && row.MessageUUID != under {
		d.rt.Errorf("row %d was submitted under %q, want %q", row.Row, row.MessageUUID, under)
	}
	d.checkKnowledge(row)
	d.checkTruth(row, r)
}

var knowledge = map[campaign.Status]int{campaign.Pending: 0, campaign.Unknown: 1, campaign.Rejected: 2, campaign.Skipped: 2, campaign.Accepted: 3, campaign.Delivered: 4, campaign.Undelivered: 4}

// checkKnowledge checks invariant I4: the status of a row never becomes less certain.
func (d *sequenceDriver) checkKnowledge(row Row) {
	best, ok := d.mostKnown[row.Row]
	// A late answer may turn a skipped or rejected recipient into an accepted one. An accepted
	// recipient must not become skipped or rejected.
	if ok && !d.forgot && knowledge[row.Status] < knowledge[best] {
		d.rt.Errorf("I4: row %d had the status %s and now has the less certain %s", row.Row, best, row.Status)
	}
	d.mostKnown[row.Row] = row.Status
}

// checkTruth compares the ledger with what the gateways did. It checks invariants I2 and I3 (no
// message is sent twice without a retry or a resend). It also checks that each status in the
// results is true.
func (d *sequenceDriver) checkTruth(row Row, r *modelRow) {
	if d.forgot {
		return
	}
	taken := d.gw.taken[row.Row]
	if most := d.submissions(row.Row); taken > most {
		d.rt.Errorf("I2, I3: row %d was accepted %d times by the gateways, want at most %d", row.Row, taken, most)
	}
	switch row.Status {
	case campaign.Accepted, campaign.Delivered, campaign.Undelivered:
		if taken < 1+len(row.Resent) {
			d.rt.Errorf("row %d is accepted with %d resent ids, but the gateways accepted it only %d times", row.Row, len(row.Resent), taken)
		}
	case campaign.Rejected:
		// After a retry or a resend of an unknown recipient, the status is about the new
		// submission.
		if taken > 0 && d.retried[row.Row] == 0 && r.before == nil {
			d.rt.Errorf("row %d is rejected, but the gateways accepted it %d times", row.Row, taken)
		}
	case campaign.Skipped:
		if taken > 0 {
			d.rt.Errorf("row %d is skipped (%s), but the gateways accepted it %d times", row.Row, row.Reason, taken)
		}
	case campaign.Pending:
		if g := d.m.gens[r.from]; taken > 0 && !g.inFlight() && d.retried[row.Row] == 0 && r.before == nil {
			d.rt.Errorf("row %d is pending and not in flight, but the gateways accepted it %d times", row.Row, taken)
		}
	}
}

// The method "submissions" returns the maximum number of submissions of a row that the gateway may have
// accepted. It is one, plus one if the row is unknown and its campaign resends, plus one for each
// retry.
func (d *sequenceDriver) submissions(row int) int {
	n := 1 + d.retried[row]
	if d.resend && strings.HasPrefix(d.m.rows[row-1].call, "1.") {
		n++
	}
	return n
}

// resumeIfPaused resumes the campaign if it is paused.
func (d *sequenceDriver) resumeIfPaused() {
	if d.m.paused && !d.m.fin && d.m.stop == "" {
		_, err := d.l.Resume(d.ctx, d.id, "test")
		d.ok(err)
		d.m.resume()
	}
}

// finish does what correct workers and a sweeper do until the campaign ends, and checks that it
// ends.
func (d *sequenceDriver) finish() {
	d.rt.Log("finish the campaign")
	d.replay.armed = false
	d.resumeIfPaused()
	if d.m.retry != nil {
		sum, err := d.l.Summary(d.ctx, d.id)
		d.ok(err)
		d.ok(d.l.FinishRetry(d.ctx, d.id, sum.RetryRecord))
		d.retryThrough()
	}
	for i := 0; d.m.stop == "" && !d.m.planned(); i++ {
		d.plan = nil
		d.planPage()
		d.check()
		if i > len(d.m.pages)+10 {
			d.rt.Fatal("planning does not end")
		}
	}
	for i := 0; !d.m.fin; i++ {
		d.resumeIfPaused()
		d.advanceTime()
		d.topUp()
		if w := d.readBatch(); w != nil {
			for _, g := range w.Open {
				rev, _ := strconv.Atoi(g.Revision)
				before := len(d.ends)
				d.tryClaim(generationRead{w.Batch.Name, g, rev}, w.Wake, false, long)
				for _, e := range d.ends[before:] {
					e.do()
				}
			}
		}
		d.check()
		if i > 400 {
			d.rt.Fatalf("the campaign does not end")
		}
	}
	for _, e := range d.ends {
		e.do()
		d.check()
	}
	if n, err := d.rdb.Exists(d.ctx, openKey(d.id)).Result(); err != nil || n != 0 {
		d.rt.Fatal(fmt.Sprint("it is done and the open set is still there ", err))
	}
}
