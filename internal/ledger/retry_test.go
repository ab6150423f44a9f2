package ledger

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The method "ended" creates a finished campaign of two batches. The first batch has an accepted, an unknown and
// a rejected row, and the second batch has one unknown row.
func (r *testLedger) ended(id string, spec campaign.Spec) {
	r.Helper()
	r.sendingSpec(id, spec, []int{3}, []int{1})
	r.settle(r.claim(id, "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), rejected("bad_number"))
	r.settle(r.claim(id, "0.1", 0, 0, keyed, long), campaign.SettleVerdict, unknown("no_answer"))
	r.expect(id, "accepted unknown rejected unknown")
}

func TestRetry_ReopensTheChosenStatuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		unknown, rejected bool
		count             int
		want              string
	}{
		"unknown":  {true, false, 2, "accepted pending rejected pending"},
		"rejected": {false, true, 1, "accepted unknown pending unknown"},
		"both":     {true, true, 3, "accepted pending pending pending"},
	}
	r := newTestLedger(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			r.ended(name, campaign.Spec{})
			for range 2 { // the second run repeats the retry and changes nothing
				if n, err := r.Retry(t.Context(), name, "op", c.unknown, c.rejected); err != nil || n != c.count {
					t.Errorf("retry returned %d, %v; want %d", n, err, c.count)
				}
				r.expect(name, c.want)
			}
			if s := r.summary(name); s.State != campaign.Sending || !s.FinishedAt.IsZero() {
				t.Errorf("state is %s, finished %v; want sending and not finished", s.State, s.FinishedAt)
			}
			due, err := r.DueBatches(t.Context(), name, time.Now().Add(time.Minute))
			if err != nil || len(due) == 0 || slices.ContainsFunc(due, func(w Wake) bool { return w.Number != 2 }) {
				t.Errorf("due are %v, %v; want batches with a new wake", due, err)
			}
		})
	}
}

func TestRetry_RefusedWhereNothingCanBeRetried(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("planning", campaign.Spec{}, 2)
	r.sending("nothing", []int{1})
	r.settle(r.claim("nothing", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.ended("expired", campaign.Spec{ExpiresAt: time.Now().Add(time.Hour)})
	r.travel("expired", 2*time.Hour)
	r.sending("cancelled", []int{1})
	_, err := r.Cancel(t.Context(), "cancelled", "me")
	r.ok(err)
	r.ended("busy", campaign.Spec{})
	_, err = r.run(t.Context(), retryOpenScript, "busy", nil, script.Args(retryOpenArgs{Token: "another", Unknown: true, Rejected: true})...)
	r.ok(err)
	for id, want := range map[string]error{"planning": ErrPlanning, "nothing": ErrNothingToRetry, "expired": ErrStopped, "cancelled": ErrStopped,
		"busy": ErrBusy, "no-such": ErrNotFound} {
		before := r.state(id)
		if _, err := r.Retry(t.Context(), id, "op", true, true); !errors.Is(err, want) {
			t.Errorf("Retry of %s: got %v, want %v", id, err, want)
		}
		if r.state(id) != before {
			t.Errorf("%s: a refused retry changed the ledger", id)
		}
	}
	if _, err := r.Summary(t.Context(), "no-such"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Summary after a retry of an unknown campaign: got %v, want ErrNotFound", err)
	}
}

func TestRetry_UnfinishedRetryIsFinishedOnce(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.ended("c", campaign.Spec{})
	out, err := r.run(t.Context(), retryOpenScript, "c", nil, script.Args(retryOpenArgs{Token: "op", Unknown: true})...)
	r.ok(err)
	_, err = r.run(t.Context(), retryStepScript, "c", nil, append(script.Args(retryStepArgs{Operation: out[1], Batch: out[2]}), 3)...)
	r.ok(err)
	r.expect("c", "accepted pending rejected unknown")
	record := r.summary("c").RetryRecord
	if record == "" {
		t.Fatal("the summary has no RetryRecord during the retry")
	}
	// All recipients that the retry has reopened so far are settled, but the retry is not complete. So
	// the campaign is not done yet.
	if out := r.settle(r.claim("c", "0.0", 0, 1, keyed, long), campaign.SettleAnswer, accepted("m2")); out.Done {
		t.Error("done in the middle of a retry")
	}
	r.ok(r.FinishRetry(t.Context(), "c", record))
	r.expect("c", "accepted accepted rejected pending")
	before := r.state("c")
	r.ok(r.FinishRetry(t.Context(), "c", record)) // another sweeper also tries to finish the retry, but the retry has finished already
	if n, err := r.Retry(t.Context(), "c", "op", true, false); err != nil || n != 2 {
		t.Errorf("the repeated Retry returned %d, %v; want 2", n, err)
	}
	if r.state("c") != before {
		t.Error("finishing it again changed the ledger")
	}
	if err := r.FinishRetry(t.Context(), "c", "not a record"); err == nil {
		t.Error("an unreadable retry record was accepted")
	}
}

func TestRetry_EndsIfItsRecipientsWereSettledMeanwhile(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1}, []int{1})
	late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, unknown("no_key"))
	r.settle(r.claim("c", "0.1", 0, 0, noKey, long), campaign.SettleAnswer, accepted("m2"))
	out, err := r.run(t.Context(), retryOpenScript, "c", nil, script.Args(retryOpenArgs{Token: "op", Unknown: true})...)
	r.ok(err)
	r.settle(late, campaign.SettleAnswer, accepted("m1"))
	r.sound("c")
	n, err := r.retrySteps(t.Context(), "c", out[1], out[2])
	if err != nil || n != 0 {
		t.Errorf("the retry returned %d, %v; want 0", n, err)
	}
	r.expect("c", "accepted accepted")
}

