package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// account is an Account at work: with its limiters and its provider's facts.
type account struct {
	Account
	info                providers.Info
	bulk, transactional ratelimit.Limiter
}

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
	return &account{Account: a, info: a.Provider.Info(), bulk: limiter, transactional: limiter.Transactional()}, errors.Join(mistakes...)
}

// keyLife is how long a uuid surely counts as known at the gateway; 0: it has no keys.
func (a *account) keyLife() time.Duration { return min(a.info.KeyTTL, ledger.KeyLife) }

func (a *account) card(country string) ledger.Card {
	return ledger.Card{Name: a.Name, Provider: a.info.Name, Info: a.info, Rate: float64(a.Rate), Burst: float64(a.Burst), Unit: a.Unit,
		Sender: a.Sender, Concurrency: a.Concurrency, Price: a.Price, Country: country}
}

const (
	// publishEvery is well within ledger.WorkerLife.
	publishEvery = 4 * time.Second
	balanceEvery = 5 * time.Minute
	// balanceTimeout bounds a question for the balance.
	balanceTimeout = 10 * time.Second
)

// publish writes the account cards and that this worker serves them.
func (w *Worker) publish(ctx context.Context) error {
	var errs []error
	for _, a := range w.accounts {
		errs = append(errs, w.ledger.Publish(ctx, w.cfg.Name, a.card(w.cfg.Country)))
	}
	errs = append(errs, w.ledger.PublishRoutes(ctx, w.cfg.Routes))
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

// pollBalances asks every gateway that can tell for the credit that is left.
func (w *Worker) pollBalances(ctx context.Context) error {
	for _, a := range w.accounts {
		w.askBalance(ctx, a)
	}
	return nil
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
	got, err := b.Balance(ctx)
	if err != nil {
		w.log.Debug().Err(err).Str("account", a.Name).Msg("balance not known")
		return ""
	}
	text := strconv.FormatFloat(got.Amount, 'f', -1, 64)
	shown := text
	if got.Currency != "" {
		shown = got.Currency + " " + text
	}
	if err := w.ledger.SetBalance(ctx, a.Name, shown); err != nil {
		w.log.Warn().Err(err).Str("account", a.Name).Msg("balance not noted")
	}
	return text
}

// mayUse looks whether the account is open, and probes one whose hold is over.
func (s *sending) mayUse(ctx context.Context) (ledger.Look, bool, error) {
	look, err := s.ledger.LookAt(ctx, s.acc.Name, balanceTimeout+s.acc.Timeout+leaseMargin)
	if err != nil || look.Open {
		return look, look.Open, err
	}
	if !look.Probe {
		return look, false, nil
	}
	ok, err := s.probe(ctx, look)
	return look, ok, err
}

// probe tries a held account: by its balance, which costs nothing, and where that
// cannot tell whether messages go through, by the call at hand.
func (s *sending) probe(ctx context.Context, look ledger.Look) (ok bool, err error) {
	b, can := s.acc.Provider.(providers.Balancer)
	if !can {
		return true, nil
	}
	bctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	got, err := b.Balance(bctx)
	cancel()
	report := ledger.CallReport{Went: ledger.WentHold, Reason: look.Reason, Jitter: rand.Float64()}
	if e, ok := errors.AsType[*providers.Error](err); ok {
		report.Reason, report.Code = string(e.Cause), e.Code
	} else if err == nil {
		switch providers.Cause(look.Reason) {
		case providers.CauseCredit:
			if !risen(got.Amount, look.BalanceBefore) {
				break
			}
			report.Went = ledger.WentWell
		case providers.CauseCredentials, providers.CauseConnection:
			report.Went = ledger.WentWell
		default:
			return true, nil // the gateway answers; whether it sends, a call must show
		}
	}
	hold, err := s.ledger.Report(ctx, s.acc.Name, report)
	if err != nil {
		return false, err
	}
	s.log.Info().Str("account", s.acc.Name).Str("reason", look.Reason).Bool("open", !hold.Held()).Msg("held account probed by its balance")
	return !hold.Held(), nil
}

// risen says whether there is credit, and more than when the account was held.
func risen(amount float64, before string) bool {
	was, err := strconv.ParseFloat(before, 64)
	if err != nil {
		return amount > 0
	}
	return amount > 0 && amount > was
}
