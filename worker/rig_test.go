package worker_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// testTuma is a complete Tuma for one test: a redis-server, the sandbox (simulated gateways), a
// producer and workers.
type testTuma struct {
	t        *testing.T
	redis    *redistest.Server
	rdb      *redis.Client
	gateway  *simulator.Server
	url      string
	producer *producer.Client
}

func newTestTuma(t *testing.T, o simulator.Options) *testTuma {
	t.Helper()
	r := &testTuma{t: t, redis: redistest.Start(t), gateway: catalog.Simulate(o)}
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

// account returns an account at the simulated KoboMobile of the testTuma. Each function in the
// parameter "change" may modify the account and the configuration of its client.
func (r *testTuma) account(change ...func(*kobo.Config, *worker.Account)) worker.Account {
	r.t.Helper()
	cfg := kobo.Config{Endpoint: providers.Endpoint{BaseURL: r.url, Timeout: 2 * time.Second}, User: "demo", Pass: "demopass"}
	a := worker.Account{Name: "kobo-main", Sender: "ACME", Timeout: 2 * time.Second}
	for _, f := range change {
		f(&cfg, &a)
	}
	p, err := kobo.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	if a.Provider == nil {
		a.Provider = p
	}
	return a
}

// startedWorker is a worker that a test has started.
type startedWorker struct {
	worker *worker.Worker
	stop   context.CancelFunc
	ended  chan error
}

// The method "drain" stops the worker and waits until it has drained.
func (x *startedWorker) drain(t *testing.T) {
	t.Helper()
	x.stop()
	select {
	case err := <-x.ended:
		if err != nil {
			t.Errorf("Run returned %v, want nil", err)
		}
		x.ended <- nil
	case <-time.After(30 * time.Second):
		t.Fatal("the worker did not drain")
	}
}

func (r *testTuma) start(accounts ...worker.Account) *startedWorker {
	r.t.Helper()
	return r.startWith(worker.Config{Accounts: accounts, Country: "KE"})
}

// startWith starts a worker with the given configuration.
func (r *testTuma) startWith(cfg worker.Config) *startedWorker {
	r.t.Helper()
	cfg.Logger = testLogger(r.t)
	return r.run(cfg)
}

// The method "run" starts a worker with a configuration that already has a logger, and waits until
// the worker is ready.
func (r *testTuma) run(cfg worker.Config) *startedWorker {
	r.t.Helper()
	cfg.Redis, cfg.UnsafeRedis, cfg.PollEvery = r.rdb, true, 20*time.Millisecond
	cfg.Country = cmp.Or(cfg.Country, "KE")
	cfg.SweepEvery = cmp.Or(cfg.SweepEvery, 100*time.Millisecond)
	w, err := worker.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &startedWorker{worker: w, stop: cancel, ended: make(chan error, 1)}
	go func() { x.ended <- w.Run(ctx) }()
	r.t.Cleanup(func() { x.drain(r.t) })
	r.eventually(10*time.Second, "the worker to be ready", func() bool { return w.Ready(ctx) == nil })
	return x
}

// testLogger prints the workers' logs if TUMA_TEST_LOG is set to a level, such as debug.
func testLogger(t *testing.T) zerolog.Logger {
	level, err := zerolog.ParseLevel(os.Getenv("TUMA_TEST_LOG"))
	if err != nil || os.Getenv("TUMA_TEST_LOG") == "" {
		return zerolog.Nop()
	}
	return zerolog.New(zerolog.NewConsoleWriter(zerolog.ConsoleTestWriter(t))).Level(level).With().Timestamp().Logger()
}

// The method "eventually" waits until the condition "is" returns true. It fails the test if that
// takes longer than the parameter "limit".
func (r *testTuma) eventually(limit time.Duration, what string, is func() bool) {
	r.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			r.t.Fatalf("waited %s for %s", limit, what)
		case <-tick.C:
		}
	}
}

// kenyanNumbers returns n distinct Kenyan mobile numbers.
func kenyanNumbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "07" + fmt.Sprintf("%08d", i+10_000_000)
	}
	return out
}

func (r *testTuma) enqueue(id string, numbers []string) producer.Receipt {
	r.t.Helper()
	receipt, err := r.producer.Enqueue(r.t.Context(), producer.Campaign{ID: id, Via: "kobo-main", Body: "Hello from ACME"}, producer.Numbers(numbers...))
	if err != nil {
		r.t.Fatal(err)
	}
	return receipt
}

// The method "wait" waits until a campaign has ended, and returns its status.
func (r *testTuma) wait(id string, limit time.Duration) producer.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	s, err := r.producer.Wait(ctx, id)
	if err != nil {
		now, err2 := r.producer.Status(r.t.Context(), id)
		r.t.Fatalf("%v; status %+v (%v); gateway %+v", err, now, err2, r.gateway.Stats())
	}
	return s
}

// status returns a campaign's status, after checking invariant I1: each recipient has exactly one
// status.
func (r *testTuma) status(id string) producer.Status {
	r.t.Helper()
	s, err := r.producer.Status(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	if sum := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped; sum != s.Total {
		r.t.Fatalf("invariant I1: %d of %d recipients have a status: %+v", sum, s.Total, s)
	}
	return s
}

// tally counts results by status. It checks that each row occurs once. It also checks that for each
// accepted recipient the gateway has accepted exactly one message.
func (r *testTuma) tally(id string) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	row := 0
	for x, err := range r.producer.Results(r.t.Context(), id) {
		if err != nil {
			r.t.Fatal(err)
		}
		row++
		if x.Row != row {
			r.t.Fatalf("got row %d, want %d", x.Row, row)
		}
		out[x.Status]++
		if x.MSISDN == "" {
			continue
		}
		n, err := strconv.ParseUint(x.MSISDN, 10, 64)
		if err != nil {
			r.t.Fatal(err)
		}
		if got := r.gateway.Accepted(n); x.Status == "accepted" && got != 1 {
			r.t.Fatalf("row %d is accepted, but the gateway accepted it %d times, want 1", x.Row, got)
		}
	}
	return out
}