// An operator retries unknown recipients and then cancels the campaign.
func TestRetry_StoppedRetryLeavesUnknownAsUnknown(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, stop := range map[string]func(id string){
		"cancel": func(id string) { _, err := r.Cancel(t.Context(), id, "me"); r.ok(err) },
		"expiry": func(id string) {
			r.travel(id, 2*time.Hour)
			_, _, err := r.TopUp(t.Context(), id, nil)
			r.ok(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			r.ended(name, campaign.Spec{ExpiresAt: time.Now().Add(time.Hour)})
			was := r.rows(name)
			_, err := r.Retry(t.Context(), name, "op", true, true)
			r.ok(err)
			c := r.claim(name, "0.1", 0, 1, keyed, long)
			stop(name)
			r.expect(name, "accepted unknown skipped pending")
			if got := r.rows(name)[1]; got.Reason != was[1].Reason || got.MessageUUID != was[1].MessageUUID {
				t.Errorf("row 2 is unknown for %q under %s, want %q under %s as before", got.Reason, got.MessageUUID, was[1].Reason, was[1].MessageUUID)
			}
			// The claim in flight is released as not sent. Its recipient must be unknown again, as before
			// the retry.
			_, err = r.Release(t.Context(), c, 0, ReleaseUnsent)
			r.ok(err)
			r.expect(name, "accepted unknown skipped unknown")
			if s := r.summary(name); s.FinishedAt.IsZero() {
				t.Error("the campaign has not finished")
			}
		})
	}
}

func TestRetry_UnknownThatIsRefusedForNowStaysUnknown(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleVerdict, repeat(2, unknown("no_answer"))...)
	_, err := r.Retry(t.Context(), "c", "op", true, false)
	r.ok(err)
	r.settle(r.claim("c", "0.0", 0, 1, noKey, long), campaign.SettleAnswer, refusedForNow(), refusedForNow())
	r.sound("c")
	_, err = r.Split(t.Context(), r.claim("c", "0.0", 0, 2, noKey, long))
	r.ok(err)
	r.sound("c")
	_, err = r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	r.expect("c", "unknown unknown")
	if got := r.rows("c")[0].Reason; got != "no_answer" {
		t.Errorf("reason is %q, want no_answer", got)
	}
}

