package producertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/worker"
)

// Config sets up a Tuma. A zero field has the default that its comment names.
type Config struct {
	// Accounts are the names of the accounts. Default: "test". A campaign without Via goes
	// through the first account.
	Accounts []string
	// Sender is the sender ID of campaigns without From. Default: "TUMA".
	Sender string
	// Country is the ISO code for numbers in national format. Default: "KE".
	Country string
	// MaxRecipients is the largest number of recipients of one call. Default: 500.
	MaxRecipients int
	// KeyTTL is how long the gateway remembers an idempotency key. Default: 0, which means a
	// gateway without idempotency keys.
	KeyTTL time.Duration
	// Price is what a segment costs, e.g. "0.80 KES". Default: messages cost nothing.
	// Campaign.RequireCredit needs a price.
	Price string
	// Credit is the credit that all accounts share at the start, in the currency of Price.
	// Default: 1,000,000.
	Credit float64
	// Timeout is how long a method waits before it fails the test. Default: 10 s. The wait
	// ends at the latest one second before the deadline of the test binary.
	Timeout time.Duration
}

func (c *Config) setDefaults() {
	if len(c.Accounts) == 0 {
		c.Accounts = []string{"test"}
	}
	if c.Sender == "" {
		c.Sender = "TUMA"
	}
	if c.Country == "" {
		c.Country = "KE"
	}
	if c.MaxRecipients == 0 {
		c.MaxRecipients = 500
	}
	if c.Credit == 0 {
		c.Credit = 1_000_000
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
}

// Tuma is a worker, a Redis and a gateway that belong to one test. Its methods are safe for
// concurrent use. If a method has a parameter of type testing.TB, it may end the test with
// FailNow of this parameter. So call the method from the goroutine of the test.
type Tuma struct {
	cfg     Config
	gateway *gateway
	clock   *clock
	// The client "inside" is the Redis client that the worker and the producer.Client use.
	// The method Redis returns the client "outside", which the service may close.
	inside, outside *redis.Client
	client          *producer.Client

	mu   sync.Mutex // mu is held while the worker starts or stops.
	stop func() error
}

// New starts a Tuma with the default Config. The Tuma stops at the end of the test. If the
// Tuma cannot start, New ends the test with Fatal.
func New(t testing.TB) *Tuma {
	t.Helper()
	return NewWith(t, Config{})
}

// NewWith is like New, with the given Config.
func NewWith(t testing.TB, cfg Config) *Tuma {
	t.Helper()
	cfg.setDefaults()
	gateway, err := newGateway(cfg)
	if err != nil {
		t.Fatalf("producertest: %v", err)
	}
	server := miniredis.NewMiniRedis()
	// With ClockTTL, keys expire. Otherwise the lease of a lost task would never end.
	server.ClockTTL(true)
	// The Redis listens on the loopback interface, because an in-memory connection (Dial)
	// has no buffer and a large pipeline would block on it.
	if err := server.Start(); err != nil {
		t.Fatalf("producertest: start redis: %v", err)
	}
	u := &Tuma{cfg: cfg, gateway: gateway, clock: &clock{redis: server}}
	u.inside = redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: u.clock.dial})
	u.outside = redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: u.clock.dial})
	t.Cleanup(func() {
		t.Helper()
		gateway.unblock()
		if err := u.stopWorker(); err != nil {
			t.Errorf("producertest: stop: %v", err)
		}
		_, _ = u.inside.Close(), u.outside.Close() // errors are ignored: the service may have closed the second client already
		server.Close()
	})
	if err := u.start(); err != nil {
		t.Fatalf("producertest: start: %v", err)
	}
	return u
}

// start creates the client and starts the worker.
func (u *Tuma) start() (err error) {
	u.client, err = producer.New(u.inside, producer.WithClock(u.clock.now), producer.WithPollInterval(pollMost))
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.startWorker()
}

const (
	// pollEvery is how often the worker looks for work. With a shorter time an idle Tuma
	// would take more processor time from tests that run in parallel.
	pollEvery = 20 * time.Millisecond
	// sweepEvery is how often the worker looks for work that was deferred, such as a retry,
	// the start of a campaign, or work of an account whose hold has ended.
	sweepEvery = 50 * time.Millisecond
)

// startWorker starts a worker. It returns when the worker is ready and knows the credit.
func (u *Tuma) startWorker() error {
	cfg := worker.Config{Redis: u.inside, Country: u.cfg.Country, UnsafeRedis: true, PollEvery: pollEvery, SweepEvery: sweepEvery}
	for _, name := range u.cfg.Accounts {
		cfg.Accounts = append(cfg.Accounts, worker.Account{Name: name, Provider: &account{gateway: u.gateway, name: name},
			Sender: u.cfg.Sender, Price: u.cfg.Price})
	}
	// One route with an empty prefix sends all numbers through the accounts.
	cfg.Routes = slices.Grow(cfg.Routes, 1)[:1]
	cfg.Routes[0].Via = u.cfg.Accounts
	w, err := worker.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	u.stop = func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(u.cfg.Timeout):
			w.Kill()
			return fmt.Errorf("the worker has not stopped after %s", u.cfg.Timeout)
		}
	}
	return u.awaitWorker(w, ended)
}

// awaitWorker returns when the worker w is ready. The channel "ended" receives the result
// of w.Run.
func (u *Tuma) awaitWorker(w *worker.Worker, ended chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), u.cfg.Timeout)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := u.ready(ctx, w)
		if err == nil {
			return nil
		}
		select {
		case err := <-ended:
			ended <- nil // u.stop reads this value
			return err
		case <-ctx.Done():
			return fmt.Errorf("the worker is not ready after %s: %w", u.cfg.Timeout, err)
		case <-tick.C:
		}
	}
}

// The method "ready" returns nil when the worker w is ready and knows the credit of its
// accounts.
func (u *Tuma) ready(ctx context.Context, w *worker.Worker) error {
	if err := w.Ready(ctx); err != nil {
		return err
	}
	accounts, err := u.client.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Balance == "" {
			return fmt.Errorf("the credit of account %s is not known yet", a.Name)
		}
	}
	return nil
}

// stopWorker waits until the worker's calls have ended, and stops the worker. It does
// nothing if no worker runs.
func (u *Tuma) stopWorker() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stop == nil {
		return nil
	}
	stop := u.stop
	u.stop = nil
	return stop()
}

// Client returns the client for the service under test. It uses the clock that Advance
// moves.
func (u *Tuma) Client() *producer.Client { return u.client }

// Redis returns a client of the embedded Redis, for a service that makes its own
// [producer.Client]. Every call returns the same client. The service may close the client;
// otherwise the client is closed at the end of the test.
func (u *Tuma) Redis() redis.UniversalClient { return u.outside }
