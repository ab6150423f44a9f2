package ledger

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

func (r *testLedger) indexed(id string) (IndexEntry, bool) {
	r.Helper()
	all, err := r.Index().Open(r.Context())
	r.ok(err)
	i := slices.IndexFunc(all, func(e IndexEntry) bool { return e.ID == id })
	if i < 0 {
		return IndexEntry{}, false
	}
	return all[i], true
}

func (r *testLedger) listed(id string) bool {
	r.Helper()
	for x, err := range r.Index().Campaigns(r.Context()) {
		r.ok(err)
		if x == id {
			return true
		}
	}
	return false
}

// The method "age" makes the entries of a campaign in both indexes older by the duration d.
func (r *testLedger) age(id string, d time.Duration) {
	r.Helper()
	for _, k := range []string{openIndex, campaignIndex} {
		if r.rdb.ZScore(r.Context(), k, id).Err() == nil {
			r.ok(r.rdb.ZIncrBy(r.Context(), k, -float64(d.Milliseconds()), id).Err())
		}
	}
}

func TestRemoveFromOpenIndex_KeepsAnEntryChangedSince(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		between func(r *testLedger)
		open    bool
	}{
		"an old entry is removed":           {func(r *testLedger) {}, false},
		"an entry of a later retry stays":   {func(r *testLedger) { r.ok(r.Index().add(r.Context(), "c", false)) }, true},
		"an entry that was removed already": {func(r *testLedger) { r.ok(r.rdb.ZRem(r.Context(), openIndex, "c").Err()) }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.enqueue("c", campaign.Spec{}, 1)
			r.age("c", 2*time.Minute)
			e, ok := r.indexed("c")
			if !ok {
				t.Fatal("a campaign is not in the open index")
			}
			c.between(r)
			r.ok(r.Index().Remove(t.Context(), e))
			if _, ok := r.indexed("c"); ok != c.open {
				t.Errorf("in the open index: %t, want %t", ok, c.open)
			}
			if !r.listed("c") {
				t.Error("the campaign is missing in the list of campaigns")
			}
		})
	}
	t.Run("a young entry stays", func(t *testing.T) {
		t.Parallel()
		r := newTestLedger(t)
		r.enqueue("c", campaign.Spec{}, 1)
		e, _ := r.indexed("c")
		r.ok(r.Index().Remove(t.Context(), e))
		if _, ok := r.indexed("c"); !ok {
			t.Error("the entry of an enqueue that may commit soon was removed")
		}
	})
}

func TestCampaigns_NewestFirst(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	const n = 1200 // more campaigns than one request lists
	var zs []redis.Z
	for i := range n {
		zs = append(zs, redis.Z{Score: float64(i), Member: "c" + time.Duration(i).String()})
	}
	r.ok(r.rdb.ZAdd(t.Context(), campaignIndex, zs...).Err())
	var got []string
	for id, err := range r.Index().Campaigns(t.Context()) {
		r.ok(err)
		got = append(got, id)
	}
	if len(got) != n || got[0] != zs[n-1].Member || got[n-1] != zs[0].Member {
		t.Errorf("got %d campaigns from %s to %s, want all, newest first", len(got), got[0], got[len(got)-1])
	}
}

