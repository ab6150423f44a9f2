package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/blacklist"
	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/server"
	"github.com/tuma-sms/tuma/internal/server/api"
	"github.com/tuma-sms/tuma/internal/statusevent"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// serveCommand is one run of `tuma serve`, with its flags.
type serveCommand struct {
	*app
	listen, metricsListen string
	logLevel, logFormat   string
}

func newServe(a *app) *cobra.Command {
	s := &serveCommand{app: a}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Take what gateways send: delivery reports and opt-outs",
		Long: `Serve listens for the callbacks of gateways. Each account with a callback_secret
has separate URLs, which you enter at the gateway:

  /callbacks/ACCOUNT/SECRET/delivery   delivery reports
  /callbacks/ACCOUNT/SECRET/inbound    messages of subscribers (tuma inbox)
  /callbacks/ACCOUNT/SECRET/optout     opt-outs

A message that is an opt-out word, such as STOP, puts its sender on the
suppression list. Where a gateway does not forward messages, or an account has
no callback_secret, serve reads the inbox at the gateway every minute. It also
asks KoboMobile and TextConnect for the delivery reports of accounts without the
setting "reports: off".

A callback is answered with a 2xx only when Redis holds its content. Otherwise
the gateway gets a 5xx and sends it again. A wrong account, secret or path gets
a 404. You can run many serve processes on one Redis.

/healthz, /readyz and /metrics (for Prometheus) are on the same address, or on
that of --metrics-listen.

Serve also posts events to the webhooks of tuma.yaml and of the HTTP API, which
is at /v1 on the same address.

Put a proxy with TLS in front of serve: the secret is part of the URL. After
SIGTERM, Ctrl-C or the end of its terminal, serve finishes the requests in
flight and exits. When tuma.yaml or a secret file changes, serve uses the new
secrets within two seconds. Without a terminal, the signal SIGHUP makes serve
read these files at once.`,
		Example: "  tuma serve\n  tuma serve --listen :8090 --metrics-listen 127.0.0.1:9090 --log-format json",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return s.run(ctx) }),
	}
	f := c.Flags()
	f.StringVar(&s.listen, "listen", ":8090", "`address` to listen on for callbacks")
	f.StringVar(&s.metricsListen, "metrics-listen", "", "`address` for /healthz, /readyz and /metrics (default: the address of --listen)")
	addLogFlags(c, &s.logLevel, &s.logFormat)
	return c
}

// serveConnections returns the maximum number of Redis connections of "tuma serve". It is large on a machine with few
// cores too: if redis.durability is set, a request from outside may hold a connection for two seconds.
func serveConnections() int { return max(64, 10*runtime.GOMAXPROCS(0)) }

func (s *serveCommand) run(ctx context.Context) error {
	log, err := newLogger(s.err, s.logLevel, s.logFormat)
	if err != nil {
		return err
	}
	cfg, err := s.config(true)
	if err != nil {
		return err
	}
	b, err := newBackend(cfg, serveConnections())
	if err != nil {
		return err
	}
	defer b.Close()
	settings, err := serverConfig(b, log)
	if err != nil {
		return err
	}
	meter, process, err := meterServer(&settings, b)
	if err != nil {
		return err
	}
	reports := reportDoor(b, log, meter)
	settings.Reports = reports
	polls := newPolls(b, log, meter)
	traces, err := startTracing(ctx, s.app, cfg, "serve", log)
	if err != nil {
		return err
	}
	defer traces.Close()
	hooks := newWebhooks(b, log)
	settings.API, settings.APIPaths = newAPI(ctx, b, hooks, tracing.New(traces.TracerProvider()), log), api.Paths
	r := newReloader(s.app, cfg, log, process, nil)
	settings.Detail = r.detail
	srv, err := server.New(settings)
	if err != nil {
		return err
	}
	r.apply = func(_ context.Context, cfg *config.Config) ([]string, error) {
		reloadPolls(polls, cfg)
		return reloadServer(srv, hooks, settings, b, cfg, log)
	}
	if err := checkServeRedis(ctx, b, log); err != nil {
		return err
	}
	listener, health, err := s.listeners(ctx)
	if err != nil {
		return err
	}
	s.signals.finish(func() { log.Warn().Msg("serve is draining already: it ends after its last request in flight") })
	log.Info().Str("address", listener.Addr().String()).Int("accounts", len(settings.Accounts)).Msg("listening for callbacks")
	if err := runBeside(ctx, srv, listener, health, reports.Run, polls.Run, r.run, hooks.Run); err != nil {
		return err
	}
	log.Info().Msg("serve has stopped")
	return nil
}

// runBeside runs the server until ctx ends and the server has finished its requests in flight. The functions in the
// parameter "others", such as the delivery of webhooks, run as long as the server.
func runBeside(ctx context.Context, srv *server.Server, listener, health net.Listener, others ...func(context.Context)) error {
	var group sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	for _, other := range others {
		group.Go(func() { other(running) })
	}
	err := srv.Run(ctx, listener, health)
	stop()
	group.Wait()
	return err
}

// checkServeRedis logs warnings about Redis. It returns an error if Redis is not fit for Tuma. It returns nil if
// Redis does not answer.
func checkServeRedis(ctx context.Context, b *backend, log zerolog.Logger) error {
	warnings, err := worker.CheckRedis(ctx, b.rdb, b.cfg.Redis.Unsafe)
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	if errors.Is(err, worker.ErrRedisUnfit) {
		return fmt.Errorf("redis at %s: %w", config.URLWithoutLogin(b.cfg.Redis.URL), err)
	}
	if err != nil {
		log.Warn().Err(err).Msg("redis cannot be used yet: callbacks get a 503 until redis accepts writes")
	}
	return nil
}

