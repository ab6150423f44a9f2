package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/worker"
)

// workerCommand is one run of `tuma worker`, with its flags.
type workerCommand struct {
	*app
	accounts  []string
	listen    string
	metrics   string
	waitRedis bool
	logLevel  string
	logFormat string
	detail    func() string // what /readyz says beside "ok"
}

func newWorker(a *app) *cobra.Command {
	w := &workerCommand{app: a}
	c := &cobra.Command{
		Use:   "worker",
		Short: "Plan and send campaigns until stopped",
		Long: `Worker plans and sends enqueued campaigns through the accounts of the
configuration. You can run many workers on one Redis. Together they keep to each
account's rate. When a worker dies, the others take over its work without
sending a message twice.

After SIGTERM, Ctrl-C, SIGQUIT or the end of its terminal the worker finishes
its calls in flight and exits. Further signals change nothing. Only SIGKILL ends
a worker at once, and leaves calls in doubt.

When tuma.yaml or a secret file changes, the worker uses the new logins, rates
and settings within two seconds. Without a terminal, the signal SIGHUP makes the
worker read these files at once. The worker logs changes that need a restart. A
broken file changes nothing.

With --listen the worker serves /healthz (the process is alive, even without
Redis), /readyz (the worker has started, is not shutting down, and Redis accepts
its writes) and /metrics for Prometheus. With --metrics-listen, /metrics is on
that address instead.

If Redis does not answer when the worker starts, the worker waits for Redis.
With --wait-redis=false the command fails instead.`,
		Example: `  tuma worker
  tuma worker --accounts kobo-main,kobo-2 --listen :8080 --log-format json`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error { return w.run(ctx) }),
	}
	f := c.Flags()
	f.StringSliceVar(&w.accounts, "accounts", nil, "serve only these `accounts`, separated by commas (default: all in the configuration)")
	f.StringVar(&w.listen, "listen", "", "`address` for /healthz, /readyz and /metrics, such as :8080 (default: none)")
	f.StringVar(&w.metrics, "metrics-listen", "", "`address` for /metrics, /healthz and /readyz (default: that of --listen)")
	f.BoolVar(&w.waitRedis, "wait-redis", true, "wait for a Redis that does not answer or accepts no writes yet")
	_ = c.RegisterFlagCompletionFunc("accounts", a.completeAccounts)
	addLogFlags(c, &w.logLevel, &w.logFormat)
	return c
}

// addLogFlags adds --log-level and --log-format to a command.
func addLogFlags(c *cobra.Command, level, format *string) {
	c.Flags().StringVar(level, "log-level", "info", "log `level`: debug, info, warn or error")
	c.Flags().StringVar(format, "log-format", "", "log `format`: json or console (default: console on a terminal, else json)")
	_ = c.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"json", "console"}, cobra.ShellCompDirectiveNoFileComp))
	levels := []string{"debug", "info", "warn", "error"}
	_ = c.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp))
}

func (w *workerCommand) run(ctx context.Context) error {
	log, err := newLogger(w.err, w.logLevel, w.logFormat)
	if err != nil {
		return err
	}
	cfg, err := w.config(true)
	if err != nil {
		return err
	}
	accounts, err := chooseAccounts(cfg, w.accounts)
	if err != nil {
		return err
	}
	b, err := newBackend(cfg, poolSizeFor(accounts))
	if err != nil {
		return err
	}
	defer b.Close()
	if !w.waitRedis {
		if err := ping(ctx, b.rdb, cfg.Redis, false); err != nil {
			return ignoreCancelled(ctx, err)
		}
	}
	settings := workerConfig(b, accounts)
	info, _ := debug.ReadBuildInfo()
	settings.WaitForRedis = w.waitRedis
	settings.Logger, settings.Version, settings.RedisName = log, readBuild(info).release(version), config.URLWithoutLogin(cfg.Redis.URL)
	reg, process, err := newMetrics(cfg)
	if err != nil {
		return err
	}
	settings.Metrics = reg
	traces, err := startTracing(ctx, w.app, cfg, "worker", log)
	if err != nil {
		return err
	}
	defer traces.Close()
	settings.Tracing = traces.TracerProvider()
	wk, err := worker.New(settings)
	if err != nil {
		return err
	}
	w.signals.finish(func() {
		log.Warn().Msg("worker is draining already: it ends after its last call in flight; only SIGKILL ends it at once, and leaves calls in doubt")
	})
	go notifySystemd(ctx, wk.Ready, log)
	r := newReloader(w.app, cfg, log, process, reloadWorker(wk, b, w.accounts))
	w.detail = r.detail
	// Listen before any work starts, so that an address in use is reported at once.
	stop, err := w.serveHealth(ctx, wk.Ready, metricsHandler(reg), log)
	if err != nil {
		return err
	}
	go r.run(ctx)
	return errors.Join(ignoreCancelled(ctx, wk.Run(ctx)), stop())
}

