package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/drain"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/prefix"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// Config configures a Worker. Only Redis and Accounts are required. If a field has the zero value,
// the default in its comment applies.
//
// Some settings have one value for all workers: Routes, Country, Windows, Retention and
// FailoverAfter, and the Rate, Burst and Unit of each account. The values of the worker that started
// last are in force. Redis numbers the starts. All other workers follow within two seconds, and log
// once where their own configuration differs. So these settings change as soon as the first worker of
// a rolling update, or of a rollback, has started. A worker that stops changes nothing. A worker that
// starts again after a crash counts as started last.
type Config struct {
	// Redis is the client of the Redis that all workers and producers share. It must not be a redis.Ring, or a cluster
	// client that reads from replicas. Set ClusterStateReloadInterval of a cluster client to a few seconds: by
	// default, go-redis may try to use a killed master for up to a minute. The worker does not close the client. The
	// client's pool should hold about two connections for each call that may be in flight.
	Redis redis.UniversalClient
	// Prefix begins every key and channel in Redis, such as "staging:", so that several environments can
	// share one Redis. It must be the same as the prefix of the producers. New adds a hook to the client.
	// producer.WithPrefix describes which prefixes are valid, and which programs may share the client.
	// Default: no prefix.
	Prefix string
	// Accounts are the gateway accounts that this worker sends through. There must be at least one,
	// and their names must differ.
	Accounts []Account
	// Routes choose the accounts of a campaign that names no account. A route may name accounts that only other
	// workers serve. Default: no routes, so every campaign must name its account.
	Routes []Route
	// Country is the ISO code of the country whose national number format is accepted, such as "KE". Default: no
	// country, so only numbers in international format are valid.
	Country string
	// Windows are the sending hours of marketing campaigns, by ISO code of the recipient's country.
	// The hours are in the recipient's local time. Recipients in a country without an entry may get
	// messages at any time. A campaign keeps the hours, and the Country, that were in force when it
	// was enqueued. Transactional campaigns ignore the hours.
	Windows map[string]Hours
	// Retention is how long a finished campaign is kept before it is deleted. Default: 30 days.
	Retention time.Duration
	// MessageRetention is how long a finished single message (producer.Client.Send) is kept before it is
	// deleted. The worker that sweeps applies its own value, so give all workers the same value.
	// Default: DefaultMessageRetention.
	MessageRetention time.Duration
	// FailoverAfter is how long an account must have been held before its waiting work moves to the
	// next account of the route. The work of an account that an operator holds does not move.
	// Default: 1 minute. If it is negative, work never moves.
	FailoverAfter time.Duration
	// Durability is how safely a claim must be stored before its call is made, and how safely a settle must be
	// stored before the call counts as settled. By default, an answer from Redis is enough.
	Durability Durability
	// WaitForRedis lets Run wait while Redis does not answer, is starting, or refuses writes for a
	// temporary reason. Run logs a line when it begins to wait, and another line when Redis can be
	// used. Default: Run returns an error at once.
	WaitForRedis bool
	// UnsafeRedis lets Run use a Redis that may lose data, after logging a warning. It is for tests
	// and demos. See CheckRedis.
	UnsafeRedis bool
	// Logger receives the worker's log lines. They hold no message body and no full number.
	// Default: no logging.
	Logger zerolog.Logger
	// Version and RedisName are shown in the log line of the worker's start. RedisName must hold no
	// login. Default: the version of this module, and the address in Redis' options.
	Version, RedisName string
	// Name identifies this worker in Redis and in logs. It must differ from the names of all other
	// workers. Default: host name, process ID and a random part.
	Name string
	// SweepEvery is how often the sweeper looks for lost tasks, due batches and campaigns past
	// retention. Only one worker sweeps at a time. Default: 1 s.
	SweepEvery time.Duration
	// Metrics is the registry in which New registers the worker's metrics (docs/metrics.md), such as a
	// prometheus.Registry of the caller. The caller serves these metrics. A registry takes only one
	// worker, because all workers use the same names. For further workers, wrap the registry with
	// prometheus.WrapRegistererWith. Default: no metrics.
	Metrics prometheus.Registerer
	// Tracing is the OpenTelemetry provider that makes the spans of planning, batches, calls and settles
	// (docs/tracing.md). The caller configures it, e.g. with OpenTelemetry's SDK. The spans hold no number, text,
	// campaign ID or key. The spans of a campaign that was enqueued with producer.WithTraceparent join the trace
	// of its enqueue. Default: no spans.
	Tracing trace.TracerProvider
	// PollEvery is how often the worker polls its queues while they are empty. A new message waits
	// for less than half of PollEvery on average. While messages keep coming, the wait is about a
	// fifth as long. Default: 50 ms, with one command for all queues.
	//
	// In a Redis cluster each queue needs its own command. So the default in a cluster is 32 ms for
	// each account, but at least 50 ms and at most 250 ms. With this default, an idle worker with up
	// to ten accounts sends Redis fewer than 100 of these commands a second.
	PollEvery time.Duration
}

