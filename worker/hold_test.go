package worker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

func stubAccount(p providers.Provider) worker.Account {
	return worker.Account{Name: "kobo-main", Provider: p, Timeout: time.Second}
}

func TestRefusal_DeadNumberHoldsNothing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		for _, n := range b.To {
			if n == 254710000000 {
				return nil, refusedCallError()
			}
		}
		return gw.accept(ctx, b)
	}
	r.start(stubAccount(gw))
	var held []producer.Block
	r.enqueue("refused", []string{"0710000000"})
	r.eventually(15*time.Second, "the campaign to end", func() bool {
		s := r.status("refused")
		held = append(held, s.BlockedBy...)
		return s.State == producer.Done
	})
	if s := r.status("refused"); s.Rejected != 1 || len(held) > 0 {
		t.Errorf("got the status %+v of the refused campaign, blocked by %+v; want 1 rejected and no block", s, held)
	}
	r.enqueue("good", []string{"0710000001"})
	if s := r.wait("good", 30*time.Second); s.Accepted != 1 {
		t.Errorf("got the status of good %+v, want 1 accepted", s)
	}
}

// Two workers send through a gateway that refuses every recipient, either as a whole call or one recipient
// at a time. For every size of a call, at most 50 recipients are rejected.
func TestRefusal_AtMostFiftyAreRejected(t *testing.T) {
	t.Parallel()
	dead := func(_ context.Context, b providers.Batch) ([]providers.Result, error) {
		return slices.Repeat([]providers.Result{{Outcome: providers.Rejected, Reason: "invalid_number", Code: "403"}}, len(b.To)), nil
	}
	wholeCall := func(context.Context, providers.Batch) ([]providers.Result, error) { return nil, refusedCallError() }
	for name, tt := range map[string]struct {
		info   providers.Info
		refuse func(context.Context, providers.Batch) ([]providers.Result, error)
	}{
		"each recipient of a call of 500": {providers.Info{MaxRecipients: 500}, dead},
		"each recipient of a call of 7":   {providers.Info{MaxRecipients: 7}, dead},
		"calls of one recipient":          {providers.Info{MaxRecipients: 1}, dead},
		"whole calls of 500":              {providers.Info{MaxRecipients: 500, KeyTTL: keyTTL}, wholeCall},
		"whole calls of one recipient":    {providers.Info{MaxRecipients: 1}, wholeCall},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(tt.info)
			var mended atomic.Bool
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				if mended.Load() {
					return gw.accept(ctx, b)
				}
				return tt.refuse(ctx, b)
			}
			checkRefusalLimit(r, gw, func() { mended.Store(true) })
		})
	}
}

// checkRefusalLimit sends 2,000 messages with two workers through a gateway that refuses all
// messages until the function "mend" is called. It checks that at most 50 recipients are
// rejected. After the call of mend, each of the remaining messages must be accepted once.
func checkRefusalLimit(r *testTuma, gw *stubGateway, mend func()) {
	r.t.Helper()
	r.start(stubAccount(gw))
	r.start(stubAccount(gw))
	const all = 2000
	r.enqueue("c", kenyanNumbers(all))
	r.eventually(30*time.Second, "the hold", func() bool {
		b := r.status("c").BlockedBy
		return len(b) > 0 && b[0].Reason == "nothing_accepted" && b[0].Until != nil
	})
	if _, err := r.producer.Enqueue(r.t.Context(), producer.Campaign{ID: "code", Via: "kobo-main", Body: "b", Class: producer.Transactional}, producer.Numbers("0799000001")); err != nil {
		r.t.Fatal(err)
	}
	if s := r.wait("code", 10*time.Second); s.Rejected != 1 || len(s.BlockedBy) > 0 {
		r.t.Errorf("transactional: got %+v, want the number rejected, and not blocked", s)
	}
	probes := gw.calls.Load()
	r.eventually(20*time.Second, "two more probes", func() bool { return gw.calls.Load() >= probes+2 })
	r.eventually(10*time.Second, "the calls in flight", func() bool { return r.status("c").InFlight.Calls == 0 })
	if s := r.status("c"); s.Rejected > 50 || s.Rejected < 40 || s.Pending != all-s.Rejected {
		r.t.Errorf("got %+v, want at most 50 rejected, the others pending", s)
	}
	mend()
	s := r.wait("c", 60*time.Second)
	if s.Accepted+s.Rejected != all || s.Rejected > 50 {
		r.t.Errorf("after the repair: %+v", s)
	}
	if n, err := r.producer.Retry(r.t.Context(), "c", producer.RetryOptions{Rejected: true}); err != nil || n != s.Rejected {
		r.t.Errorf("Retry returned %+v, %v, want %d", n, err, s.Rejected)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != all {
		r.t.Errorf("after the retry: %+v", s)
	}
	for n, count := range gw.all() {
		if count != 1 {
			r.t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
		}
	}
}

// The worker divides a refused call until a part has one recipient, and only that recipient is rejected.
// So a gateway that refuses every call gets only a few calls for each rejected recipient.
func TestRefusal_GatewayThatRefusesEverythingGetsFewCalls(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	gw.send = func(context.Context, providers.Batch) ([]providers.Result, error) { return nil, refusedCallError() }
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(3000))
	r.eventually(20*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	r.eventually(10*time.Second, "calls in flight to end", func() bool { return r.status("c").InFlight.Calls == 0 })
	if n := gw.calls.Load(); n > 2*50+6*9+10 {
		t.Errorf("got %d calls, want at most 164: two for each rejected recipient, and nine to divide each of the six calls", n)
	}
	if s := r.status("c"); s.Rejected > 50 || s.Pending != 3000-s.Rejected || s.BlockedBy[0].Reason != "nothing_accepted" {
		t.Errorf("got %+v, want at most 50 rejected, the others pending", s)
	}
}

func TestBreaker_BalanceAnswerDoesNotLiftTheHold(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.fail(simulator.Fault{Name: "403", P: 1}) // only sending fails: the gateway still reports its balance
	r.start(r.account())
	r.enqueue("c", kenyanNumbers(3000))
	r.eventually(20*time.Second, "three probes", func() bool {
		a, err := r.producer.Accounts(t.Context())
		return err == nil && len(a) == 1 && a[0].Hold.Held() && time.Until(a[0].Hold.Until) > 4*time.Second
	})
	if n := r.gateway.Stats().Calls; n > 8+4 {
		t.Errorf("got %d calls until the back-off was above 4 s, want at most 12", n)
	}
}

func TestCancel_DoubtfulCallOfAHeldAccountEndsUnknown(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	gw.send = func(context.Context, providers.Batch) ([]providers.Result, error) { return nil, noAnswerError() }
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(3))
	r.eventually(10*time.Second, "a doubtful call", func() bool { return gw.calls.Load() > 0 && r.status("c").InFlight.Calls == 0 })
	if err := r.producer.Hold(t.Context(), "kobo-main", "audit"); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "calls in flight to end", func() bool { return r.status("c").InFlight.Calls == 0 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 10*time.Second); s.Unknown != 3 || s.State != producer.Cancelled {
		t.Errorf("got the status %+v, want 3 unknown and state cancelled", s)
	}
	for x, err := range r.producer.Results(t.Context(), "c") {
		if err != nil || x.Status != "unknown" || x.Reason != "cancelled" {
			t.Errorf("got the result %+v and the error %v, want unknown with the reason cancelled", x, err)
		}
	}
}

