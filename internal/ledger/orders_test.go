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
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

func (d *sequenceDriver) control() {
	order := rapid.SampledFrom([]string{"pause", "pause", "resume", "resume", "resume", "cancel"}).Draw(d.rt, "order")
	if order == "cancel" && !d.chance(3, "really") {
		order = "resume"
	}
	var want error
	switch {
	case d.m.stop == campaign.ReasonCancelled && order == "cancel":
	case d.m.stop == campaign.ReasonCancelled:
		want = ErrStopped
	case d.m.stop != "" || d.m.fin:
		want = ErrDone
	case order == "cancel":
		d.m.stopCampaign(campaign.ReasonCancelled)
	case order == "pause":
		d.m.paused = true
	default:
		d.m.resume()
	}
	do := map[string]func(context.Context, string, string) (InFlight, error){"pause": d.l.Pause, "resume": d.l.Resume, "cancel": d.l.Cancel}
	f, err := do[order](d.ctx, d.id, "test")
	d.rt.Log("  ", order, err)
	if !errors.Is(err, want) {
		d.rt.Fatalf("%s returned %v, want %v", order, err, want)
	}
	if calls := d.callsInFlight(); f.Calls != calls {
		d.rt.Fatalf("%s says %d calls are in flight, want %d", order, f.Calls, calls)
	}
}

func (d *sequenceDriver) callsInFlight() (n int) {
	for _, g := range d.m.gens {
		if g.state == "s" {
			n++
		}
	}
	return n
}

// modelOptOut is an entry of the campaign's opt-outs. The field "version" is the version of the
// opt-outs up to and including this entry.
type modelOptOut struct {
	version string
	rows    []int
}

// mayConcern reports whether opt-outs after the given version make the ledger refuse a claim of the given rows.
func (m *model) mayConcern(version string, rows []int) bool {
	after := 0
	if version != "" {
		if after = 1 + slices.IndexFunc(m.optOuts, func(o modelOptOut) bool { return o.version == version }); after == 0 {
			return true // Redis has lost the opt-outs that the worker read
		}
	}
	return after == len(m.optOuts) || slices.ContainsFunc(m.optOuts[after:], func(o modelOptOut) bool {
		return slices.ContainsFunc(o.rows, func(row int) bool { return slices.Contains(rows, row) })
	})
}

// optOut adds a few numbers to the suppression list, and passes them to the campaign.
func (d *sequenceDriver) optOut() {
	var rows []int
	var numbers []sms.MSISDN
	var entries []optout.Entry
	for range 1 + d.draw(2, "opt-outs") {
		row := 1 + d.draw(len(d.m.rows), "who opts out")
		rows = append(rows, row)
		numbers, entries = append(numbers, msisdnOfRow(row)), append(entries, optout.Entry{MSISDN: msisdnOfRow(row)})
		d.m.listed[row] = true
		if !d.m.fin {
			d.m.excluded[row] = true
		}
	}
	_, err := optout.New(d.l.Runner()).Add(d.ctx, campaign.AllSenders, entries, true)
	d.ok(err)
	in, err := d.l.Exclude(d.ctx, d.id, campaign.AllSenders, numbers)
	d.ok(err)
	d.rt.Logf("  %v opt out", numbers)
	if n := d.callsInFlight(); !d.m.fin && in.Calls != n {
		d.rt.Fatalf("excluding says %d calls are in flight, want %d", in.Calls, n)
	}
	was := d.m.version
	if d.m.version, err = d.rdb.HGet(d.ctx, ledgerKey(d.id), "ex").Result(); !errors.Is(err, redis.Nil) {
		d.ok(err)
	}
	known := slices.ContainsFunc(d.m.optOuts, func(o modelOptOut) bool { return slices.Equal(o.rows, rows) })
	if written := d.m.version != was; written == (known || d.m.fin) {
		d.rt.Fatalf("excluding rows %v wrote an entry: %t; the campaign has these rows already: %t, it has ended: %t", rows, written, known, d.m.fin)
	} else if written {
		d.m.optOuts = append(d.m.optOuts, modelOptOut{d.m.version, rows})
	}
}

// excludeOptOuts does what a worker does before a claim: from a ready generation it removes the
// recipients that the worker knows to have opted out.
func (d *sequenceDriver) excludeOptOuts(r generationRead, mg *modelGen) (version string, narrowed bool) {
	optedOut, version, _ := d.opts.In(r.gen.To)
	if !r.gen.Ready {
		return "", false
	}
	if len(optedOut) == 0 {
		return version, false
	}
	token := script.NewToken()
	var positions []int
	for i := range optedOut {
		positions = append(positions, int(r.gen.position(i)))
	}
	out, err := d.l.Narrow(d.ctx, d.id, token, r.batch, r.gen, optedOut, 1+d.draw(3, "window"))
	if beyond := d.m.threshold.beyond(d.origin(r.batch)); beyond && errors.Is(err, ErrCanary) && mg != nil && mg.state == "r" && mg.rev == r.rev && d.m.stop == "" {
		return "", false
	}
	d.ok(err)
	d.rt.Logf("  narrow %s.%d.%d rev %d by %v: stale %t", r.batch, r.gen.Call, r.gen.Number, r.rev, positions, out.Stale)
	d.ended("narrow", out, d.m.narrow(mg, r.rev, token, positions))
	return version, true
}

func (d *sequenceDriver) advanceTime() {
	by := []time.Duration{3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 26 * 24 * time.Hour}[d.draw(4, "time")]
	d.ok(moveTimesBack(d.ctx, d.rdb, d.id, by))
	d.m.now += by
}