// What Account.Rate counts.
const (
	UnitMessages = "messages"
	UnitSegments = "segments"
	UnitRequests = "requests"
)

// Values of Account.OnUnknown. They decide what happens to a recipient whose outcome is unknown.
const (
	OnUnknownKeep   = "keep"   // the recipient stays unknown
	OnUnknownResend = "resend" // the message is submitted once more, so the recipient may receive it twice
)

// DefaultMessageRetention is the default of Config.MessageRetention.
const DefaultMessageRetention = 24 * time.Hour

// Values of Account.Reports. They decide which delivery reports are collected.
const (
	ReportsAll = "all" // those of all messages
	ReportsOff = "off"
	// ReportsSample followed by a number N, e.g. "sample:1000", collects the reports of N random messages of each
	// campaign. It is for gateways without callbacks, where each report costs a request.
	ReportsSample = "sample:"
)

// DefaultReportFor is the default of Account.ReportFor.
const DefaultReportFor = 72 * time.Hour

// Route sends the numbers with a given prefix through the given accounts. For each number,
// Tuma uses the first route that matches the number and names an account. A number that no route
// matches is skipped.
type Route struct {
	// Match is the prefix of the number in international format, digits only, such as "2547". An
	// empty Match matches all numbers.
	Match string
	// Via names the accounts in order of preference. The message goes through the first account
	// that can take it and has not been held for long.
	Via []string
}

// ledgerRoutes converts routes to the type that the ledger stores.
func ledgerRoutes(routes []Route) (out []campaign.Route) {
	for _, r := range routes {
		out = append(out, campaign.Route(r))
	}
	return out
}

