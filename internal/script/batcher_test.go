package script

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The script "echo" answers each request with the shared argument followed by the request's own argument.
var echo = New("echo", "local out = {} for i = 2, #ARGV do out[#out + 1] = ARGV[1] .. ARGV[i] end return out")

func newEcho(t *testing.T) (*Batcher[string], *redis.Client) {
	t.Helper()
	rdb := redistest.Start(t).Client()
	return NewBatcher(NewRunner(rdb, Durability{}), echo,
		func(string) []string { return []string{"key"} }, func(shared string) []any { return []any{shared} }), rdb
}

// The requests of one pipeline have different shared arguments. For each set of shared arguments
// the script must run separately. Each request must get its own answer.
func TestBatcherAnswersEachRequestOfAPipeline(t *testing.T) {
	t.Parallel()
	b, _ := newEcho(t)
	queued, release := b.Hold()
	var all sync.WaitGroup
	for i, want := range []string{"a1", "a2", "b1", "a3"} {
		all.Go(func() {
			if got, err := b.Run(t.Context(), want[:1], []any{want[1:]}); err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
		for queued() <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
	if b.busy != 0 {
		t.Errorf("%d pipelines count as running, want none", b.busy)
	}
}

// A pipeline panics. Its requests must get an error, and the next pipeline must start.
func TestBatcherPanicKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	b, rdb := newEcho(t)
	rdb.AddHook(panicHook{})
	queued, release := b.Hold()
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			if _, err := b.Run(t.Context(), "a", []any{i}); !errors.Is(err, errNoAnswer) {
				t.Errorf("got %v, want errNoAnswer", err)
			}
		})
		for queued() <= i {
			runtime.Gosched()
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no panic")
			}
		}()
		release()
	}()
	all.Wait()
	if b.busy != 0 {
		t.Errorf("%d pipelines count as running, want none", b.busy)
	}
}

// panicHook is a hook that panics when a script runs.
type panicHook struct{}

func (panicHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (panicHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (panicHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			panic("in the client")
		}
		return next(ctx, cmd)
	}
}
