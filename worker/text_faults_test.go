package worker_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// bodyChecker is a stub. For every call, it checks that the body is right for the recipients,
// before it answers.
type bodyChecker struct {
	*stubGateway
	t           *testing.T
	share       int
	answer      func(ctx context.Context, b providers.Batch, times int) ([]providers.Result, error)
	acceptAll   atomic.Bool // true if the stub accepts every call from now on
	mu          sync.Mutex
	submissions map[sms.MSISDN]int
}

func newBodyChecker(t *testing.T, share int, info providers.Info) *bodyChecker {
	h := &bodyChecker{stubGateway: newStubGateway(info), t: t, share: share, submissions: map[sms.MSISDN]int{}}
	h.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		h.mu.Lock()
		times := h.submissions[b.To[0]]
		for _, m := range b.To {
			if want := greetingOf(int(m)-254_710_000_000, share); b.Body != want {
				h.t.Errorf("%s: got body %q, want %q", m, b.Body, want)
			}
			h.submissions[m]++
		}
		h.mu.Unlock()
		if h.answer == nil || h.acceptAll.Load() {
			return h.accept(ctx, b)
		}
		return h.answer(ctx, b, times)
	}
	return h
}

func (r *testTuma) enqueueGreeting(c producer.Campaign, n, share int) {
	r.t.Helper()
	c.Body = greeting
	if _, err := r.producer.Enqueue(r.t.Context(), c, namedRecipients(n, share)); err != nil {
		r.t.Fatal(err)
	}
}

// onceEach checks that the gateway took exactly one message to each of the first n recipients.
func (h *bodyChecker) onceEach(n int) {
	h.t.Helper()
	all := h.all()
	for i := range n {
		if times := all[sms.MSISDN(254_710_000_000+i)]; times != 1 {
			h.t.Fatalf("recipient %d was taken %d times, want 1", i, times)
		}
	}
}

// textFaultRecipients is the number of recipients in each campaign that the tests send through textFaults.
const textFaultRecipients = 300

// textFaults are gateways that refuse or lose calls of a campaign with merge fields.
var textFaults = map[string]struct {
	info   providers.Info
	resend string
	say    func(h *bodyChecker) func(context.Context, providers.Batch, int) ([]providers.Result, error)
	left   int // the number of recipients that are rejected at first and accepted by a retry
}{
	"calls are refused because of one of them": {info: providers.Info{KeyTTL: keyTTL}, left: textFaultRecipients / 50,
		say: func(h *bodyChecker) func(context.Context, providers.Batch, int) ([]providers.Result, error) {
			return func(ctx context.Context, b providers.Batch, _ int) ([]providers.Result, error) {
				if slices.ContainsFunc(b.To, func(m sms.MSISDN) bool { return m%50 == 7 }) {
					return nil, refusedCallError()
				}
				return h.accept(ctx, b)
			}
		}},
	"some are refused for now": {info: providers.Info{KeyTTL: keyTTL},
		say: func(h *bodyChecker) func(context.Context, providers.Batch, int) ([]providers.Result, error) {
			return func(ctx context.Context, b providers.Batch, times int) ([]providers.Result, error) {
				out, err := h.accept(ctx, b)
				if times == 0 && len(b.To) > 2 {
					h.stubGateway.mu.Lock()
					delete(h.took, b.To[1])
					h.stubGateway.mu.Unlock()
					out[1] = providers.Result{Outcome: providers.Retryable, Reason: "later"}
				}
				return out, err
			}
		}},
	"there is no answer, and a key": {info: providers.Info{KeyTTL: keyTTL},
		say: func(h *bodyChecker) func(context.Context, providers.Batch, int) ([]providers.Result, error) {
			return func(ctx context.Context, b providers.Batch, times int) ([]providers.Result, error) {
				if times == 0 && b.To[0]%3 == 0 {
					return nil, noAnswerError()
				}
				return h.accept(ctx, b)
			}
		}},
	"there is no answer, and a resend": {resend: worker.OnUnknownResend,
		say: func(h *bodyChecker) func(context.Context, providers.Batch, int) ([]providers.Result, error) {
			return func(ctx context.Context, b providers.Batch, times int) ([]providers.Result, error) {
				if times == 0 && b.To[0]%50 == 0 {
					return nil, noAnswerError()
				}
				return h.accept(ctx, b)
			}
		}},
}

func TestMergeFields_TextStaysWithItsRecipients(t *testing.T) {
	t.Parallel()
	const n, share = textFaultRecipients, 7
	for name, x := range textFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			h := newBodyChecker(t, share, x.info)
			h.answer = x.say(h)
			a := stubAccount(h)
			a.MaxAttempts = 100
			r.start(a)
			r.enqueueGreeting(producer.Campaign{ID: "c", Via: "kobo-main", OnUnknown: x.resend}, n, share)
			s := r.wait("c", 60*time.Second)
			if s.Accepted != n-x.left || s.Rejected != x.left {
				t.Fatalf("got the final status %+v, want %d accepted and %d rejected", s, n-x.left, x.left)
			}
			if x.left > 0 {
				h.acceptAll.Store(true)
				if _, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Rejected: true}); err != nil {
					t.Fatal(err)
				}
				if s = r.wait("c", 60*time.Second); s.Accepted != n {
					t.Fatalf("got the final status after a retry %+v, want %d accepted", s, n)
				}
			}
			h.onceEach(n)
			if s.Segments != n {
				t.Errorf("got %d segments, want one for each recipient", s.Segments)
			}
		})
	}
}
