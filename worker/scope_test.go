package worker_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// acceptFirstHalf returns a stub that accepts the first half of the recipients of each call.
// For the other half it returns the given answer, until the test calls the result "mend".
func acceptFirstHalf(answer providers.Result) (gw *stubGateway, mend func()) {
	gw = newStubGateway(providers.Info{MaxRecipients: 100})
	var mended atomic.Bool
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if mended.Load() {
			return gw.accept(ctx, b)
		}
		rest := b.To[len(b.To)/2:]
		b.To = b.To[:len(b.To)/2]
		out, err := gw.accept(ctx, b)
		for range rest {
			out = append(out, answer)
		}
		return out, err
	}
	return gw, func() { mended.Store(true) }
}

func TestCredit_EndingInACallHoldsTheAccount(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw, mend := acceptFirstHalf(providers.Result{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "405"})
	a := stubAccount(gw)
	a.MaxAttempts, a.Concurrency = 1, 1
	r.start(a)
	r.enqueue("c", kenyanNumbers(400))
	r.eventually(20*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	r.eventually(10*time.Second, "the calls in flight", func() bool { return r.status("c").InFlight.Calls == 0 })
	if b := r.status("c").BlockedBy[0]; b.Reason != "credit" || b.Account != "kobo-main" {
		t.Errorf("got the block %+v, want kobo-main held for credit", b)
	}
	if s := r.status("c"); s.Rejected != 0 || s.Unknown != 0 || s.Accepted == 0 || s.Accepted+s.Pending != 400 {
		t.Errorf("got the status while held %+v, want accepted and pending recipients only, 400 together", s)
	}
	mend()
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != 400 {
		t.Errorf("got the status after a top-up %+v, want 400 accepted", s)
	}
	for n, count := range gw.all() {
		if count != 1 {
			t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
		}
	}
}

// answerAll returns a stub that returns the given answer for all recipients, until the test
// calls the result "mend".
func answerAll(answer providers.Result) (gw *stubGateway, mend func()) {
	gw = newStubGateway(providers.Info{MaxRecipients: 100})
	var mended atomic.Bool
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if mended.Load() {
			return gw.accept(ctx, b)
		}
		return slices.Repeat([]providers.Result{answer}, len(b.To)), nil
	}
	return gw, func() { mended.Store(true) }
}

var senderRefused = providers.Result{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "sender_refused", Code: "402"}

func TestVerdict_SenderRefusedForAllPausesTheCampaign(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw, mend := answerAll(senderRefused)
	a := stubAccount(gw)
	a.MaxAttempts = 1
	r.start(a)
	r.enqueue("c", kenyanNumbers(200))
	r.eventually(20*time.Second, "the pause", func() bool { return r.status("c").State == producer.Paused })
	r.eventually(10*time.Second, "the calls in flight", func() bool { return r.status("c").InFlight.Calls == 0 })
	if s := r.status("c"); s.Pending != 200 {
		t.Errorf("got the status while paused %+v, want 200 pending", s)
	}
	if b := r.status("c").BlockedBy; len(b) != 1 || b[0].Reason != "paused" || b[0].By != "gateway:402" {
		t.Errorf("got the blocks %+v, want one: paused by gateway:402", b)
	}
	mend()
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != 200 {
		t.Errorf("got the status after Resume %+v, want 200 accepted", s)
	}
	for n, count := range gw.all() {
		if count != 1 {
			t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
		}
	}
}

func TestVerdict_SenderRefusedForSomeRejectsOnlyThem(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw, _ := acceptFirstHalf(senderRefused)
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(200))
	if s := r.wait("c", 30*time.Second); s.Accepted != 100 || s.Rejected != 100 {
		t.Errorf("got the status %+v, want 100 accepted and 100 rejected", s)
	}
	for x, err := range r.producer.Results(t.Context(), "c", "rejected") {
		if err != nil || x.Reason != "sender_refused" || x.Code != "402" {
			t.Errorf("got the result %+v and the error %v, want the reason sender_refused and the code 402", x, err)
		}
	}
}

func TestBalance_FromAReplyIsStored(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		out, err := gw.accept(ctx, b)
		out[0].Balance = &providers.Balance{Amount: 8823.5, Currency: "KES"}
		out[0].Cost, out[0].Currency = "0.8000", "KES"
		return out, err
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(3))
	r.wait("c", 20*time.Second)
	r.eventually(10*time.Second, "the balance", func() bool {
		accounts, err := r.producer.Accounts(t.Context())
		return err == nil && accounts[0].Balance == "KES 8823.5" && !accounts[0].BalanceAt.IsZero()
	})
	for x, err := range r.producer.Results(t.Context(), "c") {
		if err != nil || (x.Row == 1) != (x.Cost == "0.8000" && x.Currency == "KES") {
			t.Errorf("got the result %+v and the error %v, want the cost 0.8000 KES in row 1 only", x, err)
		}
	}
}

func TestRetryAfter_RecipientWaitsForItsTime(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw, mend := acceptFirstHalf(providers.Result{Outcome: providers.Retryable, Reason: "daily_cap", Code: "-411", RetryAfter: 24 * time.Hour})
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(4))
	r.eventually(20*time.Second, "the first half", func() bool { return r.status("c").Accepted == 2 })
	mend()
	calls := gw.calls.Load()
	r.enqueue("later", kenyanNumbers(8)[4:])
	r.wait("later", 20*time.Second)
	if s := r.status("c"); s.Pending != 2 || gw.calls.Load() != calls+1 {
		t.Errorf("got %d more calls, want 1; status %+v", gw.calls.Load()-calls, s)
	}
}

func TestRetryAfter_DelaysOnlyItsRecipient(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 100})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if gw.calls.Load() > 1 {
			return gw.accept(ctx, b)
		}
		out := slices.Repeat([]providers.Result{{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "-100"}}, len(b.To))
		out[0] = providers.Result{Outcome: providers.Retryable, Reason: "daily_cap", Code: "-411", RetryAfter: 24 * time.Hour}
		return out, nil
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(100))
	r.eventually(20*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	r.eventually(20*time.Second, "all recipients but one to be accepted", func() bool { return r.status("c").Accepted == 99 })
	r.eventually(20*time.Second, "the status to say why the last one waits", func() bool {
		s := r.status("c")
		return s.Pending == 1 && len(s.BlockedBy) == 1 && s.BlockedBy[0].Reason == "later" && time.Until(*s.BlockedBy[0].Until) > 23*time.Hour
	})
}