// reloadServer gives the server the secrets, providers and webhooks of a changed configuration. It returns the settings
// whose change takes effect only after a restart.
func reloadServer(srv *server.Server, hooks *webhook.Service, old server.Config, b *backend, cfg *config.Config, log zerolog.Logger) (restart []string, err error) {
	next, err := serverConfig(&backend{Client: b.Client, rdb: b.rdb, cfg: cfg}, log)
	if err != nil {
		return nil, err
	}
	names := func(list []server.Account) (out []string) {
		for _, a := range list {
			out = append(out, a.Name)
		}
		return out
	}
	if !slices.Equal(names(old.Accounts), names(next.Accounts)) || !slices.Equal(names(old.Polled), names(next.Polled)) {
		restart = append(restart, "accounts")
	}
	restart = append(restart, inboundRestarts(b.cfg.Inbound, cfg.Inbound)...)
	restart = append(restart, reportRestarts(b.cfg, cfg)...)
	changed := old
	changed.Accounts, changed.Polled, changed.TrustedProxies, changed.Words, changed.Country = next.Accounts, next.Polled, next.TrustedProxies, next.Words, next.Country
	if err := srv.Reload(changed); err != nil {
		return nil, err
	}
	hooks.SetConfigured(cfg.Webhooks)
	return restart, nil
}

// inboundRestarts returns the changed settings of incoming messages that take effect only after a restart.
func inboundRestarts(old, next config.Inbound) (restart []string) {
	if old.Keep != next.Keep || old.Max != next.Max {
		restart = append(restart, "inbound: keep and max")
	}
	if old.PollEvery != next.PollEvery {
		restart = append(restart, "inbound: poll")
	}
	return restart
}

// listeners opens the addresses of --listen and --metrics-listen. The result "health" is nil if --metrics-listen is not
// set.
func (s *serveCommand) listeners(ctx context.Context) (listener, health net.Listener, err error) {
	var lc net.ListenConfig
	if listener, err = lc.Listen(ctx, "tcp", s.listen); err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	if s.metricsListen == "" {
		return listener, nil, nil
	}
	if health, err = lc.Listen(ctx, "tcp", s.metricsListen); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--metrics-listen: %w", err), listener.Close())
	}
	return listener, health, nil
}

// reportDoor returns the door for delivery reports. The door accepts the reports of each account whose gateway sends
// reports by callback.
func reportDoor(b *backend, log zerolog.Logger, meter *metrics.Server) *tracking.Door {
	var list []tracking.DoorAccount
	reporting := map[string]blacklist.Account{}
	for _, acc := range b.cfg.Accounts {
		reporting[acc.Name] = blacklist.Account{Sender: acc.Worker.Sender, BySender: acc.Info.BlacklistBySender}
		if lasts := acc.Card().ReportFor; lasts > 0 && len(acc.CallbackSecrets) > 0 && (!acc.Polled || acc.NamesCallback) {
			list = append(list, tracking.DoorAccount{Name: acc.Name, Info: acc.Info, For: lasts,
				Count: func(r tracking.Result, n int) { meter.Report(acc.Name, string(r), n) }})
		}
	}
	l := ledger.NewDurable(b.rdb, b.cfg.Redis.Durability)
	campaigns := &wake.Campaigns{Ledger: l}
	refused, statuses := blacklist.NewReports(l, campaigns, optout.New(l.Runner()), reporting, log), statusevent.New(l.Runner(), campaigns)
	return tracking.NewDoor(l, log, list, func(ctx context.Context, list []tracking.Applied) {
		writeStatuses(ctx, statuses, list, log)
		refused.Note(ctx, list)
	})
}

// serverConfig returns the configuration of the server: the accounts that have a callback secret.
func serverConfig(b *backend, log zerolog.Logger) (server.Config, error) {
	c := server.Config{
		Client: b.Client, TrustedProxies: b.cfg.Serve.TrustedProxies, Logger: log,
		Inbox: inbox.New(script.NewRunner(b.rdb, b.cfg.Redis.Durability), b.cfg.Inbound.Keep, b.cfg.Inbound.Max),
		Words: b.cfg.Inbound.Words, Country: b.cfg.Country, PollEvery: b.cfg.Inbound.PollEvery,
		Ready: func(ctx context.Context) error { return worker.CheckWritable(ctx, b.rdb) },
	}
	var incomplete []*config.Account
	for _, acc := range b.cfg.Accounts {
		if !acc.HasCallbackKey {
			c.Polled = appendPolled(c.Polled, acc)
			continue
		}
		if acc.Ready() != nil {
			incomplete = append(incomplete, acc)
			continue
		}
		c.Accounts = append(c.Accounts, serverAccount(acc))
		if _, ok := acc.Worker.Provider.(providers.InboundParser); !ok {
			c.Polled = appendPolled(c.Polled, acc)
		}
	}
	if err := errors.Join(b.cfg.Missing(incomplete), b.cfg.WebhooksReady()); err != nil {
		return c, misuseError{err: err}
	}
	if len(c.Accounts) == 0 {
		log.Warn().Msg("no account has a callback_secret, so every callback gets a 404: set one in tuma.yaml")
	}
	return c, nil
}

func serverAccount(acc *config.Account) server.Account {
	return server.Account{Name: acc.Name, Secrets: acc.CallbackSecrets, Provider: acc.Worker.Provider, Sender: acc.Worker.Sender}
}

// appendPolled appends an account to the slice "polled" if `tuma serve` can read the account's inbox at the gateway. The
// caller must not pass an account that has a door for incoming messages.
func appendPolled(polled []server.Account, acc *config.Account) []server.Account {
	if _, ok := acc.Worker.Provider.(providers.InboxReader); !ok || acc.Ready() != nil {
		return polled
	}
	return append(polled, serverAccount(acc))
}
