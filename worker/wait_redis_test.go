package worker_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// logText collects the lines of a logger. It is safe for concurrent use.
type logText struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// lines returns the lines at warn level and above.
func (l *logText) lines() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.all.String()) {
		if !strings.Contains(line, `"level":"info"`) && !strings.Contains(line, `"level":"debug"`) {
			out = append(out, line)
		}
	}
	return out
}

// The type "waiting" is a worker that was started before its Redis.
type waiting struct {
	*startedWorker
	log *logText
}

// startWaiting starts a worker with Config.WaitForRedis and does not wait until it is ready.
func (r *testTuma) startWaiting() *waiting {
	r.t.Helper()
	x := &waiting{startedWorker: &startedWorker{ended: make(chan error, 1)}, log: &logText{}}
	w, err := worker.New(worker.Config{Redis: r.rdb, Accounts: []worker.Account{r.account()}, Country: "KE", WaitForRedis: true, UnsafeRedis: true,
		Logger: zerolog.New(x.log)})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.worker, x.stop = w, cancel
	go func() { x.ended <- w.Run(ctx) }()
	r.t.Cleanup(func() { x.drain(r.t) })
	return x
}

func TestWaitForRedis_StartsOnceRedisIsThere(t *testing.T) {
	t.Parallel()
	r := newTestTumaOn(t, simulator.Options{}, withConfig())
	r.redis.Kill()
	x := r.startWaiting()
	r.eventually(10*time.Second, "the line that the worker waits", func() bool { return len(x.log.lines()) > 0 })
	if err := x.worker.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "waits for redis") {
		t.Errorf("Ready while the worker waits: got %v, want an error that it waits for redis", err)
	}
	waitFor(t, 2*time.Second) // some further tries
	r.redis.Restart()
	r.eventually(10*time.Second, "the worker to be ready", func() bool { return x.worker.Ready(t.Context()) == nil })
	r.enqueue("c", kenyanNumbers(10))
	if s := r.wait("c", 20*time.Second); s.Accepted != 10 {
		t.Errorf("got the status %+v, want 10 accepted", s)
	}
	lines := x.log.lines()
	if len(lines) != 2 || !strings.Contains(lines[0], "redis does not answer: waiting for it") || !strings.Contains(lines[1], "redis accepts writes again") {
		t.Errorf("got the log lines %q, want one when the worker begins to wait and one when Redis is there", lines)
	}
}

func TestWaitForRedis_WaitsForAReplica(t *testing.T) {
	t.Parallel()
	r := newTestTumaOn(t, simulator.Options{}, withConfig("min-replicas-to-write", "1"))
	x := r.startWaiting()
	r.eventually(10*time.Second, "the line that the worker waits", func() bool { return len(x.log.lines()) > 0 })
	if err := x.worker.Ready(t.Context()); !errors.Is(err, worker.ErrRedisRefusesWrites) || !strings.Contains(err.Error(), "NOREPLICAS") {
		t.Errorf("Ready: got %v, want ErrRedisRefusesWrites with NOREPLICAS", err)
	}
	if err := r.rdb.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err(); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the worker to be ready", func() bool { return x.worker.Ready(t.Context()) == nil })
}

func TestWaitForRedis_StopEndsTheWaitAtOnce(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*redistest.Server){"dead": (*redistest.Server).Kill, "frozen": (*redistest.Server).Stop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTumaOn(t, simulator.Options{}, withConfig())
			harm(r.redis)
			x := r.startWaiting()
			waitFor(t, 100*time.Millisecond)
			began := time.Now()
			x.drain(t)
			if took := time.Since(began); took > time.Second {
				t.Errorf("Run returned %s after it was stopped, want at once", took)
			}
		})
	}
}

func TestWaitForRedis_LastingFaultsEndRun(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		option redistest.Option
		change func(*redistest.Server) func(*redis.Options)
		says   string
	}{
		"no login": {redistest.WithPassword("letmein"), func(*redistest.Server) func(*redis.Options) {
			return func(o *redis.Options) { o.Password = "" }
		}, "NOAUTH"},
		"a wrong login": {redistest.WithPassword("letmein"), func(*redistest.Server) func(*redis.Options) {
			return func(o *redis.Options) { o.Password = "letmeout" }
		}, "WRONGPASS"},
		"no right":             {redistest.WithUser("tuma", "pw", "~tuma:*", "+@all"), func(s *redistest.Server) func(*redis.Options) { return s.AsUser }, "asynq:*: NOPERM"},
		"one that evicts keys": {redistest.WithConfig("maxmemory-policy", "allkeys-lru"), func(*redistest.Server) func(*redis.Options) { return func(*redis.Options) {} }, "allkeys-lru"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, withConfig(), x.option)
			w, err := worker.New(worker.Config{Redis: s.Client(x.change(s)), WaitForRedis: true,
				Accounts: []worker.Account{{Name: "a", Provider: newStubGateway(providers.Info{})}}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := w.Run(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("Run returned %v, want an error with %q", err, x.says)
			}
		})
	}
}

// stopAt is a go-redis hook that counts the commands and calls the function "stop" before one of
// them. The field "at" is the number of this command.
type stopAt struct {
	at   int64
	n    atomic.Int64
	stop context.CancelFunc
}

func (s *stopAt) count() {
	if s.n.Add(1) == s.at {
		s.stop()
	}
}

// DialHook implements redis.Hook.
func (s *stopAt) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (s *stopAt) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.count()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s *stopAt) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.count()
		return next(ctx, cmds)
	}
}

// A worker sends some 20 commands to Redis when it starts. The test stops a worker before the
// first command, a new worker before the second command, and so on. Run must return nil each
// time.
func TestRun_StoppedWhileItStartsReturnsNil(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, withConfig())
	for at := range int64(20) {
		rdb := s.Client()
		w, err := worker.New(worker.Config{Redis: rdb, Accounts: []worker.Account{{Name: "a", Provider: newStubGateway(providers.Info{})}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		rdb.AddHook(&stopAt{at: at + 1, stop: cancel})
		if err := w.Run(ctx); err != nil {
			t.Errorf("stopped before command %d: Run returned %v, want nil", at+1, err)
		}
		cancel()
	}
	for field := range s.Client().HGetAll(t.Context(), "tuma:account:{a}").Val() {
		if strings.HasPrefix(field, "w:") {
			t.Errorf("a stopped worker still counts as one that serves the account: %s", field)
		}
	}
}