func TestBreaker_PausedCampaignUsesNoProbes(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL, MaxRecipients: 1})
	var down atomic.Bool
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if down.Load() {
			return nil, &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseConnection}
		}
		return gw.accept(ctx, b)
	}
	down.Store(true)
	r.start(stubAccount(gw))
	r.enqueue("paused", kenyanNumbers(3000))
	r.eventually(10*time.Second, "the hold", func() bool { return len(r.status("paused").BlockedBy) > 0 })
	if _, err := r.producer.Pause(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	r.enqueue("other", []string{"0720000001"})
	down.Store(false)
	if s := r.wait("other", 20*time.Second); s.Accepted != 1 {
		t.Errorf("got the status of other %+v, want 1 accepted", s)
	}
}

func TestCredit_HoldLiftsAfterATopUp(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Credit: 5})
	r.start(r.account())
	r.enqueue("c", kenyanNumbers(10))
	r.eventually(10*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	if b := r.status("c").BlockedBy; b[0].Reason != "credit" || b[0].Code != "error_credit" {
		t.Errorf("got the blocks %+v, want credit with the code error_credit first", b)
	}
	r.gateway.SetCredit(100)
	if s := r.wait("c", 20*time.Second); s.Accepted != 10 {
		t.Errorf("got the status %+v, want 10 accepted", s)
	}
}

// The worker does not know the price. The gateway refuses a whole call if the credit is not enough for all
// its messages. The worker must use up the remaining credit with smaller calls.
func TestCredit_RemainderIsUsedBySmallerCalls(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]providers.Info{"with a key": {KeyTTL: keyTTL}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const perMessage = 2.5
			r := newTestTuma(t, simulator.Options{})
			gw := &balanceStub{stubGateway: newStubGateway(info)}
			var mu sync.Mutex
			left, refusals := 260*perMessage, 0
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				if float64(len(b.To))*perMessage > left {
					refusals++
					return nil, &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "broke"}
				}
				left -= float64(len(b.To)) * perMessage
				return gw.accept(ctx, b)
			}
			gw.balance = func(context.Context) (providers.Balance, error) {
				mu.Lock()
				defer mu.Unlock()
				return providers.Balance{Amount: left, Currency: "KES"}, nil
			}
			r.start(stubAccount(gw))
			r.enqueue("c", kenyanNumbers(1000))
			r.eventually(60*time.Second, "all credit to be used up", func() bool { return r.status("c").Accepted == 260 })
			r.eventually(20*time.Second, "the hold", func() bool {
				b := r.status("c").BlockedBy
				return len(b) > 0 && b[0].Reason == "credit" && b[0].Code == "broke" && r.status("c").InFlight.Calls == 0
			})
			mu.Lock()
			t.Logf("%d calls were refused", refusals)
			if refusals > 80 {
				t.Errorf("%d calls were refused, want at most 80", refusals)
			}
			left += 2000 * perMessage
			mu.Unlock()
			if s := r.wait("c", 40*time.Second); s.Accepted != 1000 {
				t.Errorf("got the status %+v, want 1000 accepted", s)
			}
			for n, times := range gw.all() {
				if times != 1 {
					t.Errorf("%s was taken %d times, want 1", n, times)
				}
			}
		})
	}
}

