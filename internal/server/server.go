// Package server runs `tuma serve`: the doors to which gateways send delivery reports, incoming
// messages and opt-outs, and the health checks. A door answers with a 2xx status only after Redis
// has stored what the gateway sent. Any number of server processes may run on one Redis.
package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// Account is an account whose gateway may send callbacks.
type Account struct {
	// Name is the account's name in the configuration.
	Name string
	// Secrets are the values that the path of a callback may have as its secret. To change a secret
	// without refused callbacks, an account has the old and the new secret for a while. An account
	// without secrets has no doors.
	Secrets []providers.Secret
	// Provider parses the callbacks, if it is a DeliveryParser, an InboundParser or an OptOutParser.
	Provider providers.Provider
	// Sender is the account's default sender ID; it may be empty.
	Sender string
}

// Reports stores delivery reports.
type Reports interface {
	// Deliver stores the delivery reports of one callback to the account. It returns nil only
	// after Redis has stored them with the configured durability. After an error the gateway gets
	// a 5xx status, and may send the same reports again. place is Callback.Place. Several
	// goroutines call Deliver at once.
	Deliver(ctx context.Context, account, place string, reports []providers.DLR) error
}

// Config configures a Server. It must not change after New.
type Config struct {
	Accounts []Account
	// Client writes opt-outs to the suppression lists.
	Client *producer.Client
	// Reports stores delivery reports. If it is nil, the server has no door for delivery reports, and
	// such callbacks get a 404.
	Reports Reports
	// Inbox stores incoming messages. If it is nil, the server has no door for incoming messages and reads no
	// inbox at a gateway.
	Inbox *inbox.Inbox
	// Words are the opt-out and opt-in words of incoming messages.
	Words inbox.Words
	// Country is the ISO code of the country to which senders in national format belong. It may be empty.
	Country string
	// Polled are the accounts whose inbox at the gateway is read every PollEvery, because the gateway
	// does not forward messages to a door.
	Polled    []Account
	PollEvery time.Duration
	// API serves the paths that begin with one of APIPaths. If it is nil, these paths get a 404.
	API      http.Handler
	APIPaths []string
	// Ready returns an error if Redis does not accept writes.
	Ready func(context.Context) error
	// Detail returns "" or a line that /readyz shows even if the server is ready. It may be nil.
	Detail func() string
	// Metrics serves /metrics, beside the health checks. If it is nil, /metrics gets a 404.
	Metrics http.Handler
	// Meter counts what the server does. It may be nil.
	Meter Meter
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For header names the client.
	TrustedProxies []netip.Prefix
	// Logger logs the server's events, without secrets, numbers and texts.
	Logger zerolog.Logger
}

// Limits of a request. A gateway sends a callback within milliseconds, and the size of a callback is a few KB.
const (
	headerTimeout   = 5 * time.Second
	requestTimeout  = 10 * time.Second // header and body together
	responseTimeout = 30 * time.Second // time from the end of the header to the end of the response
	idleTimeout     = time.Minute
	maxHeader       = 16 << 10
	maxBody         = 64 << 10
	// storeTimeout is the time limit for storing the content of one callback.
	storeTimeout = 15 * time.Second
	// maxInFlight is the maximum number of callbacks that the server reads and stores at once.
	// Further callbacks get a 503.
	maxInFlight = 1024
	// drainTimeout is how long the server waits for requests in flight before it stops.
	drainTimeout = 30 * time.Second
	// readyTimeout is the time limit of the check that answers /readyz.
	readyTimeout = 2 * time.Second
)

// Server serves the doors and the health checks. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	doors    atomic.Pointer[doors]
	draining atomic.Bool
	// headerTimeout, requestTimeout and idleTimeout have the values of the constants with these names, except in
	// tests.
	headerTimeout, requestTimeout, idleTimeout time.Duration
}

// New returns a Server. It returns an error that names every account whose secrets cannot be used.
func New(cfg Config) (*Server, error) {
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	d, err := newDoors(cfg)
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	s := &Server{cfg: cfg, headerTimeout: headerTimeout, requestTimeout: requestTimeout, idleTimeout: idleTimeout}
	s.doors.Store(d)
	return s, nil
}

// Reload replaces the doors and the polled accounts: the accounts with their secrets and providers, the trusted proxies,
// and the words and the country of incoming messages. It does not begin to poll further accounts. Callbacks that are being read or stored finish with the old doors. If cfg has mistakes,
// Reload changes nothing, and returns all mistakes.
func (s *Server) Reload(cfg Config) error {
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	d, err := newDoors(cfg)
	if err != nil {
		return fmt.Errorf("reload server: %w", err)
	}
	s.doors.Store(d)
	return nil
}

// Run serves until ctx ends, and then drains: /readyz fails, the listeners close, and requests in
// flight finish. The health checks are served on the parameter "health" or, if it is nil, on the
// parameter "listener". Run closes the listeners. It returns nil after a drain in which all
// requests finished.
func (s *Server) Run(ctx context.Context, listener, health net.Listener) error {
	checks := s.healthChecks()
	main := s.httpServer(s.Handler(health == nil))
	running := map[*http.Server]net.Listener{main: listener}
	if health != nil {
		running[s.httpServer(checks)] = health
	}
	failed := make(chan error, len(running))
	for server, l := range running {
		go func() { failed <- server.Serve(l) }()
	}
	polling, stop := context.WithCancel(ctx)
	defer s.startPolls(polling)()
	defer stop()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for server := range running {
		if e := server.Shutdown(drain); e != nil {
			err = errors.Join(err, fmt.Errorf("drain: requests are still in flight after %s: %w", drainTimeout, e), server.Close())
		}
	}
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.headerTimeout,
		ReadTimeout:       s.requestTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       s.idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(s.cfg.Logger, "", 0),
	}
}

// Handler returns the handler of the doors and the API. If health is true, it also serves /healthz, /readyz and
// /metrics. For every other path, the answer is the same 404 as for a callback with a wrong secret.
func (s *Server) Handler(health bool) http.Handler {
	checks := s.healthChecks()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.API != nil && slices.ContainsFunc(s.cfg.APIPaths, func(p string) bool { return strings.HasPrefix(r.URL.Path, p) }) {
			s.cfg.API.ServeHTTP(w, r)
			return
		}
		if _, pattern := checks.Handler(r); health && pattern != "" {
			checks.ServeHTTP(w, r)
			return
		}
		s.doors.Load().ServeHTTP(w, r)
	})
}