func TestPurge_KeepsUnfinishedAndRecentCampaigns(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	hour := time.Now().Add(time.Hour)
	r.sending("sending", []int{1})
	r.sending("young", []int{1})
	r.settle(r.claim("young", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.ended("retried", campaign.Spec{})
	_, err := r.run(t.Context(), retryOpenScript, "retried", nil, script.Args(retryOpenArgs{Token: "op", Unknown: true, Rejected: true})...)
	r.ok(err)
	for id, before := range map[string]time.Time{"sending": hour, "young": time.Now().Add(-time.Hour), "retried": hour} {
		state := r.state(id)
		if purged, err := r.Purge(t.Context(), id, before); err != nil || purged {
			t.Errorf("%s: Purge returned %t, %v; want false", id, purged, err)
		}
		if r.state(id) != state || !r.listed(id) {
			t.Errorf("%s: the campaign or its index entry changed, want no change", id)
		}
	}
}

func TestPurge_LeavesATombstone(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	first := r.enqueue("c", campaign.Spec{}, 1)
	_, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}, Batches: []campaign.PlannedBatch{{Calls: []int{1}, To: plannedRows(1, 1)}}})
	r.ok(err)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	r.settle(c, campaign.SettleAnswer, accepted("m"))
	r.age("c", 48*time.Hour)
	if old, err := r.Index().Before(t.Context(), false, time.Now().Add(-47*time.Hour)); err != nil || !slices.Equal(old, []string{"c"}) {
		t.Errorf("Before returned %v, %v; want only c", old, err)
	}
	for range 2 {
		if purged, err := r.Purge(t.Context(), "c", time.Now().Add(time.Hour)); err != nil || !purged {
			t.Errorf("Purge returned %t, %v; want true", purged, err)
		}
	}
	if _, open := r.indexed("c"); open || r.listed("c") {
		t.Error("the purged campaign is still in an index")
	}
	if keys, err := r.rdb.Keys(t.Context(), "*{c}*").Result(); err != nil || !slices.Equal(keys, []string{tombstoneKey("c")}) {
		t.Errorf("keys left are %v, %v; want only the tombstone", keys, err)
	}
	if ttl, err := r.rdb.TTL(t.Context(), tombstoneKey("c")).Result(); err != nil || ttl < 364*24*time.Hour {
		t.Errorf("the tombstone stays for %v, %v; want about a year", ttl, err)
	}
	if _, err := r.Summary(t.Context(), "c"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Summary of the purged campaign: got %v, want ErrNotFound", err)
	}
	if _, err := r.Settle(t.Context(), c, repeat(1, accepted("m")), campaign.SettleAnswer, 1, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("a late settle of the purged campaign: got %v, want ErrNotFound", err)
	}

	// After the purge, an enqueue with the same id still changes nothing.
	again, err := r.upload("c", campaign.Spec{Body: "Habari"}, msisdnOfRow(1).E164()).Commit(t.Context())
	if err != nil || !again.Again || again.Total != 1 || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("enqueuing the same again returned %+v, %v; want the first receipt", again, err)
	}
	if _, err := r.upload("c", campaign.Spec{Body: "Kwaheri"}, msisdnOfRow(1).E164()).Commit(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("enqueuing other content returned %v, want ErrConflict", err)
	}
	if keys, err := r.rdb.Keys(t.Context(), "*{c}*").Result(); err != nil || !slices.Equal(keys, []string{tombstoneKey("c")}) {
		t.Errorf("the purged campaign, or its upload, came back: keys are %v, %v; want only the tombstone", keys, err)
	}
}

func TestPurge_RemovesAnAbandonedUploadAfterADay(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	u := r.upload("c", campaign.Spec{Body: "x"}, "1")
	r.ok(u.flush(t.Context(), 1))
	r.ok(u.waitForWrite())
	r.age("c", 2*time.Hour)
	_, err := r.Purge(t.Context(), "c", time.Now())
	r.ok(err)
	if _, open := r.indexed("c"); !open || !r.listed("c") {
		t.Error("the entries of an upload that may still run were removed")
	}
	r.age("c", 24*time.Hour)
	_, err = r.Purge(t.Context(), "c", time.Now())
	r.ok(err)
	if _, open := r.indexed("c"); open || r.listed("c") {
		t.Error("an abandoned upload is still listed")
	}
}

