package worker_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// scriptedStub is a gateway for which the test chooses the answer for each recipient. The field
// "seen" is the number of recipients that the gateway has received.
type scriptedStub struct {
	*stubGateway
	seen atomic.Int64
}

func newScriptedStub(most int, say func(n int64) providers.Result) *scriptedStub {
	v := &scriptedStub{stubGateway: newStubGateway(providers.Info{MaxRecipients: most})}
	v.send = func(_ context.Context, b providers.Batch) ([]providers.Result, error) {
		out := make([]providers.Result, len(b.To))
		for i, n := range b.To {
			out[i] = say(v.seen.Add(1))
			if out[i].Outcome == providers.Accepted {
				out[i].MessageID = "m-" + n.String()
			}
		}
		return out, nil
	}
	return v
}

var (
	accepted = providers.Result{Outcome: providers.Accepted}
	rejected = providers.Result{Outcome: providers.Rejected, Scope: providers.Recipient, Cause: providers.CauseRefused, Reason: "bad_number", Code: "403"}
	noAnswer = providers.Result{Outcome: providers.Unknown, Scope: providers.Recipient, Cause: providers.CauseNoAnswer, Reason: "no_answer"}
)

func (r *testTuma) enqueueWithThreshold(id string, n, canary int, maxRejected float64) {
	r.t.Helper()
	c := producer.Campaign{ID: id, Via: "kobo-main", Body: "Hello from ACME", Canary: canary, MaxRejected: maxRejected}
	if _, err := r.producer.Enqueue(r.t.Context(), c, producer.Numbers(kenyanNumbers(n)...)); err != nil {
		r.t.Fatal(err)
	}
}

// waitUntilPaused waits until a campaign is paused and has no calls in flight.
func (r *testTuma) waitUntilPaused(id string) producer.Status {
	r.t.Helper()
	var s producer.Status
	r.eventually(30*time.Second, "the campaign to be paused", func() bool {
		s = r.status(id)
		return s.State == producer.Paused && s.InFlight.Calls == 0
	})
	return s
}

func (r *testTuma) resume(id string) {
	r.t.Helper()
	if _, err := r.producer.Resume(r.t.Context(), id); err != nil {
		r.t.Fatal(err)
	}
}

func TestCanary_FailingCampaignSendsOnlyTheCanary(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most int // the maximum number of recipients of a call
		say  providers.Result
	}{
		"one call, all rejected":       {500, rejected},
		"several calls, all rejected":  {20, rejected},
		"a call each, all rejected":    {1, rejected},
		"several calls, none answered": {20, noAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newScriptedStub(tt.most, func(int64) providers.Result { return tt.say })
			for range 2 {
				r.start(stubAccount(gw))
			}
			r.enqueueWithThreshold("c", 5000, 50, 0)
			s := r.waitUntilPaused("c")
			if s.TooManyRejected == nil || *s.TooManyRejected != (producer.TooManyRejected{Bad: 50, Ended: 50, Canary: true}) || s.MaxRejected != producer.DefaultMaxRejected {
				t.Errorf("got TooManyRejected %+v with MaxRejected %v %%, want 50 bad of 50 ended in the canary with %v %%",
					s.TooManyRejected, s.MaxRejected, producer.DefaultMaxRejected)
			}
			if b := s.BlockedBy; len(b) == 0 || b[0].Reason != "paused" || b[0].By != campaign.PausedTooMany || b[0].Since == nil {
				t.Errorf("BlockedBy: got %+v, want first the pause by the failure threshold", b)
			}
			r.eventually(30*time.Second, "the whole campaign to be planned", func() bool { return r.status("c").Batches >= 5000/500 })
			if n := gw.seen.Load(); n != 50 {
				t.Errorf("%d messages arrived, want only the 50 of the canary", n)
			}
			if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			if s := r.wait("c", time.Minute); s.Skipped != 4950 {
				t.Errorf("after Cancel: got status %+v, want 4950 skipped", s)
			}
		})
	}
}

