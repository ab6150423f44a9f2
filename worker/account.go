package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// account is an Account together with its limiters and the gateway's facts (providers.Info).
type account struct {
	Account
	info                 providers.Info
	bulk, transactional  ratelimit.Limiter
	bulkPace, urgentPace *pacer
	// free reports whether neither a rate nor a cool-down limits the account.
	free func(context.Context) (bool, error)
	// inFlight holds one entry for each call in flight; its capacity is Concurrency. waiting is the
	// number of goroutines that wait until inFlight has room.
	inFlight  chan struct{}
	waiting   atomic.Int64
	slowStart *slowStart
	health    accountHealth
	// reconciler is the provider if it can list the messages it has taken, otherwise nil. listing
	// is locked while a worker reads that list. open caches unresolved attempts, so that delivery
	// reports can be matched with them.
	reconciler providers.Reconciler
	listing    sync.Mutex
	open       openAttempts
}

// enter waits until inFlight has room and adds an entry for the next call. It returns false if stop
// is closed first.
func (a *account) enter(stop <-chan struct{}) bool {
	select {
	case a.inFlight <- struct{}{}:
		return true
	default:
	}
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	select {
	case a.inFlight <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

// leave removes the entry that enter added.
func (a *account) leave() { <-a.inFlight }

func newAccount(rdb redis.UniversalClient, a Account) (*account, error) {
	var mistakes []error
	if !ledger.ValidAccountName(a.Name) {
		mistakes = append(mistakes, fmt.Errorf("name %.40q must be 1 to 64 of A-Z a-z 0-9 _ -", a.Name))
	}
	if a.Provider == nil {
		return nil, errors.Join(append(mistakes, errors.New("no provider: set Account.Provider"))...)
	}
	if a.Unit == "" {
		a.Unit = UnitMessages
	}
	if a.Unit != UnitMessages && a.Unit != UnitSegments && a.Unit != UnitRequests {
		mistakes = append(mistakes, fmt.Errorf("unit %.40q must be messages, segments or requests", a.Unit))
	}
	if a.OnUnknown != "" && a.OnUnknown != OnUnknownKeep && a.OnUnknown != OnUnknownResend {
		mistakes = append(mistakes, fmt.Errorf("on unknown %.40q must be keep or resend", a.OnUnknown))
	}
	if a.Concurrency <= 0 {
		a.Concurrency = 8
	}
	if a.Timeout <= 0 {
		a.Timeout = 30 * time.Second
	}
	if a.MaxAttempts <= 0 {
		a.MaxAttempts = 8
	}
	limiter, err := ratelimit.NewRedis(rdb, ledger.RateKey(a.Name), a.Rate, a.Burst)
	if err != nil {
		return nil, errors.Join(append(mistakes, err)...)
	}
	if a.ReconcileFor == 0 {
		a.ReconcileFor = time.Minute
	}
	reconciler, _ := a.Provider.(providers.Reconciler)
	limiter = limiter.Following(ledger.AccountKey(a.Name))
	return &account{Account: a, info: a.Provider.Info(), bulk: limiter, transactional: limiter.Transactional(), free: limiter.Free,
		bulkPace: newPacer(), urgentPace: newPacer(),
		inFlight: make(chan struct{}, a.Concurrency), slowStart: newSlowStart(), reconciler: reconciler}, errors.Join(mistakes...)
}

// keyTTL is how long the gateway certainly remembers an idempotency key. It is 0 if the gateway has
// no idempotency keys.
func (a *account) keyTTL() time.Duration { return min(a.info.KeyTTL, ledger.MaxKeyAge) }

func (a *account) card(cfg Config) campaign.Card {
	return campaign.Card{Name: a.Name, Provider: a.info.Name, Info: a.info, Rate: float64(a.Rate), Burst: float64(a.Burst), Unit: a.Unit,
		Sender: a.Sender, Concurrency: a.Concurrency, Price: a.Price, OnUnknown: a.OnUnknown, Country: cfg.Country, Windows: hoursAsText(cfg.Windows)}
}

const (
	// publishEvery is how often a worker publishes its accounts. It is much shorter than
	// ledger.WorkerLife.
	publishEvery = 4 * time.Second
	// balanceTimeout bounds a balance request.
	balanceTimeout = 10 * time.Second
)

// publish writes the account cards and the routes to Redis, and records there that this worker
// serves the accounts.
func (w *Worker) publish(ctx context.Context) error {
	var errs []error
	for _, a := range w.accounts {
		errs = append(errs, w.ledger.Publish(ctx, w.cfg.Name, a.card(w.cfg)))
	}
	errs = append(errs, w.ledger.PublishRoutes(ctx, ledgerRoutes(w.cfg.Routes)))
	return errors.Join(errs...)
}

// withdraw records that this worker no longer serves its accounts. Without this, other workers
// would notice only after ledger.WorkerLife.
func (w *Worker) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, a := range w.accounts {
		if err := w.ledger.Withdraw(ctx, w.cfg.Name, a.Name); err != nil {
			w.log.Warn().Err(err).Msg("could not record that this worker stopped serving the account; until the record expires, others believe that it still does")
		}
	}
}

// askBalance requests the balance from the gateway, stores it on the account's card, and returns it
// as text. If the gateway cannot report a balance, or the request fails, askBalance returns "". It
// logs the error of a failed request.
func (w *Worker) askBalance(ctx context.Context, a *account) string {
	b, ok := a.Provider.(providers.Balancer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	got, err := balance(ctx, b)
	if err != nil {
		w.log.Debug().Err(err).Str("account", a.Name).Msg("could not read balance")
		return ""
	}
	w.noteBalance(ctx, a, got)
	return amountText(got.Amount)
}

// amountText formats an amount with as many digits as it needs.
func amountText(amount float64) string { return strconv.FormatFloat(amount, 'f', -1, 64) }

// noteBalance stores the balance b on the account's card.
func (w *Worker) noteBalance(ctx context.Context, a *account, b providers.Balance) {
	shown := amountText(b.Amount)
	if b.Currency != "" {
		shown = b.Currency + " " + shown
	}
	if err := w.ledger.SetBalance(ctx, a.Name, shown); err != nil {
		w.log.Warn().Err(err).Str("account", a.Name).Msg("could not store balance")
	}
}

// noteBalanceIn stores the balance that the answer to a call contained, if any. A failure is only
// logged. The caller first writes everything that must be written.
func (s *batchSender) noteBalanceIn(results []providers.Result) {
	i := slices.IndexFunc(results, func(r providers.Result) bool { return r.Balance != nil })
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.noteBalance(ctx, s.acc, *results[i].Balance)
}

// balance requests the balance from a provider. It returns a panic of the provider as an error.
func balance(ctx context.Context, b providers.Balancer) (got providers.Balance, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "balance", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("%T in the provider", r)}
		}
	}()
	return b.Balance(ctx)
}

// endProbe gives back the probe of a held account that this batch was granted but made no use of.
// Another batch can then probe at once. If the write fails, the probe expires by itself.
func (s *batchSender) endProbe() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.ledger.EndProbe(ctx, s.acc.Name); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not release unused probe; it expires by itself")
	}
}
