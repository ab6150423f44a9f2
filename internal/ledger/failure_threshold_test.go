package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The method "canary" plans a campaign whose first batch is its canary. The parameter "first" has the sizes
// of the calls in this batch. A batch of one call follows.
func (r *testLedger) canary(id string, spec campaign.Spec, first []int, rest int) {
	r.Helper()
	for _, n := range first {
		spec.Canary += n
	}
	r.sendingSpec(id, spec, first, []int{rest})
}

// newTestLedgerWithLowThreshold returns a testLedger that checks the failure threshold after as few
// as four messages.
func newTestLedgerWithLowThreshold(t testing.TB) *testLedger {
	r := newTestLedger(t)
	r.thresholdSample, r.thresholdSpan = 4, 8
	return r
}

func (r *testLedger) wantClaim(id, batch string, call int, want ClaimResult) {
	r.Helper()
	if c := r.tryClaim(id, batch, r.open(id, batch, call, 0), keyed, long); c.Result != want {
		r.Errorf("a claim of %s %d got %q, want %q", batch, call, c.Result, want)
	}
}

func TestCanary_OtherBatchesWaitForItsEnd(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.canary("c", campaign.Spec{MaxRejected: 50}, []int{2, 1, 1}, 3)
	now, err := r.Now(t.Context())
	r.ok(err)
	if due, err := r.DueBatches(t.Context(), "c", now.Add(time.Minute)); err != nil || len(due) != 1 || due[0].Batch != "0.0" {
		t.Fatalf("handed out %v, %v; want only the canary", due, err)
	}
	r.wantClaim("c", "0.1", 0, ClaimCanary) // a sweeper may have opened the batch
	if s := r.summary("c"); s.Canary != 4 || s.TooManyRejected != nil {
		t.Errorf("the canary is %d, TooManyRejected %+v; want 4 and nil", s.Canary, s.TooManyRejected)
	}

	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m1"), rejected("bad_number"))
	doubtful := r.claim("c", "0.0", 1, 0, keyed, lapsed)
	_, err = r.Doubt(t.Context(), doubtful, 0, true)
	r.ok(err)
	r.settle(r.claim("c", "0.0", 2, 0, keyed, long), campaign.SettleAnswer, refusedForNow())
	for range 2 {
		wakes, _, err := r.TopUp(t.Context(), "c", map[int]int{0: 1000})
		if err != nil || len(wakes) > 0 {
			t.Fatalf("a top-up handed out %v, %v; want nothing", wakes, err)
		}
	}
	r.wantClaim("c", "0.1", 0, ClaimCanary)
	r.settle(r.claim("c", "0.0", 2, 1, keyed, long), campaign.SettleAnswer, unknown("no_answer"))
	if _, err := r.Resume(t.Context(), "c", "me"); err != nil { // the campaign is not paused
		t.Error(err)
	}
	r.wantClaim("c", "0.1", 0, ClaimCanary)

	// The doubtful call is settled: two of the four messages have failed, which is not more than 50 %.
	out := r.settle(r.claim("c", "0.0", 1, 0, keyed, long), campaign.SettleAnswer, accepted("m3"))
	if want := []Wake{{"0.1", 1}}; !cmp.Equal(out.Wakes, want) {
		t.Errorf("the end of the canary handed out %v, want %v", out.Wakes, want)
	}
	if s := r.summary("c"); s.Canary != 0 || s.State != campaign.Sending {
		t.Errorf("after the canary: the canary is %d, the state %s; want 0 and sending", s.Canary, s.State)
	}
	r.settle(r.claim("c", "0.1", 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	r.expect("c", "accepted rejected accepted unknown accepted accepted accepted")
}

func TestCanary_TooManyRejectedPausesTheCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.canary("c", campaign.Spec{}, []int{2, 2}, 3) // the default threshold, 10 %
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m1"), unknown("no_answer"))
	last := r.claim("c", "0.0", 1, 0, keyed, long)
	settle := func() Settled {
		return r.settle(last, campaign.SettleAnswer, rejected("blacklisted"), accepted("m4"))
	}
	settle()
	s := r.summary("c")
	if want := (&campaign.TooManyRejected{Bad: 2, Ended: 4, Canary: true}); s.State != campaign.Paused || s.PausedBy != campaign.PausedTooMany || !cmp.Equal(s.TooManyRejected, want) || s.PausedAt.IsZero() {
		t.Fatalf("the campaign is %s by %q, %+v; want paused for %+v", s.State, s.PausedBy, s.TooManyRejected, want)
	}
	r.wantClaim("c", "0.1", 0, ClaimPaused)
	if before, _, after := r.state("c"), settle(), r.state("c"); before != after {
		t.Errorf("the repeated settle changed the ledger from\n%s\nto\n%s", before, after)
	}

	if _, err := r.Resume(t.Context(), "c", "me"); err != nil {
		t.Fatal(err)
	}
	settle()
	if s := r.summary("c"); s.State != campaign.Sending || s.TooManyRejected != nil {
		t.Errorf("after Resume the campaign is %s, %+v; want sending and nil", s.State, s.TooManyRejected)
	}
	r.settle(r.claim("c", "0.1", 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, rejected("bad_number"))...)
	r.expect("c", "accepted unknown rejected accepted rejected rejected rejected")
}

func TestCanary_CampaignOfOnlyTheCanaryEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		calls   []int
		leftOut int
	}{
		"as many as asked for":     {[]int{3}, 0},
		"fewer than asked for":     {[]int{2}, 0},
		"fewer, with some skipped": {[]int{2}, 2},
		"all recipients skipped":   {nil, 2},
		"more than asked for":      {[]int{5}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}}
			n := 0
			if tt.calls != nil {
				n = tt.calls[0]
				page.Batches = []campaign.PlannedBatch{{Calls: tt.calls, To: plannedRows(1, n)}}
			}
			for i := range tt.leftOut {
				page.Skipped = append(page.Skipped, campaign.SkippedRecipient{Row: n + i + 1, Reason: campaign.ReasonDuplicate})
			}
			r.enqueue("c", campaign.Spec{Canary: 3}, n+tt.leftOut)
			_, done, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), page)
			r.ok(err)
			if n > 0 {
				if s := r.summary("c"); s.Canary != n {
					t.Errorf("the canary is %d, want %d", s.Canary, n)
				}
				done = r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, repeat(n, rejected("bad_number"))...).Done
			}
			// No message is pending, so the campaign must end and must not be paused.
			if s := r.summary("c"); !done || s.State != campaign.Done || s.TooManyRejected != nil {
				t.Errorf("done is %t, the state %s, TooManyRejected %+v; want true, done and nil", done, s.State, s.TooManyRejected)
			}
			r.sound("c")
		})
	}
}

