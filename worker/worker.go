// Package worker plans campaigns and sends them: it takes wake-up calls from
// asynq, asks the ledger what to do, asks the gateways to do it, and writes down
// what came of it. Any number of workers share one Redis; any of them may die at
// any moment.
package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// Config is what a Worker needs. Zero values take the default named with them.
type Config struct {
	// Redis is shared with the caller and stays the caller's to close.
	Redis redis.UniversalClient
	// Accounts that this worker sends through; at least one.
	Accounts []Account
	// Routes choose accounts for campaigns that name none. They may name accounts
	// that only other workers serve.
	Routes []Route
	// Country is the default for numbers in national format, "KE"; empty: only
	// international numbers are read.
	Country string
	// Windows are the hours in which marketing may be handed over, local to the
	// recipient, by ISO code of the recipient's country. A country that is not there
	// has none. A campaign keeps to those that were in force when its planning began.
	Windows map[string]Hours
	// Retention is how long a finished campaign stays; 30 days.
	Retention time.Duration
	// FailoverAfter is how long an account must have been held, otherwise than by hand,
	// before the work that waits for it moves to the next account of its route; 1 minute.
	// Negative: never.
	FailoverAfter time.Duration
	// Durability says what must hold a claim before its call is made, and a settle
	// before its call is done with. Default: nothing beyond Redis' answer.
	Durability Durability
	// UnsafeRedis accepts a Redis that may forget, with a warning.
	UnsafeRedis bool
	// Logger takes the worker's own lines; the zero logger is silent.
	Logger zerolog.Logger
	// Name tells workers apart; host name, process id and a random part.
	Name string
	// SweepEvery is how often lost wake-ups are looked for; 1 s.
	SweepEvery time.Duration
	// PollEvery is how often idle queues are asked, which a message waits for less than half of on
	// average; 50 ms, and one question for all of them together. In a Redis cluster, where
	// each is asked by itself, 16 ms for each queue, from 50 to 250 ms. An idle worker gives
	// Redis less than 100 commands a second.
	PollEvery time.Duration
}

// What an account's rate counts.
const (
	UnitMessages = "messages"
	UnitSegments = "segments"
	UnitRequests = "requests"
)

// What becomes of a recipient whose outcome is unknown.
const (
	OnUnknownKeep   = "keep"   // it stays unknown
	OnUnknownResend = "resend" // it is submitted once more, and perhaps sent twice
)

// Route sends the numbers with a prefix through accounts. The first route that matches a
// number is the one that is used.
type Route struct {
	// Match is the prefix of the number in international format, digits only: "2547".
	Match string
	// Via names the accounts, in order of preference.
	Via []string
}

// ledgerRoutes returns the routes as the ledger stores them.
func ledgerRoutes(routes []Route) (out []ledger.Route) {
	for _, r := range routes {
		out = append(out, ledger.Route(r))
	}
	return out
}

// Account is a provider with the throughput it may use.
type Account struct {
	Name     string
	Provider providers.Provider
	// Rate is in Unit a second for the whole cluster; 0: unlimited.
	Rate ratelimit.Rate
	// Burst is in Unit; 0: ratelimit.DefaultBurst(Rate).
	Burst int
	// Unit is messages (default), segments or requests.
	Unit string
	// Sender is the default sender ID.
	Sender string
	// Concurrency is how many calls this worker has in flight; 8.
	Concurrency int
	// Timeout is for a whole HTTP call; 30 s.
	Timeout time.Duration
	// MaxAttempts is how many answers about a message itself it gets; 8.
	MaxAttempts int
	// OnUnknown is what becomes of a recipient whose outcome is unknown at a gateway
	// without idempotency keys, where the campaign does not say: keep (default) or resend.
	OnUnknown string
	// ReconcileFor is how long a call of unknown outcome is looked for where the gateway
	// lists what it has taken, before it ends unknown; 1 minute. Negative: not at all.
	ReconcileFor time.Duration
	// Price is per segment, "0.80 KES", for estimates.
	Price string
}

// Worker plans and sends. Its methods may be called from any goroutine, Run once.
type Worker struct {
	cfg         Config
	log         zerolog.Logger
	ledger      *ledger.Ledger
	queue       *queue.Queue
	accounts    map[string]*account
	campaigns   campaignCache
	openBatches openBatchCache
	hours       hoursCache
	memory      memoryWatch
	sweeper     sweeper

	drain   chan struct{} // closed: claim nothing more
	killed  chan struct{} // closed: stop trying to write to Redis
	kill    sync.Once
	running sync.RWMutex // read-locked by each handler; draining locks it for good
	serving atomic.Bool
	// failover says whether the Redis is still the one that was settled in.
	restartGuard restartGuard
}

