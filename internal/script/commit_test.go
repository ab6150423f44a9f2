package script

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The script "append" adds its argument to a list.
var appendScript = Binding(New("append", "redis.call('RPUSH', KEYS[1], ARGV[1]) return {ARGV[1]}"))

// smallPool returns a client with four connections. A command that gets no connection fails soon.
func smallPool(t *testing.T) *redis.Client {
	t.Helper()
	o := redistest.Start(t).Client().Options()
	rdb := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr, PoolSize: 4, PipelinePoolSize: -1, PoolTimeout: 50 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Redis has no replica, so each barrier takes its whole timeout. All runs must still get a turn, and
// must leave connections for other commands.
func TestRunner_BarriersLeaveConnectionsForOthers(t *testing.T) {
	t.Parallel()
	rdb := smallPool(t)
	runners := []*Runner{NewRunner(rdb, Durability{Replicas: 1}), NewRunner(rdb, Durability{Replicas: 1}), NewRunner(rdb, Durability{Replicas: 1})}
	const runs = 60
	var all sync.WaitGroup
	ended := make(chan struct{})
	for i := range runs {
		all.Go(func() {
			got, err := runners[i%3].Run(t.Context(), appendScript, []string{"list"}, i)
			if want := []string{strconv.Itoa(i)}; !errors.Is(err, ErrNotDurable) || !slices.Equal(got, want) {
				t.Errorf("run %d: got %q, %v; want %q and ErrNotDurable", i, got, err, want)
			}
		})
	}
	go func() { all.Wait(); close(ended) }()
	for waiting := true; waiting; {
		select {
		case <-ended:
			waiting = false
		default:
			if err := rdb.Ping(t.Context()).Err(); err != nil {
				t.Fatalf("a command beside the barriers failed: %v", err)
			}
		}
	}
	if n, err := rdb.LLen(t.Context(), "list").Result(); err != nil || n != runs {
		t.Errorf("the list has %d entries (%v), want %d: each script runs once", n, err, runs)
	}
}

// Runs that share a pipeline fail on their own: a script with an error, and a script that Redis does
// not have, change nothing for the others.
func TestRunner_RunsOfAPipelineFailAlone(t *testing.T) {
	t.Parallel()
	rdb := smallPool(t)
	r := NewRunner(rdb, Durability{Replicas: 1})
	bad := Binding(New("bad", "return redis.error_reply('BAD ' .. ARGV[1])"))
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if i%30 == 0 { // twice, so that at least one of three tries finds the script
				rdb.ScriptFlush(t.Context())
			}
			if i%3 > 0 {
				if got, err := r.Run(t.Context(), appendScript, []string{"list"}, i); !errors.Is(err, ErrNotDurable) || len(got) != 1 {
					t.Errorf("run %d: got %q, %v; want an answer and ErrNotDurable", i, got, err)
				}
				return
			}
			if _, err := r.Run(t.Context(), bad, []string{"list"}, i); !redis.HasErrorPrefix(err, "BAD "+strconv.Itoa(i)) {
				t.Errorf("run %d: got the error %v, want BAD %d", i, err, i)
			}
		})
	}
	all.Wait()
	if n, err := rdb.LLen(t.Context(), "list").Result(); err != nil || n != 40 {
		t.Errorf("the list has %d entries (%v), want 40", n, err)
	}
}

// A run whose caller has gone does not begin. A run that has begun returns its answer.
func TestRunner_RunBeginsOnlyForACaller(t *testing.T) {
	t.Parallel()
	rdb := smallPool(t)
	r := NewRunner(rdb, Durability{Replicas: 1})
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 2 { // the two pipelines that may wait at once
		all.Go(func() {
			if got, err := r.Run(ctx, appendScript, []string{"list"}, i); !errors.Is(err, ErrNotDurable) || len(got) != 1 {
				t.Errorf("a run that had begun: got %q, %v; want its answer and ErrNotDurable", got, err)
			}
		})
		for rdb.LLen(t.Context(), "list").Val() <= int64(i) {
			runtime.Gosched()
		}
	}
	c := r.committerOf(rdb)
	all.Go(func() {
		if _, err := r.Run(ctx, appendScript, []string{"list"}, "queued"); !errors.Is(err, context.Canceled) {
			t.Errorf("a run in the queue: got the error %v, want context.Canceled", err)
		}
	})
	for queued := 0; queued == 0; runtime.Gosched() {
		c.mu.Lock()
		queued = len(c.queue)
		c.mu.Unlock()
	}
	cancel()
	all.Wait()
	if _, err := r.Run(ctx, appendScript, []string{"list"}, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("a run after the end of its context: got the error %v, want context.Canceled", err)
	}
	if n := rdb.LLen(t.Context(), "list").Val(); n != 2 {
		t.Errorf("the list has %d entries, want the two of the runs that had begun", n)
	}
}

// Redis does not know the command WAIT, so no replica has confirmed the change.
func TestRunner_RedisWithoutWAIT(t *testing.T) {
	t.Parallel()
	rdb := smallPool(t)
	rdb.AddHook(withoutWAIT{})
	got, err := NewRunner(rdb, Durability{Replicas: 1}).Run(t.Context(), appendScript, []string{"list"}, "a")
	if len(got) != 1 || !errors.Is(err, ErrNotDurable) || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("got %q, %v; want the answer and ErrNotDurable, because the command is unknown", got, err)
	}
}

// withoutWAIT sends another word in place of WAIT, which Redis refuses as an unknown command.
type withoutWAIT struct{ panicHook }

func (withoutWAIT) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (withoutWAIT) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, c := range cmds {
			if c.Args()[0] == "WAIT" {
				c.Args()[0] = "NOWAIT"
			}
		}
		return next(ctx, cmds)
	}
}

// The client panics at the run's pipeline. The caller gets an error, and further runs work.
func TestRunner_PanicIsAnErrorOfTheRun(t *testing.T) {
	t.Parallel()
	rdb := smallPool(t)
	var panics atomic.Int32
	rdb.AddHook(panicOnce{left: &panics})
	r := NewRunner(rdb, Durability{Replicas: 1})
	panics.Store(1)
	if _, err := r.Run(t.Context(), appendScript, []string{"list"}, "a"); !errors.Is(err, errNoAnswer) {
		t.Errorf("got the error %v, want errNoAnswer", err)
	}
	if got, err := r.Run(t.Context(), appendScript, []string{"list"}, "b"); !errors.Is(err, ErrNotDurable) || len(got) != 1 {
		t.Errorf("the next run: got %q, %v; want an answer and ErrNotDurable", got, err)
	}
}

// panicOnce panics at the next pipelines of scripts, as many as the number "left".
type panicOnce struct {
	withoutWAIT
	left *atomic.Int32
}

func (h panicOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "evalsha" && h.left.Add(-1) >= 0 {
			panic("in the client")
		}
		return next(ctx, cmds)
	}
}