func TestCanary_CountsOverAllAccounts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{Canary: 4, MaxRejected: 25}, 10)
	_, _, err := r.startPlan("c", 2).CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 9, 1: 9}, Batches: []campaign.PlannedBatch{
		{Stream: 0, Calls: []int{3}, To: plannedRows(1, 3)}, {Stream: 1, Calls: []int{1}, To: plannedRows(4, 1)},
		{Stream: 0, Calls: []int{3}, To: plannedRows(5, 3)}, {Stream: 1, Calls: []int{3}, To: plannedRows(8, 3)}}})
	r.ok(err)
	r.wantClaim("c", "0.1", 0, ClaimCanary)
	r.wantClaim("c", "1.1", 0, ClaimCanary)
	r.settle(r.claim("c", "1.0", 0, 0, keyed, long), campaign.SettleAnswer, rejected("bad_number"))
	r.wantClaim("c", "1.1", 0, ClaimCanary)

	// If the account of a canary recipient is held, the recipient moves and stays in the canary.
	// Recipients outside the canary may move too, and then still wait for the canary.
	for batch, want := range map[string]ClaimResult{"0.0": ClaimGranted, "0.1": ClaimCanary} {
		m, err := r.Movable(t.Context(), "c", batch, time.Now().Add(time.Hour))
		r.ok(err)
		f, _, err := r.Snapshot(t.Context(), "c")
		r.ok(err)
		out, err := r.Move(t.Context(), "c", script.NewToken(), m, f, 9, func(campaign.Planned, string) int { return 1 })
		r.ok(err)
		to := out.Wakes[0].Batch
		c := r.tryClaim("c", to, r.open("c", to, 0, 0), keyed, long)
		if c.Result != want {
			t.Errorf("recipients that moved from %s to %s got %q, want %q", batch, to, c.Result, want)
		}
		if c.Result == ClaimGranted {
			defer r.settle(c, campaign.SettleAnswer, repeat(3, accepted("m"))...)
		}
	}
	r.sound("c")
}