// New checks the configuration and fills in its defaults. It does not talk to
// Redis yet. The error joins every mistake.
func New(cfg Config) (*Worker, error) {
	cfg.setDefaults()
	w := &Worker{cfg: cfg, log: cfg.Logger.With().Str("worker", cfg.Name).Logger(), accounts: map[string]*account{},
		drain: make(chan struct{}), killed: make(chan struct{})}
	var mistakes []error
	if cfg.Redis == nil {
		return nil, errors.New("new worker: no redis client")
	}
	if len(cfg.Accounts) == 0 {
		mistakes = append(mistakes, errors.New("no accounts"))
	}
	for _, a := range cfg.Accounts {
		acc, err := newAccount(cfg.Redis, a)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s: %w", a.Name, err))
			continue
		}
		if w.accounts[a.Name] != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s is there twice", a.Name))
		}
		w.accounts[a.Name] = acc
	}
	if err := w.checkSendingHours(); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("new worker: %w", errors.Join(mistakes...))
	}
	w.ledger, w.queue = ledger.NewDurable(cfg.Redis, ledger.Durability(cfg.Durability)), queue.New(cfg.Redis)
	return w, nil
}

func (c *Config) setDefaults() {
	if c.Retention <= 0 {
		c.Retention = 30 * 24 * time.Hour
	}
	if c.FailoverAfter == 0 {
		c.FailoverAfter = time.Minute
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = time.Second
	}
	if c.PollEvery <= 0 {
		c.PollEvery = 50 * time.Millisecond
		if _, single := c.Redis.(*redis.Client); !single {
			c.PollEvery = min(max(time.Duration(2*len(c.Accounts))*16*time.Millisecond, c.PollEvery), 250*time.Millisecond)
		}
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "worker"
		}
		c.Name = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), ledger.NewToken()[:6])
	}
}

// Run works until the context ends, then drains: calls in flight are finished and
// written down, nothing more is claimed, what is left is handed to other workers,
// and Run returns when nothing of it runs any more. It errs at once when Redis is
// not fit to work on.
func (w *Worker) Run(ctx context.Context) error {
	warnings, err := CheckRedis(ctx, w.cfg.Redis, w.cfg.UnsafeRedis)
	if err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	more, err := CheckDurability(ctx, w.cfg.Redis, w.cfg.Durability)
	if err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	for _, x := range append(warnings, more...) {
		w.log.Warn().Msg(x)
	}
	if err := w.watchRedis(ctx); err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	if err := w.publish(ctx); err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	servers := w.servers()
	for i, s := range servers {
		if err := s.Start(asynq.HandlerFunc(w.handle)); err != nil {
			shutdown(servers[:i])
			return fmt.Errorf("run worker: %w", err)
		}
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { w.runEvery(background, w.cfg.SweepEvery, "sweep", w.sweep) })
	loops.Go(func() { w.runEvery(background, publishEvery, "publish", w.publish) })
	loops.Go(func() { w.runEvery(background, balanceTick, "balance", w.pollBalances()) })
	w.serving.Store(true)
	w.log.Info().Int("accounts", len(w.accounts)).Msg("working")

	<-ctx.Done()
	w.serving.Store(false)
	w.log.Info().Msg("draining: calls in flight are finished, nothing more is claimed")
	close(w.drain)
	for _, s := range servers {
		s.Stop()
	}
	w.running.Lock()
	stop()
	loops.Wait()
	shutdown(servers)
	w.withdraw()
	w.log.Info().Msg("drained")
	return nil
}

// Kill makes a draining worker give up what it still wants to write to Redis: the
// second interrupt. Calls that it could not settle end in doubt.
func (w *Worker) Kill() { w.kill.Do(func() { close(w.killed) }) }

// Ready says whether the worker can work now: it is not draining and Redis answers.
func (w *Worker) Ready(ctx context.Context) error {
	if !w.serving.Load() {
		return errors.New("not serving")
	}
	if err := w.cfg.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (w *Worker) draining() bool {
	select {
	case <-w.drain:
		return true
	default:
		return false
	}
}

// sleep waits; false: the worker drains.
func (w *Worker) sleep(d time.Duration) bool {
	if d <= 0 {
		return !w.draining()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.drain:
		return false
	}
}

// every does something now and then until the context ends; what fails is logged
// and tried again the next time.
func (w *Worker) runEvery(ctx context.Context, d time.Duration, what string, do func(context.Context) error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			w.log.Error().Err(err).Msg(what + " failed; trying again")
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
