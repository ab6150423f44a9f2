package worker_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// failingSettles is a hook on a Redis client. It makes the first few settles fail before they
// write anything.
type failingSettles struct{ left atomic.Int64 }

// DialHook implements redis.Hook.
func (h *failingSettles) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h *failingSettles) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (h *failingSettles) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any("answer")) && h.left.Add(-1) >= 0 {
			err := errors.New("redis is away")
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// At a gateway without idempotency keys, only this worker knows the outcome of its call. So the worker
// must keep trying to settle.
func TestSettle_RepeatedUntilWritten(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	h := &failingSettles{}
	h.left.Store(3)
	r.rdb.AddHook(h)
	gw := newStubGateway(providers.Info{})
	a := stubAccount(gw)
	a.Timeout = time.Second
	r.start(a)
	r.enqueue("c", kenyanNumbers(2))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 || gw.calls.Load() != 1 {
		t.Errorf("got %d calls, want 1, and status %+v, want 2 accepted", gw.calls.Load(), s)
	}
	if left := h.left.Load(); left >= 0 {
		t.Errorf("%d settles did not fail, want 0: the hook must make all of them fail", left+1)
	}
}
