package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/providers"
)

// doors is the handler of /callbacks/ACCOUNT/SECRET/KIND. A wrong secret, an unknown account, a kind that the account
// does not have and every other path get the same 404. Before this answer the server always does the same work: it
// does not read the body, and compares the secret in the path with two secrets. So neither the answer nor the time
// until the answer shows what was wrong.
type doors struct {
	cfg      Config
	accounts map[string]*accountDoors
	// closed stands for an account that does not exist. It has no secret, so no path matches it.
	closed accountDoors
	// inFlight holds an element for each callback that is being read or stored.
	inFlight chan struct{}
	refused  refusals
}

// accountDoors are the doors of one account.
type accountDoors struct {
	account Account
	secrets secretSet
	// doors holds, by kind, the function that stores callbacks of this kind. It has no entry for a
	// kind that the account does not accept.
	doors map[string]door
	// The logger "log" writes at most linesPerSecond lines a second. A gateway repeats each callback that gets an
	// error, so thousands of callbacks may fail while Redis is away. The metrics count every callback.
	log zerolog.Logger
}

// linesPerSecond is the maximum number of log lines about callbacks that were not taken, for one account.
const linesPerSecond = 3

// door parses and stores the content of one callback. It returns nil only after Redis has stored
// the content. An error that wraps providers.ErrCallback or providers.ErrCallbackMethod is about
// the callback itself, so a repeated callback would fail too.
type door func(d *doors, r *http.Request, acc *Account, c providers.Callback) error

// Kinds of callbacks. In the path of a callback, the kind follows the secret.
const (
	kindDelivery = "delivery"
	kindInbound  = "inbound"
	kindOptOut   = "optout"
)

func newDoors(cfg Config) (*doors, error) {
	d := &doors{cfg: cfg, accounts: map[string]*accountDoors{}, inFlight: make(chan struct{}, maxInFlight)}
	var mistakes []error
	for _, acc := range cfg.Accounts {
		secrets, err := newSecretSet(acc.Secrets)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s: %w", acc.Name, err))
		}
		a := &accountDoors{account: acc, secrets: secrets, doors: map[string]door{},
			log: cfg.Logger.Sample(&zerolog.BurstSampler{Burst: linesPerSecond, Period: time.Second})}
		if _, ok := acc.Provider.(providers.DeliveryParser); ok && cfg.Reports != nil {
			a.doors[kindDelivery] = (*doors).takeDelivery
		}
		if _, ok := acc.Provider.(providers.InboundParser); ok && cfg.Inbox != nil {
			a.doors[kindInbound] = (*doors).takeInbound
		}
		if _, ok := acc.Provider.(providers.OptOutParser); ok {
			a.doors[kindOptOut] = (*doors).takeOptOut
		}
		d.accounts[acc.Name] = a
	}
	return d, errors.Join(mistakes...)
}

// ServeHTTP answers a callback. The status is 200 if the content is stored, 404 if the path names
// no door, and another 4xx status if the content cannot be read. If the content cannot be stored,
// the status is 5xx, so that the gateway sends the callback again.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, secret, kind, place := splitPath(r.URL.Path)
	acc := d.accounts[name]
	if acc == nil {
		acc = &d.closed
	}
	open := acc.doors[kind]
	if !acc.secrets.match(secret) || open == nil {
		d.refused.note(d.cfg.Logger, clientOf(r, d.cfg.TrustedProxies))
		http.NotFound(w, r)
		return
	}
	began := time.Now()
	status, err := d.take(w, r, acc, open, place)
	d.cfg.Meter.Callback(acc.account.Name, kind, resultOf(status), time.Since(began))
	if err != nil {
		level := zerolog.WarnLevel
		if status >= http.StatusInternalServerError {
			level = zerolog.ErrorLevel
		}
		acc.log.WithLevel(level).Err(err).Str("account", acc.account.Name).Str("kind", kind).Int("status", status).Msg("callback not taken")
	}
	answer(w, r, status)
}

// splitPath splits the path of a callback, /callbacks/ACCOUNT/SECRET/KIND[/PLACE], into its parts.
// It returns empty strings for any other path.
func splitPath(path string) (account, secret, kind, place string) {
	rest, ok := strings.CutPrefix(path, "/callbacks/")
	parts := strings.SplitN(rest, "/", 4)
	if !ok || len(parts) < 3 {
		return "", "", "", ""
	}
	account, secret, kind = parts[0], parts[1], parts[2]
	if len(parts) == 4 {
		// Only the URL for delivery reports may have a fourth part, the place. Tuma writes the place into the
		// callback URL of a send request.
		if place = parts[3]; place == "" || kind != kindDelivery {
			kind = ""
		}
	}
	return account, secret, kind, place
}

// The method "take" reads and stores a callback, and returns the status of the answer. The caller logs the error.
func (d *doors) take(w http.ResponseWriter, r *http.Request, acc *accountDoors, open door, place string) (status int, err error) {
	select {
	case d.inFlight <- struct{}{}:
		defer func() { <-d.inFlight }()
	default:
		return http.StatusServiceUnavailable, fmt.Errorf("%d callbacks are in flight, which is the maximum", maxInFlight)
	}
	c := providers.Callback{Method: r.Method, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"), Place: place}
	c.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge, errors.New("the body has more than 64 KB")
	}
	if err != nil {
		return http.StatusBadRequest, errors.New("the body was not sent in time, or is incomplete")
	}
	err = open(d, r, &acc.account, c)
	switch {
	case err == nil:
		// Africa's Talking documents only the status 200 as a success, so no other 2xx is used.
		return http.StatusOK, nil
	case errors.Is(err, providers.ErrCallbackMethod):
		return http.StatusMethodNotAllowed, err
	case errors.Is(err, providers.ErrCallback):
		return http.StatusBadRequest, err
	}
	return http.StatusServiceUnavailable, err
}

// The function "answer" writes the answer to a callback. The text does not contain the cause of an error.
func answer(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusOK {
		w.WriteHeader(status)
		return
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allowed(r.Method))
	}
	if status >= http.StatusInternalServerError {
		w.Header().Set("Retry-After", "5")
	}
	http.Error(w, strings.ToLower(http.StatusText(status)), status)
}

// The function "allowed" returns the methods that a callback may have instead of the refused method.
func allowed(refused string) string {
	if refused == http.MethodPost {
		return http.MethodGet
	}
	return http.MethodPost
}

// refusals logs refused requests with at most one line a minute.
type refusals struct {
	mu     sync.Mutex
	logged time.Time
	count  int
}
