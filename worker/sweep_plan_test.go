package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// planGate is a hook on a Redis client that delays two commands. Planning of the campaign begins
// only after the test has closed the channel "plan". The sweeper reads the due work of the
// campaign only after the test has closed the channel "sweep".
type planGate struct {
	openSet     string        // key of the campaign's open set
	summary     chan struct{} // closed when the sweeper has read the summary for the first time
	plan, sweep chan struct{}
	sweeps      atomic.Int64 // how often the sweeper has started to read the campaign's due work
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

// dueLimit is the LIMIT in the sweeper's command that reads due batches. The hook recognises this command by its LIMIT.
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

// The function "await" waits until the channel is closed or the context ends.
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

// lostPlan is a hook on a Redis client. Before the first command that reads the plan of a campaign, the hook
// restores the ledger of the campaign to its state before the plan. A Redis that restarts without its last writes
// has the same effect.
type lostPlan struct {
	ledger string // key of the campaign's ledger
	lose   func(context.Context) error
	once   sync.Once
	failed error
}

// DialHook implements redis.Hook.
func (h *lostPlan) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h *lostPlan) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (h *lostPlan) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "hmget" && args[1] == h.ledger {
			h.once.Do(func() { h.failed = h.lose(ctx) })
		}
		return next(ctx, cmd)
	}
}

// Redis loses the plan of a campaign. In one case this happens between two reads of the sweeper: it has read the
// summary, which names the account of the plan, but not yet the plan itself. In the other case, the queue holds the
// task of a batch of the lost plan. Neither the batch nor the task may be quarantined, because the campaign will be
// planned again.
func TestSweep_PlanLostMeanwhileIsNotQuarantined(t *testing.T) {
	t.Parallel()
	for name, wakeUp := range map[string]bool{"after the sweeper has read the summary": false, "while a wake-up is in the queue": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(providers.Info{MaxRecipients: 10})
			lose := r.planWhileHeld(gw)
			plain := r.redis.Client()
			const queueOfBatch = "asynq:{tuma-send:kobo-main}:"
			h := &lostPlan{ledger: "tuma:{c}:l", lose: lose}
			r.rdb = r.redis.Client()
			if wakeUp {
				h.once.Do(func() { h.failed = lose(t.Context()) })
				tasks := queue.New(plain)
				if err := tasks.Wake(t.Context(), "tuma-send:kobo-main", queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 99}); err != nil {
					t.Fatal(err)
				}
				again := newPlanGate("c")
				close(again.sweep)
				r.rdb.AddHook(again)
				r.start(stubAccount(gw))
				r.eventually(20*time.Second, "the end of the wake-up", func() bool {
					return plain.LLen(t.Context(), queueOfBatch+"pending").Val()+plain.LLen(t.Context(), queueOfBatch+"active").Val() == 0
				})
				close(again.plan)
			} else {
				tasks, err := plain.Keys(t.Context(), queueOfBatch+"*").Result()
				if err != nil || len(tasks) == 0 {
					t.Fatalf("found %d keys of the queue (%v), want some", len(tasks), err)
				}
				if err := plain.Del(t.Context(), tasks...).Err(); err != nil {
					t.Fatal(err)
				}
				r.rdb.AddHook(h)
				r.start(stubAccount(gw))
			}
			if s := r.wait("c", 30*time.Second); s.Accepted != 10 || s.Quarantined > 0 || gw.calls.Load() != 1 || h.failed != nil {
				t.Errorf("got %d calls, want 1, and the status %+v, want 10 accepted and 0 quarantined (%v)", gw.calls.Load(), s, h.failed)
			}
			if n, err := plain.Exists(t.Context(), "tuma:{c}:a").Result(); n > 0 || err != nil {
				t.Errorf("%d keys hold quarantined records (%v), want 0", n, err)
			}
		})
	}
}

// planWhileHeld starts a worker that plans the campaign "c" of ten recipients while the account is held. Then it stops
// this worker and releases the account. The result "lose" restores the ledger and the open set to their state before
// the plan. Then it adds one due batch of the lost plan to the open set.
func (r *testTuma) planWhileHeld(gw *stubGateway) (lose func(context.Context) error) {
	r.t.Helper()
	ctx := r.t.Context()
	plain := r.redis.Client()
	h := newPlanGate("c")
	r.rdb.AddHook(h)
	first := r.start(stubAccount(gw))
	if err := r.producer.Hold(ctx, "kobo-main", "test"); err != nil {
		r.t.Fatal(err)
	}
	r.enqueue("c", kenyanNumbers(10))
	<-h.summary
	saved := map[string]string{}
	for _, key := range []string{"tuma:{c}:l", h.openSet} {
		value, err := plain.Dump(ctx, key).Result()
		if err != nil {
			r.t.Fatalf("%s: %v", key, err)
		}
		saved[key] = value
	}
	close(h.sweep)
	close(h.plan)
	r.eventually(20*time.Second, "the plan", func() bool { return r.status("c").State == producer.Sending })
	first.stop()
	first.drain(r.t)
	if _, err := r.producer.Release(ctx, "kobo-main"); err != nil {
		r.t.Fatal(err)
	}
	return func(ctx context.Context) error {
		var errs []error
		for key, value := range saved {
			errs = append(errs, plain.RestoreReplace(ctx, key, 0, value).Err())
		}
		return errors.Join(append(errs, plain.ZAdd(ctx, h.openSet, redis.Z{Score: 1, Member: "0.0"}).Err())...)
	}
}
