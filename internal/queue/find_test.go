package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

const findQueue = "tuma-send:a"

// The function "lose" returns a function that deletes keys of asynq.
func lose(keys ...string) func(*testing.T, redis.UniversalClient) {
	return func(t *testing.T, rdb redis.UniversalClient) {
		t.Helper()
		for _, k := range keys {
			if rdb.Del(t.Context(), k).Val() != 1 {
				t.Fatalf("Redis has no key %s: asynq has other keys than find.go knows", k)
			}
		}
	}
}

// Find must return Waiting only if asynq can still take the wake-up. In most cases Redis loses keys of the queue. In some
// cases the test then queues newer wake-ups.
func TestFind_WaitingOnlyIfAsynqCanTakeIt(t *testing.T) {
	t.Parallel()
	pointer := func(wake int) queue.Pointer { return queue.Pointer{Campaign: "c", Batch: "0.0", Wake: wake} }
	const pending, record = "asynq:{tuma-send:a}:pending", "asynq:{tuma-send:a}:t:c:0.0:2"
	for name, tt := range map[string]struct {
		lose   func(*testing.T, redis.UniversalClient)
		newer  int // the number of wake-ups that are queued after the loss
		taken  int // the number of wake-ups that asynq takes after the test has queued the newer wake-ups
		want   queue.Place
		record bool // whether the record of the wake-up is still in Redis
	}{
		"nothing lost":                  {want: queue.Waiting, record: true},
		"older ones taken":              {taken: 1, want: queue.Waiting, record: true},
		"the oldest one has no record":  {lose: lose("asynq:{tuma-send:a}:t:c:0.0:1"), want: queue.Waiting, record: true},
		"the names of the queues":       {lose: lose("asynq:queues"), want: queue.Waiting, record: true},
		"the record":                    {lose: lose(record), want: queue.Lost},
		"the list":                      {lose: lose(pending), want: queue.Lost},
		"the list, which fills again":   {lose: lose(pending), newer: 3, want: queue.Lost},
		"the list, which asynq empties": {lose: lose(pending), newer: 1, taken: 1, want: queue.Lost},
		"the list and the record":       {lose: lose(pending, record), newer: 1, want: queue.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redistest.Start(t).Client()
			q := queue.New(rdb)
			wake := func(n int) {
				if err := q.Wake(t.Context(), findQueue, pointer(n)); err != nil {
					t.Fatal(err)
				}
			}
			for n := 1; n <= 3; n++ {
				wake(n)
			}
			if tt.lose != nil {
				tt.lose(t, rdb)
			}
			for n := range tt.newer {
				wake(4 + n)
			}
			take(t, rdb, tt.taken, func() error { return nil })
			for range 2 { // a second call must return the same place
				if got, err := q.Find(t.Context(), findQueue, pointer(2)); err != nil || got != tt.want {
					t.Errorf("the wake-up is %v (%v), want %v", got, err, tt.want)
				}
			}
			if got := rdb.Exists(t.Context(), record).Val() == 1; got != tt.record {
				t.Errorf("the record of the wake-up is in Redis: %v, want %v", got, tt.record)
			}
			wake(2) // a lost wake-up can be queued again
			if got, err := q.Find(t.Context(), findQueue, pointer(2)); err != nil || got != queue.Waiting {
				t.Errorf("the wake-up that was queued again is %v (%v), want Waiting", got, err)
			}
		})
	}
}

// While asynq handles a wake-up, Find returns Running. If the handler fails, Find returns Waiting, because asynq tries
// the wake-up again.
func TestFind_RunningAndRetried(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	q := queue.New(rdb)
	p := queue.Pointer{Campaign: "c", Batch: "0.0", Wake: 1}
	if err := q.Wake(t.Context(), findQueue, p); err != nil {
		t.Fatal(err)
	}
	find := func() queue.Place {
		place, err := q.Find(t.Context(), findQueue, p)
		if err != nil {
			t.Error(err)
		}
		return place
	}
	take(t, rdb, 1, func() error {
		if got := find(); got != queue.Running {
			t.Errorf("in its handler the wake-up is %v, want Running", got)
		}
		return errors.New("failed")
	})
	if got := find(); got != queue.Waiting {
		t.Errorf("after an error the wake-up is %v, want Waiting", got)
	}
	lose("asynq:{tuma-send:a}:retry")(t, rdb)
	if got := find(); got != queue.Lost {
		t.Errorf("without the set of tasks to retry the wake-up is %v, want Lost", got)
	}
}

// The function "take" lets asynq take n tasks of the queue, the oldest first, and handle them with h.
func take(t *testing.T, rdb redis.UniversalClient, n int, h func() error) {
	t.Helper()
	if n == 0 {
		return
	}
	taken, stopped := 0, make(chan struct{})
	last := make(chan struct{})
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: 1, Queues: map[string]int{findQueue: 1}, TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if taken++; taken == n {
			close(last)
			<-stopped // the handler waits here, so that the server takes no other task
		}
		return h()
	})); err != nil {
		t.Fatal(err)
	}
	select {
	case <-last:
	case <-time.After(20 * time.Second):
		t.Error("asynq takes no task")
	}
	server.Stop()
	close(stopped)
	server.Shutdown()
}
