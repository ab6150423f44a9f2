package worker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// account is an Account at work: with its limiters and its provider's facts.
type account struct {
	Account
	info                 providers.Info
	bulk, transactional  ratelimit.Limiter
	bulkPace, urgentPace *pacer
	// free says whether neither a rate nor a cool-down limits the account.
	free func(context.Context) (bool, error)
	// inFlight has room for Concurrency calls; so many wait until one may begin.
	inFlight  chan struct{}
	waiting   atomic.Int64
	slowStart *slowStart
	health    accountHealth
	// reconciler is the provider, where it can list what it has taken; asking is held
	// while it is asked. open is for a gateway that tells by itself.
	reconciler providers.Reconciler
	listing    sync.Mutex
	open       openAttempts
}

// enter waits until another call may begin; false: stop was closed before.
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

// leave ends what enter began.
func (a *account) leave() { <-a.inFlight }

var accountName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func newAccount(rdb redis.UniversalClient, a Account) (*account, error) {
	var mistakes []error
	if !accountName.MatchString(a.Name) {
		mistakes = append(mistakes, fmt.Errorf("name %.40q must be 1 to 64 of A-Z a-z 0-9 _ -", a.Name))
	}
	if a.Provider == nil {
		return nil, errors.Join(append(mistakes, errors.New("no provider"))...)
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

// keyLife is how long a uuid surely counts as known at the gateway; 0: it has no keys.
func (a *account) keyTTL() time.Duration { return min(a.info.KeyTTL, ledger.MaxKeyAge) }

func (a *account) card(cfg Config) ledger.Card {
	return ledger.Card{Name: a.Name, Provider: a.info.Name, Info: a.info, Rate: float64(a.Rate), Burst: float64(a.Burst), Unit: a.Unit,
		Sender: a.Sender, Concurrency: a.Concurrency, Price: a.Price, OnUnknown: a.OnUnknown, Country: cfg.Country, Windows: hoursAsText(cfg.Windows)}
}

const (
	// publishEvery is well within ledger.WorkerLife.
	publishEvery = 4 * time.Second
	// balanceTimeout bounds a question for the balance.
	balanceTimeout = 10 * time.Second
)

// publish writes the account cards and that this worker serves them.
func (w *Worker) publish(ctx context.Context) error {
	var errs []error
	for _, a := range w.accounts {
		errs = append(errs, w.ledger.Publish(ctx, w.cfg.Name, a.card(w.cfg)))
	}
	errs = append(errs, w.ledger.PublishRoutes(ctx, ledgerRoutes(w.cfg.Routes)))
	return errors.Join(errs...)
}

// withdraw says that this worker serves no more. Without it the others would
// notice a little later.
func (w *Worker) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, a := range w.accounts {
		if err := w.ledger.Withdraw(ctx, w.cfg.Name, a.Name); err != nil {
			w.log.Warn().Err(err).Msg("account not withdrawn")
		}
	}
}

// askBalance asks the gateway, notes the answer, and returns it; empty if it
// cannot be had, which the log says.
func (w *Worker) askBalance(ctx context.Context, a *account) string {
	b, ok := a.Provider.(providers.Balancer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	got, err := balance(ctx, b)
	if err != nil {
		w.log.Debug().Err(err).Str("account", a.Name).Msg("balance not known")
		return ""
	}
	w.noteBalance(ctx, a, got)
	return amountText(got.Amount)
}

// amountText writes an amount with the figures it has.
func amountText(amount float64) string { return strconv.FormatFloat(amount, 'f', -1, 64) }

// noteBalance writes on the account's card what is left.
func (w *Worker) noteBalance(ctx context.Context, a *account, b providers.Balance) {
	shown := amountText(b.Amount)
	if b.Currency != "" {
		shown = b.Currency + " " + shown
	}
	if err := w.ledger.SetBalance(ctx, a.Name, shown); err != nil {
		w.log.Warn().Err(err).Str("account", a.Name).Msg("balance not noted")
	}
}

// noteBalanceIn writes down what is left according to the answer of a call, if it
// says so. It is advice, and comes after what has to be written.
func (s *batchSender) noteBalanceIn(results []providers.Result) {
	i := slices.IndexFunc(results, func(r providers.Result) bool { return r.Balance != nil })
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.noteBalance(ctx, s.acc, *results[i].Balance)
}

// balance asks a provider for its credit; a panic in it costs the answer and no more.
func balance(ctx context.Context, b providers.Balancer) (got providers.Balance, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "balance", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("%T in the provider", r)}
		}
	}()
	return b.Balance(ctx)
}

// endProbe lets another batch probe the account at once, because this one came to
// no call. If it fails the probe's time just runs out.
func (s *batchSender) endProbe() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.ledger.EndProbe(ctx, s.acc.Name); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("unused probe not given back")
	}
}
