package worker_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// newTestTumaOn does the same as newTestTuma, but starts the Redis server with the given options.
func newTestTumaOn(t *testing.T, o simulator.Options, options ...redistest.Option) *testTuma {
	t.Helper()
	r := &testTuma{t: t, redis: redistest.Start(t, options...), gateway: catalog.Simulate(o)}
	r.rdb = r.redis.Client()
	srv := httptest.NewServer(r.gateway)
	t.Cleanup(func() {
		r.gateway.Close()
		srv.Close()
	})
	r.url = srv.URL
	var err error
	if r.producer, err = producer.New(r.rdb, producer.WithPollInterval(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	return r
}

// waitFor waits for d.
func waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

func TestRedisOutage_FrozenRedisLosesNothing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 5 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(5000))
	r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 100 })
	r.redis.Stop()
	waitFor(t, 5*time.Second)
	r.redis.Cont()
	if s := r.wait("c", 40*time.Second); s.Accepted != 5000 {
		t.Errorf("got the status %+v, want 5000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 5000 || got.Duplicates != 0 || got.Conflicts != 0 {
		t.Errorf("got the gateway counters %+v, want 5000 accepted, 0 duplicates and 0 conflicts", got)
	}
	r.tally("c")
}

func TestRedisOutage_RestartedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	r := newTestTumaOn(t, simulator.Options{Latency: 5 * time.Millisecond}, redistest.WithAOF("always"))
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(5000))
	r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 100 })
	r.redis.Kill()
	waitFor(t, 5*time.Second)
	r.redis.Restart()
	r.eventually(10*time.Second, "the client to notice", func() bool { return r.rdb.Ping(t.Context()).Err() == nil })
	if s := r.wait("c", 40*time.Second); s.Accepted != 5000 {
		t.Errorf("got the status %+v, want 5000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 5000 || got.Duplicates != 0 || got.Conflicts != 0 {
		t.Errorf("got the gateway counters %+v, want 5000 accepted, 0 duplicates and 0 conflicts", got)
	}
	r.tally("c")
}

func TestRedisOutage_FullRedisStopsClaimsAndLosesNothing(t *testing.T) {
	t.Parallel()
	r := newTestTumaOn(t, simulator.Options{Latency: 50 * time.Millisecond}, redistest.WithConfig("maxmemory", "16mb", "maxmemory-policy", "noeviction"))
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(2000))
	r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 20 })
	for i := 0; ; i++ {
		err := r.rdb.Append(t.Context(), "filler", strings.Repeat("x", 1<<18)).Err()
		if err != nil {
			break
		}
		if i > 100 {
			t.Fatal("redis never became full")
		}
	}
	r.eventually(20*time.Second, "the calls in flight to be settled", func() bool {
		s := r.status("c")
		return s.InFlight.Calls == 0 && int64(s.Accepted) == r.gateway.Stats().Accepted
	})
	before := r.gateway.Stats().Calls
	if _, err := r.producer.Pause(t.Context(), "c"); err != nil {
		t.Errorf("Pause on a full redis: %v", err)
	}
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
		t.Errorf("Resume on a full redis: %v", err)
	}
	other, err := producer.New(r.rdb)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Enqueue(t.Context(), producer.Campaign{ID: "d", Via: "kobo-main", Body: "b"}, producer.Numbers("0710000001")); !errors.Is(err, producer.ErrFull) {
		t.Errorf("Enqueue on a full redis: %v", err)
	}
	if now := r.gateway.Stats().Calls; now > before+1 {
		t.Errorf("got %d calls on a full redis, want at most 1", now-before)
	}
	if err := r.rdb.Del(t.Context(), "filler").Err(); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 40*time.Second); s.Accepted != 2000 {
		t.Errorf("got the status %+v, want 2000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 2000 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 2000 accepted and 0 duplicates", got)
	}
}

func TestKill_EndsWorkThatCannotBeSettled(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 300 * time.Millisecond})
	x := r.start(r.account())
	r.enqueue("c", kenyanNumbers(10))
	r.eventually(10*time.Second, "a call", func() bool { return r.gateway.Stats().InFlight > 0 })
	r.redis.Kill()
	x.stop()
	x.worker.Kill()
	x.worker.Kill()
	x.drain(t)
}