// Account is a gateway account of a worker: a provider, its rate, and the rules for handling its
// answers. If a field has the zero value, the default in its comment applies.
type Account struct {
	// Name is the name of the account in campaigns, in routes and on the command line: 1 to 64
	// letters, digits, "_" or "-". Workers that serve the same account must use the same name.
	Name string
	// Provider is the client of the gateway, with its login. Its Info must pass providers.Info.Check.
	Provider providers.Provider
	// Rate is how many units (see Unit) all workers together may use in a second. 0: unlimited.
	Rate ratelimit.Rate
	// Burst is how many units may be used at once after a pause. Default:
	// ratelimit.DefaultBurst(Rate).
	Burst int
	// Unit is what Rate counts: UnitMessages (default), UnitSegments or UnitRequests.
	Unit string
	// Sender is the sender ID of campaigns that do not name a sender ID. Default: the gateway's own sender ID,
	// if it has one.
	Sender string
	// Concurrency is the maximum number of calls that this worker has in flight at the account.
	// Default: 8.
	Concurrency int
	// Timeout is the maximum duration of one call of Provider.Send. Default: 30 s.
	Timeout time.Duration
	// MaxAttempts is the maximum number of answers that count against a message. After the last
	// answer the recipient ends rejected, or unknown if the message may have been sent. Faults of
	// the account or the network do not count. Default: 8.
	MaxAttempts int
	// OnUnknown is what happens to a recipient whose outcome is unknown at a gateway without
	// idempotency keys: OnUnknownKeep (default) or OnUnknownResend. A campaign may override it.
	OnUnknown string
	// ReconcileFor is how long the worker searches the gateway's list of taken messages for a call
	// of unknown outcome, before the recipients of the call end unknown. It applies to providers
	// that implement providers.Reconciler and have no idempotency keys. Default: 1 minute.
	// Negative: do not search.
	ReconcileFor time.Duration
	// Reports selects which delivery reports are collected: ReportsAll, ReportsSample followed by a number, or
	// ReportsOff (default). A gateway can have ReportsAll if its reports name the message and the recipient, or if
	// it answers requests for the status of a message (providers.StatusPoller). In the first case the worker
	// indexes the IDs of its messages, so that `tuma serve` can match the reports. In the second case the worker
	// lists its calls, so that `tuma serve` can ask the gateway.
	Reports string
	// ReportFor is how long the worker waits for the delivery report of a message. Default: 72
	// hours.
	ReportFor time.Duration
	// CallbackURL is the URL of the account's door for delivery reports at `tuma serve`, with its secret and a slash at
	// the end, e.g. https://sms.example.org/callbacks/kobo-main/SECRET/delivery/. Each call then names a URL below
	// CallbackURL, to which the gateway posts the reports. `tuma serve` asks the gateway for reports that do not
	// arrive. Set CallbackURL only if the gateway's providers.Info.NamesCallback is set. Default: no call names a URL.
	CallbackURL providers.Secret
	// Price is the price of one segment with its currency, such as "0.80 KES". It is used for
	// estimates. Default: unknown.
	Price string
}

// Worker plans and sends campaigns. Make one with New. Its methods are safe for concurrent use, but
// Run may be called only once.
type Worker struct {
	cfg      Config
	log      zerolog.Logger
	accounts map[string]*account
	censuses *census.Store
	metrics  *metrics.Worker // nil if Config.Metrics is not set
	rooms
	inForce inForce
	stop    *drain.Signals
	running sync.RWMutex // each task handler holds a read lock; the drain takes the write lock and never releases it
	serving atomic.Bool
}

// New checks cfg, fills in its defaults and returns a worker. New does not connect to Redis. Run connects. If
// cfg has mistakes, New returns one error that joins all of them.
func New(cfg Config) (*Worker, error) {
	cfg.setDefaults()
	w := &Worker{cfg: cfg, log: cfg.Logger.With().Str("worker", cfg.Name).Logger(), accounts: map[string]*account{}, stop: drain.New()}
	var mistakes []error
	if cfg.Redis == nil {
		return nil, errors.New("new worker: no redis client: set Config.Redis")
	}
	if err := script.CheckClient(cfg.Redis); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := prefix.Add(cfg.Redis, cfg.Prefix); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(cfg.Accounts) == 0 {
		mistakes = append(mistakes, errors.New("no accounts: set Config.Accounts"))
	}
	for _, a := range cfg.Accounts {
		acc, err := newAccount(cfg.Redis, a)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s: %w", a.Name, err))
			continue
		}
		if w.accounts[a.Name] != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s: name is used twice", a.Name))
		}
		w.accounts[a.Name] = acc
	}
	if err := w.checkSendingHours(); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("new worker: %w", errors.Join(mistakes...))
	}
	w.censuses = census.NewStore(script.NewRunner(cfg.Redis, script.Durability{}))
	if err := w.registerMetrics(); err != nil {
		return nil, err
	}
	w.connect()
	return w, nil
}

