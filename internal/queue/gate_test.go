package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/redistest"
)

// take is asynq's script that takes a task, as far as a gate can tell.
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

func TestEmptyQueuesAreLookedAtTogether(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b", "tuma-plan"}
	c := queue.NewGate(rdb, time.Minute, names).Client()
	for range 10 {
		for _, name := range names {
			if err := dequeue(t.Context(), c, name); !errors.Is(err, redis.Nil) {
				t.Fatalf("an empty queue gave %v", err)
			}
		}
	}
	if n := scriptCalls(t, rdb); n != 0 {
		t.Errorf("%d scripts were run on empty queues", n)
	}
	// Other scripts run, whatever the queues hold.
	if got, err := redis.NewScript("return 7").Run(t.Context(), c, []string{"asynq:{tuma-plan}:t:1", "asynq:{tuma-plan}:pending"}).Int(); got != 7 || err != nil {
		t.Errorf("another script gave %d, %v", got, err)
	}
}

func TestAnEmptyQueueBesideAFullOneIsTriedOnce(t *testing.T) {
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
			t.Fatalf("an empty queue gave %v", err)
		}
	}
	if err := dequeue(t.Context(), c, names[1]); err != nil {
		t.Errorf("the full one gave %v", err)
	}
	// The script that takes is not known yet, and is sent twice.
	if n := scriptCalls(t, rdb) - before; n < 2 || n > 4 {
		t.Errorf("%d scripts were run, want one for each queue", n)
	}
}

func TestATaskIsTakenAsSoonAsALookIsOld(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	c := queue.NewGate(rdb, time.Nanosecond, names).Client()
	if err := dequeue(t.Context(), c, names[1]); !errors.Is(err, redis.Nil) {
		t.Fatalf("an empty queue gave %v", err)
	}
	if err := queue.New(rdb).Wake(t.Context(), names[1], queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 1}); err != nil {
		t.Fatal(err)
	}
	if err := dequeue(t.Context(), c, names[0]); !errors.Is(err, redis.Nil) {
		t.Errorf("the queue beside it gave %v", err)
	}
	if err := dequeue(t.Context(), c, names[1]); err != nil {
		t.Errorf("the queue gave %v", err)
	}
}

func TestWhatCannotBeLookedAtIsTried(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	names := []string{"tuma-send:a", "tuma-send:b"}
	c := queue.NewGate(rdb, time.Nanosecond, names).Client()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dequeue(ctx, c, names[0]); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("without an answer the queue counts as empty: %v", err)
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	if queue.NewGate(cluster, time.Second, names) != nil {
		t.Error("a cluster was given a gate: its queues are in several slots")
	}
}