// reloadWorker returns a function for use after a change of the configuration. The function gives the
// worker the changed settings of the named accounts.
func reloadWorker(wk *worker.Worker, b *backend, names []string) func(context.Context, *config.Config) ([]string, error) {
	return func(ctx context.Context, cfg *config.Config) ([]string, error) {
		accounts, err := chooseAccounts(cfg, names)
		if err != nil {
			return nil, err
		}
		return wk.Reload(ctx, workerConfig(&backend{rdb: b.rdb, cfg: cfg}, accounts))
	}
}

// serveHealth serves the health checks and the metrics on the addresses of the flags. If both flags are
// given, the metrics are only on the address of --metrics-listen. The result "stop" ends the servers.
func (w *workerCommand) serveHealth(ctx context.Context, ready func(context.Context) error, scraped http.Handler, log zerolog.Logger) (stop func() error, err error) {
	var servers []*http.Server
	stop = func() (err error) {
		for _, s := range servers {
			err = errors.Join(err, s.Close())
		}
		return err
	}
	for _, at := range []struct{ flag, address string }{{"--listen", w.listen}, {"--metrics-listen", w.metrics}} {
		handler := scraped
		switch {
		case at.address == "":
			continue
		case at.flag == "--listen" && w.metrics != "":
			handler = nil
		}
		server, err := serveHealth(ctx, at.address, ready, w.detail, handler, log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", at.flag, err), stop())
		}
		servers = append(servers, server)
	}
	return stop, nil
}

// ignoreCancelled returns nil if a signal stopped the worker, because that is not a failure. Otherwise it
// returns err.
func ignoreCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// chooseAccounts returns the accounts with the given names, or all accounts if names is empty. It
// returns an error if one of them does not exist or lacks a setting.
func chooseAccounts(cfg *config.Config, names []string) ([]*config.Account, error) {
	if len(cfg.Accounts) == 0 {
		return nil, misuse("%s has no accounts: add an account to the section \"accounts\"", cfg.File)
	}
	if len(names) == 0 {
		names = cfg.AccountNames()
	}
	slices.Sort(names)
	var chosen []*config.Account
	var incomplete []*config.Account
	var mistakes []error
	for _, name := range slices.Compact(names) {
		acc, err := findAccount(cfg, name)
		switch {
		case acc == nil:
			mistakes = append(mistakes, err)
		case err != nil:
			incomplete = append(incomplete, acc)
		default:
			chosen = append(chosen, acc)
		}
	}
	mistakes = append(mistakes, cfg.Missing(incomplete))
	if err := errors.Join(mistakes...); err != nil {
		return nil, misuseError{err: err}
	}
	return chosen, nil
}

// newLogger returns the logger of the worker.
func newLogger(w io.Writer, level, format string) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), misuse("--log-level: %.40q must be debug, info, warn or error", level)
	}
	switch {
	case format == "console", format == "" && console.IsTerminal(w):
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !console.IsTerminal(w)}
	case format != "json" && format != "":
		return zerolog.Nop(), misuse("--log-format: %.40q must be json or console", format)
	}
	return zerolog.New(w).Level(parsed).With().Timestamp().Logger(), nil
}

// readyTimeout is the time limit of the check that answers /readyz.
const readyTimeout = 2 * time.Second

// serveHealth serves /healthz and /readyz on an address until the server is closed. If the parameter
// "scraped" is not nil, it also serves /metrics.
func serveHealth(ctx context.Context, address string, ready func(context.Context) error, detail func() string, scraped http.Handler, log zerolog.Logger) (*http.Server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, "ok") })
	if scraped != nil {
		mux.Handle("GET /metrics", scraped)
	}
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			respond(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		respond(w, http.StatusOK, "ok\n"+detail())
	})
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("the server for health checks and metrics has ended")
		}
	}()
	log.Info().Str("address", listener.Addr().String()).Msg("listening for health checks")
	return server, nil
}

// respond writes a plain text response that must not be cached.
func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.TrimSpace(text)+"\n")
}
