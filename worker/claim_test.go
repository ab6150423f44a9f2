package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// afterClaimHook is a hook on a Redis client. It runs a function after each granted claim, before the
// worker gets the answer.
type afterClaimHook func(ctx context.Context)

// DialHook implements redis.Hook.
func (h afterClaimHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h afterClaimHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (h afterClaimHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		script, ok := cmd.(*redis.Cmd)
		if !ok || err != nil {
			return err
		}
		// The answer of a granted claim begins with "go" and has seven elements. The answers of
		// planning scripts also begin with "go", but are shorter.
		if answer, ok := script.Val().([]any); ok && len(answer) == 7 && answer[0] == "go" {
			h(ctx)
		}
		return nil
	}
}

// The lease begins when Redis grants the claim, and the call must end before the lease ends.
func TestClaim_LateAnswerShortensTheCall(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	a := stubAccount(gw)
	a.Timeout = 4 * time.Second
	const late = time.Second
	r.rdb.AddHook(afterClaimHook(func(context.Context) { waitFor(t, late) }))
	left := make(chan time.Duration, 1)
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return gw.accept(ctx, b)
	}
	r.start(a)
	r.enqueue("c", kenyanNumbers(2))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 {
		t.Errorf("got the status %+v, want 2 accepted", s)
	}
	if got := <-left; got > a.Timeout-late {
		t.Errorf("the call had %s of the timeout %s, although its claim took %s", got, a.Timeout, late)
	}
}

// While the worker claims a call, its Redis client opens a new connection. The new connection may
// lead to another Redis, which lacks recent settles. The worker must check for such a restart
// before it makes the call.
func TestClaim_ReleasedIfRedisMayHaveRestarted(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{})
	var mu sync.Mutex
	var calls []int64 // the number of calls that the gateway had received at each claim
	r.rdb.AddHook(afterClaimHook(func(ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		if calls = append(calls, gw.calls.Load()); len(calls) > 1 {
			return
		}
		for dialled := r.rdb.PoolStats().Misses; r.rdb.PoolStats().Misses == dialled; {
			conn := r.rdb.Conn() // conn holds the only connection, so that the pool must open a new connection
			defer func() { _ = conn.Close() }()
			if err := conn.Ping(ctx).Err(); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(2))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 || gw.calls.Load() != 1 {
		t.Errorf("got %d calls, want 1, and status %+v, want 2 accepted", gw.calls.Load(), s)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) < 2 || calls[1] != 0 {
		t.Errorf("calls made before each claim: got %v, want no call under the first claim", calls)
	}
}

// The worker repeats a refused call under a new idempotency key. Under the old key, a gateway that
// remembers its answers would refuse the call again.
func TestIdempotencyKey_RefusedCallGetsANewKey(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	var mu sync.Mutex
	keys := map[string]bool{}
	refusedKey := ""
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		keys[b.IdempotencyKey] = true
		if refusedKey == "" {
			refusedKey = b.IdempotencyKey
		}
		if b.IdempotencyKey == refusedKey {
			return nil, &providers.Error{Op: "stub send", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseBilling}
		}
		return gw.accept(ctx, b)
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(2))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 {
		t.Errorf("got status %+v, want 2 accepted", s)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(keys) != 2 {
		t.Errorf("got %d keys, want 2", len(keys))
	}
}
