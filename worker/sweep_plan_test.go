package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// planGate is a hook on a Redis client that delays two commands. Planning of the campaign begins
// only after the test has closed plan. The sweeper reads the due work of the campaign only after
// the test has closed sweep.
type planGate struct {
	openSet     string        // key of the campaign's open set
	summary     chan struct{} // closed when the sweeper has read the summary for the first time
	plan, sweep chan struct{}
	sweeps      atomic.Int64 // how often the sweeper has begun to read the campaign's due work
}

func newPlanGate(id string) *planGate {
	return &planGate{openSet: "tuma:{" + id + "}:o", summary: make(chan struct{}), plan: make(chan struct{}), sweep: make(chan struct{})}
}

// DialHook implements redis.Hook.
func (h *planGate) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h *planGate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// planStartArgs is the number of arguments of the command that runs plan_start.lua: its name, the
// script, the number of keys, two keys, four arguments and the upload token.
const planStartArgs = 10

// dueLimit is the LIMIT in the sweeper's command that reads due batches. The hook recognises the
// command by it.
const dueLimit = "500"

// ProcessHook implements redis.Hook.
func (h *planGate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		switch name := cmd.Name(); {
		case name == "zrangebyscore" && args[1] == h.openSet && fmt.Sprint(args[len(args)-1]) == dueLimit:
			if h.sweeps.Add(1) == 1 {
				close(h.summary)
			}
			await(ctx, h.sweep)
		case (name == "evalsha" || name == "eval") && len(args) == planStartArgs && args[4] == h.openSet:
			await(ctx, h.plan)
		}
		return next(ctx, cmd)
	}
}

// await waits until the channel is closed or the context ends.
func await(ctx context.Context, closed <-chan struct{}) {
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// The sweeper reads the summary of a campaign that is not planned. Before the sweeper reads the due
// work, the campaign is planned, and its batch becomes due. The sweeper must not quarantine that
// batch, although the summary names no account.
func TestSweep_CampaignPlannedMeanwhileIsNotQuarantined(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 10})
	answer := make(chan struct{})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		await(ctx, answer)
		return gw.accept(ctx, b)
	}
	h := newPlanGate("c")
	r.rdb.AddHook(h)
	a := stubAccount(gw)
	a.Timeout = 30 * time.Second
	r.start(a)
	r.enqueue("c", kenyanNumbers(10))
	<-h.summary
	close(h.plan)
	r.eventually(20*time.Second, "the call", func() bool { return gw.calls.Load() == 1 })
	plain := r.redis.Client()
	if err := plain.ZAddXX(t.Context(), h.openSet, redis.Z{Score: 1, Member: "0.0"}).Err(); err != nil {
		t.Fatal(err)
	}
	close(h.sweep)
	r.eventually(20*time.Second, "the sweep of the due batch", func() bool { return plain.ZScore(t.Context(), h.openSet, "0.0").Val() != 1 })
	close(answer)
	if s := r.wait("c", 30*time.Second); s.Accepted != 10 || s.Quarantined > 0 || gw.calls.Load() != 1 {
		t.Errorf("got %d calls, want 1, and the status %+v, want 10 accepted and 0 quarantined", gw.calls.Load(), s)
	}
}

// Redis lost the plan of a campaign, and a worker that remembers a batch of that plan has opened the
// batch again. The sweeper must not quarantine the batch, because the campaign will be planned again.
func TestSweep_BatchOfALostPlanIsNotQuarantined(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 10})
	h := newPlanGate("c")
	r.rdb.AddHook(h)
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(10))
	<-h.summary
	plain := r.redis.Client()
	if err := plain.ZAdd(t.Context(), h.openSet, redis.Z{Score: 1, Member: "0.0"}).Err(); err != nil {
		t.Fatal(err)
	}
	close(h.sweep)
	r.eventually(20*time.Second, "another sweep", func() bool { return h.sweeps.Load() > 1 })
	close(h.plan)
	if s := r.wait("c", 30*time.Second); s.Accepted != 10 || s.Quarantined > 0 || gw.calls.Load() != 1 {
		t.Errorf("got %d calls, want 1, and the status %+v, want 10 accepted and 0 quarantined", gw.calls.Load(), s)
	}
}