func (d *sequenceDriver) topUp() {
	wakes, done, err := d.l.TopUp(d.ctx, d.id, map[int]int{0: 1 + d.draw(4, "window"), 1: 1 + d.draw(4, "window")})
	d.ok(err)
	if d.m.expiry != 0 && d.m.now >= d.m.expiry {
		d.m.stopCampaign(campaign.ReasonExpired)
	}
	d.m.judge()
	if done != d.m.fin {
		d.rt.Fatalf("top-up: done is %t, want %t", done, d.m.fin)
	}
	d.checkWatched(wakes)
}

func (d *sequenceDriver) wake() {
	due, err := d.l.DueBatches(d.ctx, d.id, time.Now().Add(1000*time.Hour))
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

func (d *sequenceDriver) retry() {
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
		_, err := d.l.run(d.ctx, retryOpenScript, d.id, nil, script.Args(retryOpenArgs{Token: token, Unknown: u, Rejected: r})...)
		d.ok(err)
		d.retryOne()
		return
	}
	n, err := d.l.Retry(d.ctx, d.id, token, u, r)
	d.rt.Log("  retry", token, u, r, n, err)
	if !errors.Is(err, want) {
		d.rt.Fatalf("retry returned %v, want %v", err, want)
	}
	if open {
		d.retryThrough()
	}
	if want == nil && n != d.m.lastRetry.count {
		d.rt.Fatalf("retry counted %d, want %d", n, d.m.lastRetry.count)
	}
}

// retryOne runs a retry whose caller dies after one batch.
func (d *sequenceDriver) retryOne() {
	sum, err := d.l.Summary(d.ctx, d.id)
	d.ok(err)
	w := strings.Fields(sum.RetryRecord)
	_, err = d.l.retryStep(d.ctx, d.id, w[1], w[4], []string{campaign.AllSenders})
	d.ok(err)
	d.noteRetry(d.m.retryStep)
}

func (d *sequenceDriver) retryThrough() {
	d.noteRetry(func() {
		for d.m.retry != nil {
			d.m.retryStep()
		}
	})
}

// noteRetry runs step and records which recipients this step of a retry reopens. Each of these
// recipients may be accepted once more, and its status may become less certain than it was.
func (d *sequenceDriver) noteRetry(step func()) {
	before := map[int]campaign.Status{}
	for i, r := range d.m.rows {
		before[i+1], _ = d.m.shown(r)
	}
	step()
	for i, r := range d.m.rows {
		if now, _ := d.m.shown(r); now == campaign.Pending && before[i+1] != campaign.Pending {
			d.retried[i+1]++
			delete(d.mostKnown, i+1)
		}
	}
}

// dump returns the value of a key in the form that restore reads, or "" if the key does not exist.
func (d *sequenceDriver) dump(key string) string {
	s, err := d.rdb.Dump(d.ctx, key).Result()
	if !errors.Is(err, redis.Nil) {
		d.ok(err)
	}
	return s
}

// restore sets a key to a value that the method "dump" has returned. For "" it deletes the key.
func (d *sequenceDriver) restore(key, saved string) {
	if saved == "" {
		d.ok(d.rdb.Del(d.ctx, key).Err())
	} else {
		d.ok(d.rdb.RestoreReplace(d.ctx, key, 0, saved).Err())
	}
}

// saveRedis saves the state of Redis, so that a simulated data loss can restore it later.
func (d *sequenceDriver) saveRedis() {
	l, err := d.rdb.Dump(d.ctx, ledgerKey(d.id)).Result()
	d.ok(err)
	o := d.dump(openKey(d.id))
	d.saves = append(d.saves, savedRedis{l, o, d.dump(overlayKey(d.id, 0)), d.dump(delaysKey(d.id)), d.m.clone()})
}

// restoreRedis restores a saved state of Redis. The ledger has then lost the claims and settles
// that were made after the save. The workers still have them, and may or may not replay them.
func (d *sequenceDriver) restoreRedis() {
	if len(d.saves) == 0 {
		return
	}
	s := d.saves[len(d.saves)-1]
	d.saves = d.saves[:len(d.saves)-1]
	if s.model.cur != d.m.cur || s.model.now != d.m.now {
		return
	}
	d.ok(d.rdb.RestoreReplace(d.ctx, ledgerKey(d.id), 0, s.ledger).Err())
	d.restore(openKey(d.id), s.open)
	d.restore(overlayKey(d.id, 0), s.overlay)
	d.restore(delaysKey(d.id), s.delays)
	d.m = s.model.clone()
	d.forgot, d.mostKnown, d.replay.late = true, map[int]campaign.Status{}, nil
}

// replayLate repeats an earlier script, which must not change anything, however late it is
// repeated.
func (d *sequenceDriver) replayLate() {
	if len(d.replay.late) == 0 {
		return
	}
	args := d.replay.late[d.draw(len(d.replay.late), "script")]
	before, err := ledgerText(d.ctx, d.rdb, d.id)
	d.ok(err)
	armed := d.replay.armed
	d.replay.armed = false
	err = d.rdb.Do(d.ctx, args...).Err()
	d.replay.armed = armed
	d.ok(err)
	after, err := ledgerText(d.ctx, d.rdb, d.id)
	d.ok(err)
	if before != after {
		d.rt.Fatalf("I6: repeated later, a script changed the ledger: %v\nbefore:\n%s\nafter:\n%s", args, before, after)
	}
}
