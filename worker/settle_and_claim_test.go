package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// settleAndClaimHook is a hook on a Redis client. It counts runs of the script that settles one
// call and claims the next. It recognises this script by the number of arguments. It can also drop
// the answers of the script.
type settleAndClaimHook struct {
	seen atomic.Int64
	// The function "lose" reports whether the hook drops the n-th answer. If it is nil, the hook
	// drops no answer.
	lose func(n int64) bool
}

// settleAndClaimArgs is the number of arguments of the command that runs settle_and_claim.lua. It
// includes the command's name and its keys.
const settleAndClaimArgs = 3 + 2 + 16

// DialHook implements redis.Hook.
func (h *settleAndClaimHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h *settleAndClaimHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && h.loses(cmd) {
			cmd.SetErr(errLost)
			return errLost
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *settleAndClaimHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if cmd.Err() == nil && h.loses(cmd) {
				cmd.SetErr(errLost)
			}
		}
		return err
	}
}

var errLost = errors.New("the answer was lost")

func (h *settleAndClaimHook) loses(cmd redis.Cmder) bool {
	args := cmd.Args() // name, script, number of keys, keys, arguments
	if name := cmd.Name(); len(args) != settleAndClaimArgs || name != "evalsha" && name != "eval" || fmt.Sprint(args[2]) != "2" {
		return false
	}
	n := h.seen.Add(1)
	return h.lose != nil && h.lose(n)
}

// oneRecipientPerCall starts a worker with one slot at a stub that takes one number a call.
func oneRecipientPerCall(r *testTuma, gw *stubGateway) *settleAndClaimHook {
	r.t.Helper()
	h := &settleAndClaimHook{}
	r.rdb.AddHook(h)
	a := stubAccount(gw)
	a.Concurrency = 1
	r.start(a)
	return h
}

func TestSettleAndClaim_GoodCallClaimsTheNext(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1})
	h := oneRecipientPerCall(r, gw)
	r.enqueue("c", kenyanNumbers(120))
	if s := r.wait("c", 30*time.Second); s.Accepted != 120 || s.Calls != 120 || s.InFlight.Calls != 0 {
		t.Errorf("got the status %+v, want 120 accepted in 120 calls, and no call in flight", s)
	}
	for n, times := range gw.all() {
		if times != 1 {
			t.Errorf("%s was taken %d times, want 1", n, times)
		}
	}
	if h.seen.Load() == 0 {
		t.Error("no settle claimed the next call")
	}
}

// Redis settles a call and grants the next claim, but the answer of Redis is lost. The worker must
// settle again. It must also release the claim, because Redis may have granted the claim. No call
// may become doubtful, even at a gateway without idempotency keys.
func TestSettleAndClaim_LostAnswerLosesNothing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1})
	h := &settleAndClaimHook{lose: func(n int64) bool { return n%3 == 1 }}
	r.rdb.AddHook(h)
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(150))
	if s := r.wait("c", 60*time.Second); s.Accepted != 150 || s.Unknown != 0 {
		t.Errorf("got the status %+v, want 150 accepted and 0 unknown", s)
	}
	for n, times := range gw.all() {
		if times != 1 {
			t.Errorf("%s was taken %d times, want 1", n, times)
		}
	}
	if h.seen.Load() == 0 {
		t.Error("no answer was lost")
	}
}

// duringCall makes the gateway run the function "action" during the n-th call. That call takes 100 ms,
// which is longer than an account check stays valid (20 ms). So before the worker claims the next call, it must
// check again in Redis whether the account is held.
func duringCall(gw *stubGateway, n int64, action func()) {
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if gw.calls.Load() == n {
			action()
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		return gw.accept(ctx, b)
	}
}

func TestSettleAndClaim_NotDuringAHold(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1, KeyTTL: keyTTL})
	duringCall(gw, 5, func() {
		if err := r.producer.Hold(t.Context(), "kobo-main", "audit"); err != nil {
			t.Error(err)
		}
	})
	oneRecipientPerCall(r, gw)
	r.enqueue("c", kenyanNumbers(30))
	r.eventually(20*time.Second, "the last call to be settled", func() bool {
		s := r.status("c")
		return gw.calls.Load() >= 5 && s.InFlight.Calls == 0 && s.Accepted >= 5
	})
	if n := gw.calls.Load(); n != 5 {
		t.Errorf("%d calls were made, want 5", n)
	}
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 20*time.Second); s.Accepted != 30 {
		t.Errorf("got the status %+v, want 30 accepted", s)
	}
}

func TestSettleAndClaim_NotWithARate(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1, KeyTTL: keyTTL})
	var before atomic.Int64
	h := &settleAndClaimHook{}
	duringCall(gw, 5, func() {
		if err := accounts.New(ledger.New(r.rdb).Runner()).SetRate(t.Context(), "kobo-main", "1000 1"); err != nil {
			t.Error(err)
		}
		before.Store(h.seen.Load())
	})
	r.rdb.AddHook(h)
	a := stubAccount(gw)
	a.Concurrency = 1
	r.start(a)
	r.enqueue("c", kenyanNumbers(40))
	if s := r.wait("c", 30*time.Second); s.Accepted != 40 {
		t.Errorf("got the status %+v, want 40 accepted", s)
	}
	if n := h.seen.Load() - before.Load(); n > 0 {
		t.Errorf("%d calls were claimed without a reservation, want 0", n)
	}
}

func TestSettleAndClaim_NotDuringACoolDown(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1, KeyTTL: keyTTL})
	h := &settleAndClaimHook{}
	var before, after atomic.Int64
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		switch gw.calls.Load() {
		case 5:
			before.Store(h.seen.Load())
			return nil, &providers.Error{Op: "stub send", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseThrottled, RetryAfter: 300 * time.Millisecond}
		case 6:
			after.Store(h.seen.Load())
		}
		return gw.accept(ctx, b)
	}
	r.rdb.AddHook(h)
	a := stubAccount(gw)
	a.Concurrency = 1
	r.start(a)
	r.enqueue("c", kenyanNumbers(20))
	if s := r.wait("c", 20*time.Second); s.Accepted != 20 {
		t.Errorf("got the status %+v, want 20 accepted", s)
	}
	if after.Load() != before.Load() {
		t.Errorf("%d settles claimed the next call in a cool-down, want 0", after.Load()-before.Load())
	}
}
