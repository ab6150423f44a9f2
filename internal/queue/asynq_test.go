package queue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// existsCounter counts the EXISTS commands that a client sends. Only a gate sends this command.
// Scripts of asynq also call EXISTS, but inside Redis.
type existsCounter struct{ atomic.Int64 }

// DialHook implements redis.Hook.
func (q *existsCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (q *existsCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (q *existsCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "exists" {
			q.Add(1)
		}
		return next(ctx, cmd)
	}
}

// The gate relies on two private key names of asynq (see docs/adr/0001-asynq-and-its-gate.md). This
// test runs asynq itself, and fails if an upgrade of asynq changes these names. Without this test,
// only a higher load on Redis would show the change.
func TestGate_KnowsTheKeysOfAsynq(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	q := queue.New(rdb)
	var asked existsCounter
	rdb.AddHook(&asked)
	handled := make(chan struct{}, 1)
	server := asynq.NewServerFromRedisClient(queue.NewGate(rdb, 20*time.Millisecond, names).Client(), asynq.Config{
		Concurrency: 1, Queues: map[string]int{names[0]: 1}, TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		handled <- struct{}{}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()

	deadline := time.After(20 * time.Second)
	for asked.Load() < 5 {
		select {
		case <-deadline:
			t.Fatal("the gate did not check the queues: asynq's script that takes a task has other keys than gate.go knows")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := q.Wake(t.Context(), names[1], queue.Pointer{Campaign: "c", Batch: "1.0", Wake: 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Length(t.Context(), names[1]); n != 1 || err != nil {
		t.Errorf("a queue with one task has length %d, %v: asynq keeps waiting tasks under another key than gate.go knows", n, err)
	}
	if err := q.Wake(t.Context(), names[0], queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 1}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-handled:
	case <-deadline:
		t.Error("the task was not handled: the gate stays shut")
	}
}