func TestBalance_PanicIsContained(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := &balanceStub{stubGateway: newStubGateway(providers.Info{}), balance: func(context.Context) (providers.Balance, error) { panic("no") }}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(3))
	if s := r.wait("c", 10*time.Second); s.Accepted != 3 {
		t.Errorf("got the status %+v, want 3 accepted", s)
	}
}

func TestSend_BrokenProviderContractAffectsOnlyItsCall(t *testing.T) {
	t.Parallel()
	var typedNil *providers.Error
	for name, answer := range map[string]func() ([]providers.Result, error){
		"a panic":                  func() ([]providers.Result, error) { panic("a secret") },
		"too few results":          func() ([]providers.Result, error) { return make([]providers.Result, 1), nil },
		"too many results":         func() ([]providers.Result, error) { return make([]providers.Result, 9), nil },
		"nothing":                  func() ([]providers.Result, error) { return nil, nil },
		"an error of another kind": func() ([]providers.Result, error) { return nil, errors.New("odd") },
		"a nil *Error":             func() ([]providers.Result, error) { return nil, typedNil },
		"not sent, but perhaps begun": func() ([]providers.Result, error) {
			return nil, &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, KeepKey: true}
		},
		"accepted as error": func() ([]providers.Result, error) { return nil, &providers.Error{Outcome: providers.Accepted} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			without := newStubGateway(providers.Info{})
			without.send = func(context.Context, providers.Batch) ([]providers.Result, error) { return answer() }
			with := newStubGateway(providers.Info{KeyTTL: keyTTL})
			with.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				if with.calls.Load() == 1 {
					return answer()
				}
				return with.accept(ctx, b)
			}
			a, b := stubAccount(without), stubAccount(with)
			b.Name = "keyed"
			r.start(a, b)
			r.enqueue("without", kenyanNumbers(5))
			if s := r.wait("without", 10*time.Second); s.Unknown != 5 {
				t.Errorf("got the status without a key %+v, want 5 unknown", s)
			}
			if n := without.calls.Load(); n != 1 {
				t.Errorf("got %d calls at a gateway without keys, want 1", n)
			}
			if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "with", Via: "keyed", Body: "b"}, producer.Numbers(kenyanNumbers(5)...)); err != nil {
				t.Fatal(err)
			}
			if s := r.wait("with", 10*time.Second); s.Accepted != 5 || with.times(sms.MSISDN(254710000000)) != 1 {
				t.Errorf("got the status with a key %+v, want 5 accepted, and the message to 254710000000 taken once", s)
			}
		})
	}
}

// A probe repeats a call under its idempotency key, and the gateway refuses the key because it was
// used before. That refusal proves nothing about the account. It must neither end nor lengthen the
// hold, and must not prevent the next probe.
func TestBreaker_InconclusiveProbeIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	kobosim.Of(r.gateway).SetRepeat(simulator.RepeatError)
	r.gateway.FailNext(3, "accept_close")
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.MaxAttempts = 20, 3 }))
	r.enqueue("c", kenyanNumbers(60))
	if s := r.wait("c", 30*time.Second); s.Unknown != 60 {
		t.Errorf("got the status %+v, want 60 unknown", s)
	}
	if st := r.gateway.Stats(); st.Accepted != 60 || st.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 60 accepted and 0 duplicates", st)
	}
}

// A gateway repeats its error for one idempotency key for ever. The call with this key ends unknown
// after MaxAttempts. Until then it must neither hold the account nor delay other calls.
func TestIdempotencyKey_PermanentErrorDelaysNoOtherCall(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL, MaxRecipients: 20})
	var failingKey atomic.Value
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if gw.calls.Load() == 3 {
			failingKey.Store(b.IdempotencyKey)
			return nil, noAnswerError()
		}
		if failingKey.Load() == b.IdempotencyKey {
			return nil, &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: "error_gw", KeepKey: true}
		}
		return gw.accept(ctx, b)
	}
	a := stubAccount(gw)
	a.MaxAttempts = 4
	r.start(a)
	r.enqueue("c", kenyanNumbers(500))
	var held []producer.Block
	r.eventually(60*time.Second, "the campaign to end", func() bool {
		s := r.status("c")
		held = append(held, s.BlockedBy...)
		return s.State == producer.Done
	})
	if s := r.status("c"); s.Accepted != 480 || s.Unknown != 20 || len(held) > 0 {
		t.Errorf("got the status %+v and the blocks %+v, want 480 accepted, 20 unknown and no block", s, held)
	}
}
