package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// One run of the script may handle several requests, but only one request of each batch. The
// ledger afterwards has the same bytes as after a separate settle and claim for each request.
func TestSettleAndClaim_SharedRunEqualsSeparateRuns(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	say := &replayHook{snapshot: func() (string, error) { return ledgerText(t.Context(), r.server.Client(), "c") }}
	r.rdb.AddHook(say)
	separate, shared := r.settleAndClaimFive(say, false), r.settleAndClaimFive(say, true)
	if separate != shared {
		t.Errorf("the ledger differs. After separate runs:\n%s\nafter one shared run:\n%s", separate, shared)
	}
	for _, p := range say.problems { // the replay hook repeats each run, and records what the repetition changed
		t.Error(p)
	}
}

// planFiveBatches plans the campaign "c" with five batches of two accounts.
func (r *testLedger) planFiveBatches() []campaign.PlannedBatch {
	r.Helper()
	r.enqueue("c", campaign.Spec{}, 16)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 9, 1: 9}}
	row := 1
	for i, calls := range [][]int{{1, 1, 1, 1}, {1, 2}, {2, 1, 1}, {1, 1}, {2, 1}} {
		n := 0
		for _, c := range calls {
			n += c
		}
		page.Batches = append(page.Batches, campaign.PlannedBatch{Stream: i % 2, Calls: calls, To: plannedRows(row, n)})
		row += n
	}
	_, _, err := r.startPlan("c", 2).CommitPage(r.Context(), "planner token", page)
	r.ok(err)
	return page.Batches
}

// settleAndClaimFive settles the first call of each of five batches, and claims the second call of each.
// It returns the content of the ledger without random values. If together is true, one run of
// settle_and_claim.lua handles all five.
func (r *testLedger) settleAndClaimFive(say *replayHook, together bool) (state string) {
	r.Helper()
	r.ok(r.rdb.FlushAll(r.Context()).Err())
	batches := r.planFiveBatches()
	hide := []string{r.rdb.HGet(r.Context(), ledgerKey("c"), "pt").Val(), "<lanes in any order>", r.rdb.HGet(r.Context(), ledgerKey("c"), "up").Val(), "<upload>"}
	var asks []func() (*Claim, bool)
	for i := range batches {
		batch := campaign.BatchName(i%2, i/2)
		c, g := r.claim("c", batch, 0, 0, keyed, long), r.open("c", batch, 1, 0)
		hide = append(hide, c.Token, fmt.Sprintf("<%d>", i), c.Token[:6], fmt.Sprintf("<%d", i))
		asks = append(asks, func() (*Claim, bool) {
			if together {
				return r.settleAndClaim(c, g, long)
			}
			r.settle(c, campaign.SettleAnswer, repeat(len(c.gen.To), priced("0191d7a0-0000-7000-8000-000000000001"))...)
			return r.claim("c", batch, 1, 0, keyed, long), true
		})
	}
	// Another slot has claimed another call of the first batch.
	other, last := r.claim("c", campaign.BatchName(0, 0), 2, 0, keyed, long), r.open("c", campaign.BatchName(0, 0), 3, 0)
	hide = append(hide, other.Token, "<other>")
	got := make([]*Claim, len(asks))
	if together {
		say.armed, say.scripts = true, 0
		second := func() (*Claim, bool) { return r.settleAndClaim(other, last, long) }
		got = r.inOnePipeline(slices.Insert(slices.Clone(asks), 1, second))
		say.armed = false
		if say.scripts != 1 {
			r.Errorf("got %d script runs, want 1", say.scripts)
		}
		if got[1] != nil {
			r.Errorf("two calls of one batch were settled in one run: the second got %+v, want nil", got[1])
		}
		got = slices.Delete(got, 1, 2)
	} else {
		for i, ask := range asks {
			got[i], _ = ask()
		}
	}
	inFlight := 1
	for i, next := range got {
		if next == nil || next.Result != ClaimGranted || next.IdempotencyKey != requestID(next.batch, next.gen, "login") {
			r.Fatalf("together %t: the next claim of request %d is %+v, want it granted under the key of that request", together, i, next)
		}
		hide = append(hide, next.Token, fmt.Sprintf("<next %d>", i))
		inFlight += len(next.gen.To)
	}
	state = strings.NewReplacer(hide...).Replace(r.state("c"))
	r.sound("c")
	if f := r.summary("c").InFlight; f.Recipients != inFlight {
		r.Errorf("together %t: %d recipients are in flight, want %d", together, f.Recipients, inFlight)
	}
	return state
}