func TestFailureThreshold_PausesARunningCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedgerWithLowThreshold(t)
	r.sendingSpec("c", campaign.Spec{MaxRejected: 40}, []int{3, 2, 3, 4, 6, 9, 9})
	end := func(call int, records ...campaign.Record) *campaign.TooManyRejected {
		t.Helper()
		r.settle(r.claim("c", "0.0", call, 0, keyed, long), campaign.SettleAnswer, records...)
		return r.summary("c").TooManyRejected
	}
	if got := end(0, repeat(3, rejected("x"))...); got != nil {
		t.Errorf("paused after three messages, too few to check: %+v", got)
	}
	if got, want := end(1, accepted("m"), accepted("m")), (&campaign.TooManyRejected{Bad: 3, Ended: 5}); !cmp.Equal(got, want) {
		t.Fatalf("the campaign is paused for %+v, want %+v", got, want)
	}
	r.wantClaim("c", "0.0", 2, ClaimPaused)

	// After a resume the count restarts. If recipients that failed before the resume are retried,
	// they are not counted twice.
	_, err := r.Resume(t.Context(), "c", "me")
	r.ok(err)
	if got := end(2, repeat(3, unknown("x"))...); got != nil {
		t.Errorf("paused three messages after the resume, too few to check: %+v", got)
	}
	if n, err := r.Retry(t.Context(), "c", "again", false, true); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	r.settle(r.claim("c", "0.0", 0, 1, keyed, long), campaign.SettleAnswer, repeat(3, accepted("n"))...)
	if s := r.summary("c"); !cmp.Equal(s.TooManyRejected, &campaign.TooManyRejected{Bad: 3, Ended: 6}) {
		t.Errorf("after the three retried and the three unknown: paused for %+v, want 3 of 6", s.TooManyRejected)
	}

	// The campaign counts its failures in spans of messages. Many accepted messages in one span do not
	// hide the failures in the next span.
	_, err = r.Resume(t.Context(), "c", "me")
	r.ok(err)
	if got := end(5, repeat(9, accepted("m"))...); got != nil {
		t.Error(got)
	}
	if got := end(4, repeat(6, rejected("x"))...); !cmp.Equal(got, &campaign.TooManyRejected{Bad: 6, Ended: 6}) {
		t.Errorf("after a good span: paused for %+v, want 6 of 6", got)
	}
	if _, err := r.Cancel(t.Context(), "c", "me"); err != nil {
		t.Error(err)
	}
	r.sound("c")
	if _, err := r.Resume(t.Context(), "c", "me"); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
}

func TestFailureThreshold_ReplacesAPauseByHand(t *testing.T) {
	t.Parallel()
	r := newTestLedgerWithLowThreshold(t)
	r.sendingSpec("c", campaign.Spec{MaxRejected: 40}, []int{4, 1})
	out := r.claim("c", "0.0", 0, 0, keyed, long)
	_, err := r.Pause(t.Context(), "c", "me")
	r.ok(err)
	r.settle(out, campaign.SettleAnswer, repeat(4, rejected("x"))...)
	if s := r.summary("c"); s.PausedBy != campaign.PausedTooMany {
		t.Errorf("the campaign is paused by %q, want the threshold: the operator's resume did not see that pause", s.PausedBy)
	}
	_, err = r.Resume(t.Context(), "c", "me")
	r.ok(err)
	r.settle(r.claim("c", "0.0", 1, 0, keyed, long), campaign.SettleAnswer, rejected("x"))
	r.expect("c", "rejected rejected rejected rejected rejected")
}

func TestFailureThreshold_UnreadableFieldIsReported(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.canary("c", campaign.Spec{}, []int{1}, 1)
	r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "lim", "10 x").Err())
	_, _, err := r.TopUp(t.Context(), "c", map[int]int{0: 9})
	if u := AsUnreadable(err); u == nil || u.Record != "lim" {
		t.Errorf("got %v, want an Unreadable of the field lim", err)
	}
	// Outcomes are still written. Batch 0.1 may be beyond the canary, so it is not claimed.
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.wantClaim("c", "0.1", 0, ClaimCanary)
	r.expect("c", "accepted pending")
}

func TestCommit_CanaryAndThresholdAreNotContent(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{Canary: 50, MaxRejected: 5}, 3)
	if again := r.enqueue("c", campaign.Spec{}, 3); !again.Again {
		t.Error("the same campaign without a canary counts as a new one, so it would be sent twice")
	}
}

// A recipient that opts out leaves the canary: the canary does not wait for it, and does not
// count its outcome.
func TestCanary_OptedOutRecipientsLeaveIt(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.canary("c", campaign.Spec{}, []int{2, 1}, 3)
	leave := func(call int, optedOut map[int]string) Settled {
		t.Helper()
		out, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", r.open("c", "0.0", call, 0), optedOut, 1000)
		r.ok(err)
		return out
	}
	leave(0, map[int]string{1: "ACME"})
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.wantClaim("c", "0.1", 0, ClaimCanary)
	if got := leave(1, map[int]string{0: "ACME"}).Wakes; len(got) != 1 || got[0].Batch != "0.1" {
		t.Errorf("the end of the canary handed out %v, want batch 0.1", got)
	}
	r.settle(r.claim("c", "0.1", 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	r.expect("c", "accepted skipped skipped accepted accepted accepted")
}
