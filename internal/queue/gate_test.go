package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// dequeue runs a script with the same keys as asynq's script that takes a task. A gate looks only
// at the keys.
func dequeue(ctx context.Context, rdb redis.UniversalClient, name string) error {
	at := "asynq:{" + name + "}:"
	script := redis.NewScript(`return redis.call("RPOPLPUSH", KEYS[1], KEYS[3])`)
	return script.Run(ctx, rdb, []string{at + "pending", at + "paused", at + "active", at + "lease"}).Err()
}

func scriptCalls(t *testing.T, rdb *redis.Client) (n int) {
	t.Helper()
	stats, err := rdb.InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range stats["Commandstats"] {
		var calls int
		if _, err := fmt.Sscanf(s, "calls=%d,", &calls); err == nil && (name == "cmdstat_evalsha" || name == "cmdstat_eval") {
			n += calls
		}
	}
	return n
}

func TestGate_ChecksEmptyQueuesTogether(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b", "tuma-plan"}
	c := queue.NewGate(rdb, time.Minute, names).Client()
	for range 10 {
		for _, name := range names {
			if err := dequeue(t.Context(), c, name); !errors.Is(err, redis.Nil) {
				t.Fatalf("empty queue: got %v, want redis.Nil", err)
			}
		}
	}
	if n := scriptCalls(t, rdb); n != 0 {
		t.Errorf("%d scripts were run on empty queues, want 0", n)
	}
	// The gate answers only asynq's script that takes a task. Other scripts always run.
	if got, err := redis.NewScript("return 7").Run(t.Context(), c, []string{"asynq:{tuma-plan}:t:1", "asynq:{tuma-plan}:pending"}).Int(); got != 7 || err != nil {
		t.Errorf("other script: got %d, %v, want 7", got, err)
	}
}

func TestGate_TriesAnEmptyQueueBesideAFullOneOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	c := queue.NewGate(rdb, time.Minute, names).Client()
	if err := queue.New(rdb).Wake(t.Context(), names[1], queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 1}); err != nil {
		t.Fatal(err)
	}
	before := scriptCalls(t, rdb)
	for range 10 {
		if err := dequeue(t.Context(), c, names[0]); !errors.Is(err, redis.Nil) {
			t.Fatalf("empty queue: got %v, want redis.Nil", err)
		}
	}
	if err := dequeue(t.Context(), c, names[1]); err != nil {
		t.Errorf("take from the queue that is not empty: %v", err)
	}
	// The first time, go-redis sends the script twice, because Redis does not have the script
	// yet.
	if n := scriptCalls(t, rdb) - before; n < 2 || n > 4 {
		t.Errorf("%d scripts were run, want 2 to 4", n)
	}
}

func TestGate_FindsATaskWhenTheLastCheckIsOld(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	c := queue.NewGate(rdb, time.Nanosecond, names).Client()
	if err := dequeue(t.Context(), c, names[1]); !errors.Is(err, redis.Nil) {
		t.Fatalf("empty queue: got %v, want redis.Nil", err)
	}
	if err := queue.New(rdb).Wake(t.Context(), names[1], queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 1}); err != nil {
		t.Fatal(err)
	}
	if err := dequeue(t.Context(), c, names[0]); !errors.Is(err, redis.Nil) {
		t.Errorf("other queue: got %v, want redis.Nil", err)
	}
	if err := dequeue(t.Context(), c, names[1]); err != nil {
		t.Errorf("take from the queue: %v", err)
	}
}

func TestGate_TriesAQueueThatItCannotCheck(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	c := queue.NewGate(rdb, time.Nanosecond, names).Client()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dequeue(ctx, c, names[0]); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("without an answer from redis: got %v, want another error than redis.Nil", err)
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	if queue.NewGate(cluster, time.Second, names) != nil {
		t.Error("NewGate returned a gate for a cluster, whose queues are in several slots")
	}
}