// inOnePipeline queues all requests in order and then lets one pipeline answer them. The result is
// nil for a request that the script did not handle.
func (r *testLedger) inOnePipeline(asks []func() (*Claim, bool)) []*Claim {
	r.Helper()
	queued, release := r.batcher.Hold()
	got := make([]*Claim, len(asks))
	var all sync.WaitGroup
	for i, ask := range asks {
		all.Go(func() {
			if next, ok := ask(); ok {
				got[i] = next
			}
		})
		for queued() <= i {
			runtime.Gosched()
		}
	}
	defer all.Wait() // wait for the goroutines, even after a panic
	release()
	return got
}

// Many concurrent requests share pipelines, and each gets its own answer. This holds even if Redis
// has not loaded the script yet.
func TestSettleAndClaim_ConcurrentRequestsGetTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	const slots, calls = 12, 15
	r := newTestLedger(t)
	batches := make([][]int, slots)
	for i := range batches {
		batches[i] = slices.Repeat([]int{1}, calls)
	}
	r.sending("c", batches...)
	r.sending("paused", []int{1, 1, 1})
	p := r.claim("paused", "0.0", 0, 0, keyed, long)
	g := r.open("paused", "0.0", 1, 0)
	_, err := r.Pause(t.Context(), "paused", "me")
	r.ok(err)
	var all sync.WaitGroup
	for slot := range slots {
		batch := campaign.BatchName(0, slot)
		w, err := r.LoadWork(t.Context(), "c", batch)
		r.ok(err)
		c := r.tryClaim("c", batch, w.Open[0], keyed, long)
		all.Go(func() {
			for k, g := range w.Open[1:] {
				next, ok, err := r.SettleAndClaim(t.Context(), c, []campaign.Record{accepted(fmt.Sprintf("m%d-%d", slot, k))}, 1, r.settleAndClaimRequest(c, g, long))
				if err != nil || !ok || next.IdempotencyKey != requestID(batch, g, "login") {
					t.Errorf("batch %s call %d: got %+v, %t, %v; want a claim under the key of this request", batch, k+1, next, ok, err)
					return
				}
				if c = next; k == calls/2 {
					if err := r.rdb.ScriptFlush(t.Context()).Err(); err != nil {
						t.Error(err)
					}
				}
			}
			if _, err := r.Settle(t.Context(), c, []campaign.Record{accepted(fmt.Sprintf("m%d-last", slot))}, campaign.SettleAnswer, 1, 0); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if next, ok, err := r.SettleAndClaim(t.Context(), p, []campaign.Record{accepted("m")}, 1, r.settleAndClaimRequest(p, g, long)); ok || err != nil {
				t.Errorf("in a paused campaign: got %+v, %t, %v; want ok false and no error", next, ok, err)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for _, row := range r.rows("c") {
		ids[row.MessageID] = true
	}
	if len(ids) != slots*calls {
		t.Errorf("%d message ids, want %d, one for each recipient", len(ids), slots*calls)
	}
	r.expect("paused", "pending pending pending")
	r.sound("c")
}

// The context of one caller ends while its request waits. That request may still run, but the
// other callers must get their answers without waiting for it.
func TestSettleAndClaim_CallerThatLeavesDelaysNoOther(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1, 1})
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	g := r.open("c", "0.0", 1, 0)
	_, release := r.batcher.Hold() // simulates a pipeline that is running, so that the request waits
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next, ok, err := r.SettleAndClaim(ctx, c, []campaign.Record{accepted("m")}, 1, r.settleAndClaimRequest(c, g, long))
	if ok || next == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %t, %v; want a claim, ok false and context.Canceled", next, ok, err)
	}
	release()
	r.settle(c, campaign.SettleAnswer, accepted("m"))
	if out, err := r.Release(t.Context(), next, 0, ReleaseUnsent); err != nil || out.Stale {
		t.Errorf("Release returned %+v, %v; want it not stale", out, err)
	}
	r.expect("c", "accepted pending")
}