func TestSweeping_OneWorkerAtATime(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	sweep := func(worker string, want bool) {
		t.Helper()
		if got, err := r.Index().Sweeping(t.Context(), worker, time.Hour); err != nil || got != want {
			t.Errorf("Sweeping by %s returned %t, %v; want %t", worker, got, err, want)
		}
	}
	sweep("one", true)
	sweep("two", false)
	r.ok(r.rdb.PExpire(t.Context(), sweeperLock, 50*time.Minute).Err())
	sweep("one", true)
	if ttl, err := r.rdb.PTTL(t.Context(), sweeperLock).Result(); err != nil || ttl < 55*time.Minute {
		t.Errorf("after renewing the lock its TTL is %v, %v; want about an hour", ttl, err)
	}
	r.ok(r.rdb.Del(t.Context(), sweeperLock).Err())
	sweep("two", true)
	sweep("one", false)
}

func TestRaiseWake_OnceForEachLostWake(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	for range 3 { // several sweepers have found that the first wake is lost
		w, ok, err := r.RaiseWake(t.Context(), "c", Wake{"0.0", 1}, time.Minute)
		if err != nil || !ok || w != (Wake{"0.0", 2}) {
			t.Errorf("the wake after the first is %v, %t, %v; want number 2", w, ok, err)
		}
	}
	now, err := r.Now(t.Context())
	r.ok(err)
	if due, err := r.DueBatches(t.Context(), "c", now.Add(50*time.Second)); err != nil || len(due) > 0 {
		t.Errorf("due before the watch is over: %v, %v; want none", due, err)
	}
	r.ok(r.Watch(t.Context(), "c", "0.0", now, false))
	if due, err := r.DueBatches(t.Context(), "c", now); err != nil || !slices.Equal(due, []Wake{{"0.0", 2}}) {
		t.Errorf("due are %v, %v; want batch 0.0 with wake 2", due, err)
	}
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.ok(r.Watch(t.Context(), "c", "0.0", now, false))
	if _, ok, err := r.RaiseWake(t.Context(), "c", Wake{"0.0", 2}, 0); err != nil || ok {
		t.Errorf("waking a closed batch returned %t, %v; want false", ok, err)
	}
	if _, ok, err := r.RaiseWake(t.Context(), "no-such", Wake{"0.0", 2}, 0); err != nil || ok {
		t.Errorf("waking a batch of no campaign returned %t, %v; want false", ok, err)
	}
	r.sound("c")
}

// The sweeper checks a batch when a worker can continue with it, not before.
func TestWatch_BatchIsDueWhenAWorkerCanContinue(t *testing.T) {
	t.Parallel()
	const b = "0.0"
	release := func(r *testLedger, c *Claim) {
		_, err := r.Release(r.Context(), c, 10*time.Minute, ReleaseUnsent)
		r.ok(err)
	}
	cases := map[string]struct {
		do   func(r *testLedger, id string)
		want time.Duration // the time from now until the watch
	}{
		"handed out": {func(r *testLedger, id string) {}, 5 * time.Second},
		"claimed":    {func(r *testLedger, id string) { r.claim(id, b, 0, 0, keyed, 30*time.Second) }, 31 * time.Second},
		"released":   {func(r *testLedger, id string) { release(r, r.claim(id, b, 0, 0, keyed, long)) }, 10 * time.Minute},
		"released in doubt": {func(r *testLedger, id string) {
			r.claim(id, b, 0, 0, keyed, lapsed)
			release(r, r.claim(id, b, 0, 0, keyed, long))
		}, 10 * time.Minute},
		"doubtful": {func(r *testLedger, id string) {
			_, err := r.Doubt(r.Context(), r.claim(id, b, 0, 0, keyed, long), time.Minute, true)
			r.ok(err)
		}, time.Minute},
		"one of two calls is settled": {func(r *testLedger, id string) {
			r.settle(r.claim(id, b, 0, 0, keyed, long), campaign.SettleAnswer, repeat(2, accepted("m"))...)
		}, 5 * time.Second},
		"split": {func(r *testLedger, id string) {
			_, err := r.Split(r.Context(), r.claim(id, b, 0, 0, keyed, long))
			r.ok(err)
		}, 5 * time.Second},
		"woken": {func(r *testLedger, id string) {
			_, _, err := r.RaiseWake(r.Context(), id, Wake{b, 1}, 7*time.Second)
			r.ok(err)
		}, 7 * time.Second},
		"resumed": {func(r *testLedger, id string) { _, err := r.Resume(r.Context(), id, "me"); r.ok(err) }, 0},
		"answered partially": {func(r *testLedger, id string) {
			_, err := r.Settle(r.Context(), r.claim(id, b, 0, 0, keyed, long), []campaign.Record{accepted("m"), unknown("unsaid")}, campaign.SettlePartial, 1, 2*time.Minute)
			r.ok(err)
		}, 2 * time.Minute},
	}
	r := newTestLedger(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			id := nameID(name)
			r.sending(id, []int{2, 1})
			c.do(r, id)
			score, err := r.rdb.ZScore(t.Context(), openKey(id), b).Result()
			r.ok(err)
			// The test itself takes time, so the watch may be up to 3 s shorter than wanted.
			if wait := time.UnixMilli(int64(score)).Sub(r.clock()); wait > c.want || wait < c.want-3*time.Second {
				t.Errorf("the watch is in %v, want %v", wait, c.want)
			}
		})
	}
}