func (c *Config) setDefaults() {
	if c.Retention <= 0 {
		c.Retention = 30 * 24 * time.Hour
	}
	if c.MessageRetention <= 0 {
		c.MessageRetention = DefaultMessageRetention
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
		c.Name = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), script.NewToken()[:6])
	}
}

// Run plans and sends until ctx ends, and then drains. While it drains, it claims nothing more,
// finishes and settles the calls in flight, and leaves all other work to other workers. Run returns
// nil once all its goroutines have stopped. Draining may take as long as the longest
// Account.Timeout, or until Redis answers again. Kill shortens the wait for Redis.
//
// If Redis cannot be reached or is unfit (see CheckRedis and CheckDurability), Run returns an error
// at once, unless Config.WaitForRedis lets it wait. If ctx ends before the worker has started, Run
// returns nil.
func (w *Worker) Run(ctx context.Context) error {
	servers, err := w.begin(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was stopped while it started
		}
		return fmt.Errorf("run worker: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { w.runEvery(background, w.cfg.SweepEvery, "sweep", w.sweeper.Sweep) })
	loops.Go(func() { w.runEvery(background, publishEvery, "publish", w.publish) })
	loops.Go(func() { w.runEvery(background, loadEvery, "store load", w.storeLoad) })
	loops.Go(func() { w.runEvery(background, followEvery, "follow settings", w.follow) })
	loops.Go(func() { w.runEvery(background, balance.Tick, "balance", w.pollBalances) })
	loops.Go(func() { w.readiness.Watch(background) })
	loops.Go(func() { w.runEvery(background, statusEventsEvery, "write status events", w.statuses.Flush) })
	loops.Go(func() { w.runEvery(background, confirmEvery, "check whether redis restarted", w.confirmRedis) })
	w.serving.Store(true)
	w.logStart()

	<-ctx.Done()
	w.serving.Store(false)
	w.log.Info().Msg("worker draining: finishing calls in flight, claiming nothing more")
	w.stop.Drain()
	for _, s := range servers {
		s.Stop()
	}
	w.running.Lock()
	stop()
	loops.Wait()
	w.finishRedis()
	w.closeStatuses()
	w.closeReports()
	shutdown(servers)
	w.withdraw()
	w.log.Info().Msg("worker drained")
	return nil
}

// Kill makes a draining worker stop retrying its writes to Redis. It is meant for a second
// interrupt. Calls that could not be settled become doubtful: another worker resolves them after
// their leases have ended. Kill may be called repeatedly.
func (w *Worker) Kill() { w.stop.Kill() }

// Ready returns nil if the worker is running, is not draining, and Redis accepts its writes.
// Otherwise it returns an error with the reason. It suits a readiness probe: each call writes
// two short keys that expire after ten seconds, in one round trip.
func (w *Worker) Ready(ctx context.Context) error {
	if w.serving.Load() {
		return w.readiness.Check(ctx)
	}
	if err := w.readiness.Failure(); err != nil && !w.stop.Draining() {
		return fmt.Errorf("worker waits for redis: %w", err)
	}
	return errors.New("worker is not running or is draining")
}

// pollBalances reads the balance of each account whose next read of the balance is due.
func (w *Worker) pollBalances(ctx context.Context) error {
	served := make(map[string]providers.Provider, len(w.accounts))
	for name, a := range w.accounts {
		served[name] = a.sending.Gateway().Provider
	}
	return w.balances.Poll(ctx, served)
}

// runEvery calls the function "do" at once, and then at intervals of d until ctx ends. If "do"
// returns an error, runEvery logs the error at the level that levelOf returns, and calls "do" again
// at the next interval.
func (w *Worker) runEvery(ctx context.Context, d time.Duration, what string, do func(context.Context) error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			w.log.WithLevel(w.levelOf(err, zerolog.ErrorLevel)).Err(err).Msg(what + " failed; retrying at the next interval")
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
