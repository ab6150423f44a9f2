package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// listingStub is a stubGateway that can list the messages it has taken. Workers search such a list
// for the messages of a doubtful call. The list of a listingStub is always empty.
type listingStub struct{ *stubGateway }

// Taken implements providers.Reconciler.
func (listingStub) Taken(context.Context, time.Time, time.Time) ([]providers.TakenMessage, error) {
	return nil, nil
}

// hasDoubt reports whether a campaign has a doubtful call and no call in flight.
func (r *testTuma) hasDoubt(id string) bool {
	r.t.Helper()
	got, err := r.rdb.HMGet(r.t.Context(), "tuma:{"+id+"}:l", "flyc", "fly").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return (got[0] == nil || got[0] == "0") && got[1] != nil && got[1] != "0"
}

// The gateway takes a call and does not answer. Redis then restarts and loses the claim of the call.
// The worker must not make the call a second time. In one case the worker has already written that the
// call is doubtful when Redis restarts. In the other case the call is still in flight.
func TestRedisRestart_DoubtfulCallIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []bool{false, true} {
		t.Run(map[bool]string{false: "doubt was written", true: "call is in flight"}[inFlight], func(t *testing.T) {
			t.Parallel()
			r := newTestTumaOn(t, simulator.Options{}, withConfig())
			gw := listingStub{newStubGateway(providers.Info{MaxRecipients: 10})}
			taken, answer := make(chan struct{}, 1), make(chan struct{})
			var doubtful atomic.Bool
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				out, err := gw.accept(ctx, b)
				if doubtful.CompareAndSwap(true, false) {
					taken <- struct{}{}
					<-answer
					return nil, noAnswerError()
				}
				return out, err
			}
			account := stubAccount(gw.stubGateway)
			account.Provider, account.Timeout, account.ReconcileFor = gw, 10*time.Second, time.Minute
			r.startWith(worker.Config{Accounts: []worker.Account{account}})
			r.enqueue("before", kenyanNumbers(40)) // after this campaign, the account has no slow start
			r.wait("before", 20*time.Second)
			if err := r.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
				t.Fatal(err)
			}
			numbers := kenyanNumbers(50)[40:]
			r.enqueue("c", numbers)
			r.eventually(10*time.Second, "the plan", func() bool { return r.status("c").State == producer.Sending })
			restart := r.redis.Remember()
			doubtful.Store(true)
			release := func() {
				t.Helper()
				if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
					t.Fatal(err)
				}
			}
			release()
			<-taken
			if inFlight {
				restart()
				close(answer)
			} else {
				close(answer)
				r.eventually(10*time.Second, "the doubt", func() bool { return r.hasDoubt("c") })
				restart()
			}
			release() // the restarted Redis has lost the first release, so the account is held again
			if s := r.wait("c", 60*time.Second); s.Unknown != len(numbers) {
				t.Errorf("%d recipients are unknown, want %d; status %+v", s.Unknown, len(numbers), s)
			}
			for n, count := range gw.all() {
				if count != 1 {
					t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
				}
			}
		})
	}
}