func TestRetry_RepeatedStepsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.ended("c", campaign.Spec{})
	step := func(op, batch string, calls ...any) []string {
		t.Helper()
		out, err := r.run(t.Context(), retryStepScript, "c", nil, append(script.Args(retryStepArgs{Operation: op, Batch: batch}), calls...)...)
		r.ok(err)
		return out
	}
	unchanged := func(what string, want []string, do func() []string) {
		t.Helper()
		before := r.state("c")
		if got := do(); !slices.Equal(got, want) || r.state("c") != before {
			t.Errorf("%s returned %q, want %q and no change", what, got, want)
		}
	}
	open, err := r.run(t.Context(), retryOpenScript, "c", nil, script.Args(retryOpenArgs{Token: "first", Unknown: true})...)
	r.ok(err)
	op := open[1]
	unchanged("a batch that is not next", []string{"open", "0.0", "0"}, func() []string { return step(op, "0.1", 1) })
	one := step(op, "0.0", 3)
	unchanged("the first batch again", one, func() []string { return step(op, "0.0", 3) })
	two := step(op, "0.1", 1)
	unchanged("the last batch again", two, func() []string { return step(op, "0.1", 1) })
	if want := []string{"ended", "", "2"}; !slices.Equal(two, want) {
		t.Errorf("the last batch returned %q, want %q", two, want)
	}

	next, err := r.run(t.Context(), retryOpenScript, "c", nil, script.Args(retryOpenArgs{Token: "second", Rejected: true})...)
	r.ok(err)
	if next[1] == op {
		t.Error("two retries have the same operation number")
	}
	unchanged("an operation that is over, during the next", []string{"ended", "", "2"}, func() []string { return step(op, "0.0", 3) })
	unchanged("an operation that never was", []string{"past"}, func() []string { return step("99", "0.0", 3) })
	step(next[1], "0.0", 3)
	r.expect("c", "accepted pending pending pending")
}

func TestRetry_CancelEndsIt(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.ended("c", campaign.Spec{})
	open, err := r.run(t.Context(), retryOpenScript, "c", nil, script.Args(retryOpenArgs{Token: "op", Unknown: true, Rejected: true})...)
	r.ok(err)
	_, err = r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	if n, err := r.retrySteps(t.Context(), "c", open[1], open[2]); err != nil || n != 0 {
		t.Errorf("the retry of a cancelled campaign returned %d, %v; want 0", n, err)
	}
	r.expect("c", "accepted unknown rejected unknown")
	if s := r.summary("c"); s.FinishedAt.IsZero() || s.RetryRecord != "" {
		t.Errorf("the campaign has not finished: finished is %v, retry %q; want a time and none", s.FinishedAt, s.RetryRecord)
	}
}

// A recipient was unknown, then was retried and rejected, and is retried again. Its first
// message may still have been sent.
func TestRetry_RejectedOnceUnknownEndsAsUnknown(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, code := range map[string]string{"short": "x", "long": strings.Repeat("x", 240)} {
		r.sending(name, []int{1, 1})
		first := r.claim(name, "0.0", 0, 0, noKey, long)
		r.settle(first, campaign.SettleVerdict, campaign.Record{Status: campaign.Unknown, Reason: "no_answer", Code: code})
		r.settle(r.claim(name, "0.0", 1, 0, noKey, long), campaign.SettleAnswer, rejected("bad_number"))
		for op := range 3 {
			_, err := r.Retry(t.Context(), name, strconv.Itoa(op), true, true)
			r.ok(err)
			r.sound(name)
			r.settle(r.claim(name, "0.0", 0, op+1, noKey, long), campaign.SettleAnswer, campaign.Record{Status: campaign.Rejected, Reason: "blacklisted", Code: code})
			r.expect(name, "rejected pending")
			r.settle(r.claim(name, "0.0", 1, op+1, noKey, long), campaign.SettleAnswer, rejected("bad_number"))
		}
		_, err := r.Retry(t.Context(), name, "last", true, true)
		r.ok(err)
		_, err = r.Cancel(t.Context(), name, "me")
		r.ok(err)
		r.expect(name, "unknown skipped")
		if got := r.rows(name)[0].MessageUUID; got != first.IdempotencyKey.String() {
			t.Errorf("row 1 is unknown under %s, want the first request %s", got, first.IdempotencyKey)
		}
	}
}
