package queue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/redistest"
)

// questions counts the EXISTS that a client sends: only a gate asks so. Scripts of asynq run it, too, but inside Redis.
type questions struct{ atomic.Int64 }

// DialHook is the Hook's.
func (q *questions) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook is the Hook's.
func (q *questions) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook is the Hook's.
func (q *questions) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "exists" {
			q.Add(1)
		}
		return next(ctx, cmd)
	}
}

// The gate knows two private names of asynq (docs/adr/0001-asynq-and-its-gate.md). This test runs asynq itself, so that an
// upgrade that changes them fails here and not as load on Redis.
func TestGateKnowsTheKeysOfAsynq(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	q := queue.New(rdb)
	var asked questions
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
			t.Fatal("the gate was not asked: asynq's script that takes a task has other keys than gate.go knows")
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