func TestCanary_WithinTheLimitContinuesByItself(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newScriptedStub(20, func(n int64) providers.Result {
		if n%10 == 0 {
			return rejected
		}
		return accepted
	})
	r.start(stubAccount(gw))
	r.enqueueWithThreshold("c", 1000, 50, 10)
	if s := r.wait("c", time.Minute); s.State != producer.Done || s.Accepted != 900 || s.Rejected != 100 || s.Canary != nil || s.TooManyRejected != nil {
		t.Errorf("got the final status %+v, want state done, 900 accepted, 100 rejected, no canary and no pause", s)
	}
}

func TestFailureThreshold_StopsClaimsAboveTheLimit(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newScriptedStub(10, func(n int64) providers.Result {
		if n > 300 {
			return rejected
		}
		return accepted
	})
	acc := stubAccount(gw)
	acc.Concurrency = 2
	r.start(acc)
	r.enqueueWithThreshold("c", 3000, 0, 20)
	s := r.waitUntilPaused("c")
	// The limit is 20 %. 75 bad recipients of 375 are exactly 20 %, so the 76th bad recipient
	// exceeds the limit. Each call has ten recipients, and one more call may be in flight.
	if s.TooManyRejected == nil || s.TooManyRejected.Bad < 76 || s.TooManyRejected.Bad > 90 || s.TooManyRejected.Canary || gw.seen.Load() > 300+100 {
		t.Fatalf("got TooManyRejected %+v after %d messages, want 76 to 90 bad ones after at most 400 messages", s.TooManyRejected, gw.seen.Load())
	}
	// Resume sets the counts of the failure threshold to zero. The campaign is then paused a second
	// time after 100 to 120 further messages, which are all rejected or unknown.
	before := gw.seen.Load()
	r.resume("c")
	again := r.waitUntilPaused("c")
	if n := gw.seen.Load() - before; again.TooManyRejected.Ended < 100 || again.TooManyRejected.Bad != again.TooManyRejected.Ended || n > 120 {
		t.Errorf("after Resume: got a pause for %+v after %d more messages, want 100 or more ended, all bad, after at most 120 messages", again.TooManyRejected, n)
	}
}

func TestCanary_PausesWhenKoboRejectsEveryThird(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { a.Concurrency = 3 }))
	numbers := kenyanNumbers(3000)
	for i, n := range numbers {
		if i%3 == 2 {
			m, err := sms.ParseMSISDN(n, "KE")
			if err != nil {
				t.Fatal(err)
			}
			if err := r.gateway.Gateway("kobo").SetReply(simulator.Reject, uint64(m)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := producer.Campaign{ID: "c", Via: "kobo-main", Body: "Hello from ACME", Canary: 60, MaxRejected: 30}
	if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers(numbers...)); err != nil {
		t.Fatal(err)
	}
	s := r.waitUntilPaused("c")
	if s.Rejected != 20 || s.Accepted != 40 || r.gateway.Stats().Accepted != 40 {
		t.Errorf("got the status %+v after the canary and the gateway counters %+v, want 20 rejected and 40 accepted in both", s, r.gateway.Stats())
	}
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.tally("c")
}

// After several splits of a call, the bad recipient is the only recipient of its part. The refusal
// of this part is the third refusal in a row, at an account that has never accepted a message. The
// worker must still try the other parts.
func TestSplit_RefusedPartDoesNotDelayTheOthers(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	bad, err := sms.ParseMSISDN(kenyanNumbers(7)[6], "KE")
	if err != nil {
		t.Fatal(err)
	}
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if slices.Contains(b.To, bad) {
			return nil, refusedCallError()
		}
		return gw.accept(ctx, b)
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(7))
	if s := r.wait("c", time.Minute); s.Accepted != 6 || s.Rejected != 1 {
		t.Errorf("got the final status %+v, want 6 accepted and 1 rejected", s)
	}
}
