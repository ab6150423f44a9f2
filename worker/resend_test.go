package worker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// africasTalkingAccount returns an account at the simulated Africa's Talking, a gateway without
// idempotency keys. A call has at most five numbers.
func (r *testTuma) africasTalkingAccount(onUnknown string) worker.Account {
	r.t.Helper()
	kind, ok := catalog.Lookup("africastalking")
	if !ok {
		r.t.Fatal("the catalog does not have the gateway")
	}
	p, err := kind.Open(providers.Settings{Endpoint: providers.Endpoint{BaseURL: r.url + "/africastalking", MaxRecipients: 5, Timeout: 2 * time.Second},
		Login: map[string]string{"username": "demo"}, Secrets: map[string]providers.Secret{"api_key": "demopass"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return worker.Account{Name: "kobo-main", Provider: p, Sender: "ACME", Timeout: 2 * time.Second, OnUnknown: onUnknown}
}

// enqueueWith enqueues a campaign that sets on_unknown itself.
func (r *testTuma) enqueueWith(id, onUnknown string, numbers []string) {
	r.t.Helper()
	c := producer.Campaign{ID: id, Via: "kobo-main", Body: "Hello from ACME", OnUnknown: onUnknown}
	if _, err := r.producer.Enqueue(r.t.Context(), c, producer.Numbers(numbers...)); err != nil {
		r.t.Fatal(err)
	}
}

func TestResend_OnUnknownKeepOrResend(t *testing.T) {
	t.Parallel()
	for onUnknown, want := range map[string]struct {
		accepted, unknown int
		calls             int64
		times             [3]int // the numbers of recipients that got no message, one message and two messages
	}{
		// The 50 recipients make ten calls. The gateway takes two of these calls, but
		// does not answer them. It does not take a third call, and closes its connection. The
		// circuit breaker then holds the account, and the probe has only one recipient of the
		// next call.
		worker.OnUnknownKeep:   {35, 15, 11, [3]int{5, 45, 0}},
		worker.OnUnknownResend: {50, 0, 14, [3]int{0, 40, 10}},
	} {
		t.Run(onUnknown, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			r.gateway.FailNext(2, "accept_close")
			r.gateway.FailNext(1, "close")
			r.start(r.africasTalkingAccount(onUnknown))
			r.enqueue("c", kenyanNumbers(50))
			s := r.wait("c", 60*time.Second)
			if s.Accepted != want.accepted || s.Unknown != want.unknown || s.Resent != 0 || int64(s.Calls) != want.calls {
				t.Errorf("got the status %+v, want %d accepted, %d unknown, none resent and %d calls", s, want.accepted, want.unknown, want.calls)
			}
			if resends := onUnknown == worker.OnUnknownResend; (s.OnUnknown == producer.OnUnknownResend) != resends {
				t.Errorf("got on_unknown %q in the status with %q in the configuration, want resend only if it is configured", s.OnUnknown, onUnknown)
			}
			if got := r.gateway.Stats(); got.Calls != want.calls {
				t.Errorf("got the gateway counters %+v, want %d calls", got, want.calls)
			}
			times := [3]int{}
			for i := range 50 {
				times[r.gateway.Accepted(254_710_000_000+uint64(i))]++
			}
			if times != want.times {
				t.Errorf("numbers taken never, once, twice: got %v, want %v", times, want.times)
			}
		})
	}
}

func TestResend_ChangesNothingWithIdempotencyKeys(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.gateway.FailNext(2, "accept_close")
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.OnUnknown = 10, worker.OnUnknownResend }))
	r.enqueueWith("c", producer.OnUnknownResend, kenyanNumbers(50))
	if s := r.wait("c", 30*time.Second); s.Accepted != 50 || s.OnUnknown != "" || s.Calls != 5 {
		t.Errorf("got the status %+v, want 50 accepted in 5 calls, and no on_unknown", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 50 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 50 accepted and 0 duplicates", got)
	}
	r.tally("c")
}

// unansweredFirst makes the gateway take every call. It does not answer the first n calls to each
// number.
func (s *stubGateway) unansweredFirst(n int) {
	s.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		out, err := s.accept(ctx, b)
		if s.times(b.To[0]) <= n {
			return nil, noAnswerError()
		}
		return out, err
	}
}

func TestResend_CampaignSettingOverridesTheAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		account, campaign string
		times             int
	}{
		{"", "", 1},
		{worker.OnUnknownResend, "", 2},
		{worker.OnUnknownResend, producer.OnUnknownKeep, 1},
		{worker.OnUnknownKeep, producer.OnUnknownResend, 2},
	} {
		t.Run(tt.account+" "+tt.campaign, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(providers.Info{})
			gw.unansweredFirst(1)
			a := stubAccount(gw)
			a.OnUnknown = tt.account
			r.start(a)
			r.enqueueWith("c", tt.campaign, kenyanNumbers(1))
			s := r.wait("c", 20*time.Second)
			if s.Unknown != 2-tt.times || s.Accepted != tt.times-1 || gw.times(254_710_000_000) != tt.times {
				t.Errorf("sent %d times; status %+v", gw.times(254_710_000_000), s)
			}
		})
	}
}

func TestResend_AtMostOnce(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	gw.unansweredFirst(3)
	r.start(stubAccount(gw))
	r.enqueueWith("c", producer.OnUnknownResend, kenyanNumbers(3))
	if s := r.wait("c", 20*time.Second); s.Unknown != 3 || gw.calls.Load() != 2 {
		t.Errorf("got %d calls, want 2, and status %+v, want 3 unknown", gw.calls.Load(), s)
	}
	if n, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Unknown: true}); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if s := r.wait("c", 20*time.Second); s.Unknown != 3 || gw.calls.Load() != 3 {
		t.Errorf("after a retry: got %d calls, want 3, and status %+v, want 3 unknown", gw.calls.Load(), s)
	}
}

func TestResend_PlannedSettingOutlivesTheConfiguration(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	gw.unansweredFirst(1)
	before := stubAccount(gw)
	before.OnUnknown = worker.OnUnknownResend
	first := r.start(before)
	if err := r.producer.Hold(t.Context(), "kobo-main", "audit"); err != nil {
		t.Fatal(err)
	}
	r.enqueue("c", kenyanNumbers(3))
	r.eventually(10*time.Second, "planning", func() bool { return r.status("c").State == producer.Sending })
	first.drain(t)
	r.start(stubAccount(gw))
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 20*time.Second); s.Accepted != 3 || gw.calls.Load() != 2 {
		t.Errorf("got %d calls, want 2, and status %+v, want 3 accepted", gw.calls.Load(), s)
	}
	r.enqueue("later", kenyanNumbers(1))
	if s := r.wait("later", 20*time.Second); s.OnUnknown != "" {
		t.Errorf("got the status of a campaign planned with the new configuration %+v, want no on_unknown", s)
	}
}

// The first call hangs until its lease has ended, so the recipients are resent. The gateway answers
// the second call before it answers the first call.
func TestResend_BothAnswersAreKept(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	var calls atomic.Int64
	proceed := make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if calls.Add(1) == 2 {
			<-proceed // this provider ignores its deadline
		}
		return gw.accept(ctx, b)
	}
	a := stubAccount(gw)
	a.Timeout = 200 * time.Millisecond
	r.start(a)
	t.Cleanup(release) // this runs before the worker drains
	r.enqueue("before", []string{"0720000000"})
	r.wait("before", 10*time.Second) // this ends the slow start, so that other calls need not wait for the call that hangs
	r.enqueueWith("c", producer.OnUnknownResend, kenyanNumbers(2))
	if s := r.wait("c", 30*time.Second); s.Accepted != 2 || s.Resent != 0 {
		t.Fatalf("got the status %+v, want 2 accepted and 0 resent", s)
	}
	release()
	r.eventually(10*time.Second, "the late answer to be counted", func() bool { return r.status("c").Resent == 2 })
	if s := r.status("c"); s.Accepted != 2 || s.Segments != 2 || s.State != producer.Done {
		t.Errorf("got the status %+v, want 2 accepted, 2 segments and state done", s)
	}
	for n := range sms.MSISDN(2) {
		if gw.times(254_710_000_000+n) != 2 {
			t.Errorf("number %d was sent %d times", n, gw.times(254_710_000_000+n))
		}
	}
}