func TestWatch_PlanIsWatchedUntilItEnds(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 1, 1)
	looks := func(what string, want time.Duration) {
		t.Helper()
		score, err := r.rdb.ZScore(t.Context(), openKey("c"), PlanWork).Result()
		r.ok(err)
		if wait := time.UnixMilli(int64(score)).Sub(r.clock()); wait > want || wait < want-3*time.Second {
			t.Errorf("%s: the watch is in %v, want %v", what, wait, want)
		}
	}
	looks("committed", 5*time.Second)
	p := r.startPlan("c", 1)
	looks("begun", planWatch)
	r.ok(r.Watch(t.Context(), "c", PlanWork, time.Now(), false))
	_, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, Carry: plainCarry(plannedRows(1, 1))})
	r.ok(err)
	looks("one page planned", planWatch)
	_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{Page: 1, First: 2, OpenBatchLimits: map[int]int{0: 1}, Batches: []campaign.PlannedBatch{{Calls: []int{2}, To: plannedRows(1, 2)}}})
	r.ok(err)
	if due, err := r.DueBatches(t.Context(), "c", time.Now().Add(time.Hour)); err != nil || !slices.Equal(due, []Wake{{"0.0", 1}}) {
		t.Errorf("after planning, due are %v, %v; want batch 0.0 with wake 1", due, err)
	}
}

func TestBatchesAhead_CountsOnlyUpToTheMaximum(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	now := time.Now()
	var all []redis.Z
	for i := range 600 { // more entries than one round trip reads
		all = append(all, redis.Z{Score: float64(now.UnixMilli() + int64(i)), Member: campaign.BatchName(0, i)})
	}
	all = append(all, redis.Z{Score: float64(now.UnixMilli()), Member: campaign.BatchName(1, 0)}, // a batch of another stream
		redis.Z{Score: float64(now.Add(time.Hour).UnixMilli()), Member: campaign.BatchName(0, 600)}) // this batch waits for its back-off, so it is not counted
	r.ok(r.rdb.ZAdd(r.Context(), openKey("c"), all...).Err())
	for _, x := range []struct{ seq, most, want int }{{0, 10, 0}, {9, 10, 9}, {500, 10, 10}, {500, 1000, 500}, {700, 1000, 600}, {700, 300, 300}} {
		n, err := r.BatchesAhead(r.Context(), "c", campaign.BatchName(0, x.seq), now.Add(time.Minute), x.most)
		r.ok(err)
		if n != x.want {
			t.Errorf("%d batches are ahead of %d, counted to %d; want %d", n, x.seq, x.most, x.want)
		}
	}
}
