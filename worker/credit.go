package worker

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

const (
	// balanceTick is how often the worker checks which balances are due. A balance is due every
	// balanceEvery. While the account is held for credit, its balance is due at each tick, even if
	// no work waits.
	balanceTick  = 30 * time.Second
	balanceEvery = 5 * time.Minute
)

// pollBalances returns a function that requests the balances that are due. The first call of that
// function requests all balances. A balance that another worker has read recently is not due.
func (w *Worker) pollBalances() func(context.Context) error {
	first := true
	return func(ctx context.Context) error {
		now, err := w.ledger.Now(ctx)
		if err != nil {
			return err
		}
		for _, a := range w.accounts {
			known, err := w.ledger.Account(ctx, a.Name)
			if err != nil && !errors.Is(err, ledger.ErrNoAccount) {
				return err
			}
			every := balanceEvery
			if known.Hold.Reason == string(providers.CauseCredit) {
				every = balanceTick
			}
			if first || now.Sub(known.BalanceAt) > every-balanceTick/2 {
				w.askBalance(ctx, a)
			}
		}
		first = false
		return nil
	}
}

// checkAccount reports whether the account may be used. If the time of the account's hold has
// passed, it lets this call probe the account. most is the maximum number of recipients of the
// probe; 0 means no limit.
func (s *batchSender) checkAccount(ctx context.Context, g *ledger.Generation) (look ledger.AccountCheck, most int, ok bool, err error) {
	look, err = s.ledger.CheckAccount(ctx, s.acc.Name, balanceTimeout+s.acc.Timeout+leaseMargin)
	if err != nil || look.Open || !look.Probe {
		return look, 0, look.Open, err
	}
	most, ok, err = s.probe(ctx, look, g)
	return look, most, ok, err
}

// A held account whose balance looks too low is still probed with a call now and then. The reported
// balance may be wrong or missing for ever, and a hold must not last for ever. callProbeAfter is
// how long a hold must last before the first such call. For a credit hold, the delay to the next
// call doubles each time, up to callProbeEvery.
const (
	callProbeAfter = time.Minute
	callProbeEvery = 15 * time.Minute
)

// probe reports whether this call may probe a held account. most is the maximum number of
// recipients of the probe (0: no limit). probe requests the balance first, because a balance
// request costs nothing and may make the call unnecessary. Only a call can show that the gateway
// accepts messages.
func (s *batchSender) probe(ctx context.Context, look ledger.AccountCheck, g *ledger.Generation) (most int, ok bool, err error) {
	if s.acc.info.KeyTTL == 0 {
		// At a gateway without keys the outcome of the probe may stay unknown, so risk only one
		// recipient.
		most = 1
	}
	b, can := s.acc.Provider.(providers.Balancer)
	if !can {
		return most, true, nil
	}
	// Extend the watch first, or the sweeper would take this worker for dead.
	if err := s.watchIn(ctx, balanceTimeout+wakeWatch); err != nil {
		return 0, false, err
	}
	bctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	got, err := balance(bctx, b)
	cancel()
	credit := providers.Cause(look.Reason) == providers.CauseCredit
	report := ledger.CallReport{Outcome: campaign.CallHold, Reason: look.Reason, Jitter: rand.Float64()}
	switch e, isError := errors.AsType[*providers.Error](err); {
	case isError && e != nil:
		report.Reason, report.Code, credit = string(e.Cause), e.Code, false
	case err != nil:
		credit = false
	default:
		s.noteBalance(ctx, s.acc, got)
		report.Balance = amountText(got.Amount)
		if !credit {
			return most, true, nil
		}
		if n := s.affordableRecipients(got, look, g); n > 0 {
			// If the balance did not rise, a call with n recipients is safe even without keys: the
			// gateway has just answered a larger one. If the balance rose, the usual limit of a
			// probe applies.
			if balanceRose(got.Amount, look.BalanceBefore) && most > 0 {
				n = most
			}
			return n, true, nil
		}
	}
	a, err := s.ledger.Account(ctx, s.acc.Name)
	if err != nil {
		return 0, false, err
	}
	if !a.Hold.Held() || mayTryDespiteBalance(look, a.Hold, credit) {
		if credit {
			most = 1
		}
		return most, true, nil
	}
	if report.Reason == a.Hold.Reason {
		report.Code = cmp.Or(report.Code, a.Hold.Code)
	}
	hold, err := s.ledger.ReportCall(ctx, s.acc.Name, report)
	if err != nil {
		return 0, false, err
	}
	s.log.Info().Str("account", s.acc.Name).Str("reason", report.Reason).Time("until", hold.Until).Msg("account stays held after its balance was read")
	return 0, !hold.Held(), nil
}

// mayTryDespiteBalance reports whether a held account may be probed with a call although the
// balance looks too low.
func mayTryDespiteBalance(look ledger.AccountCheck, h ledger.Hold, credit bool) bool {
	if !credit {
		return look.Until.Sub(h.Since) > callProbeAfter
	}
	last := look.RefusedAt
	if last.IsZero() {
		last = h.Since
	}
	return look.Until.Sub(last) > min(max(callProbeAfter, last.Sub(h.Since)), callProbeEvery)
}

// anySize is the number of recipients that stands for no limit.
const anySize = 1 << 30

// affordableRecipients returns the maximum number of recipients of a call at the balance b, for an
// account that is held for credit. It returns 0 if no call may be tried. A balance that was too low
// for a large call may suffice for a smaller one. If the price is known, the limit is what the
// balance pays for. If the price is unknown, or a call within that limit was refused, the limit is
// half of the size that was refused.
func (s *batchSender) affordableRecipients(b providers.Balance, look ledger.AccountCheck, g *ledger.Generation) int {
	if b.Amount <= 0 {
		return 0
	}
	most := anySize
	if cost, ok := ledger.SegmentCost(b, s.acc.Price); ok && cost > 0 {
		most = int(min(b.Amount/cost, anySize))
	}
	if !balanceRose(b.Amount, look.BalanceBefore) && most >= look.Refused {
		most = look.Refused / 2
	}
	return most / max(1, s.segmentsOf(g))
}

// balanceRose reports whether amount is positive and higher than the balance before, which was read
// when the account was held.
func balanceRose(amount float64, before string) bool {
	was, err := strconv.ParseFloat(before, 64)
	if err != nil {
		return amount > 0
	}
	return amount > 0 && amount > was
}

// unaffordableSegments returns how many segments the credit did not suffice for. If the call was
// accepted in part, these are the segments of one message, otherwise those of the whole call.
func (s *batchSender) unaffordableSegments(g *ledger.Generation, v verdict) int {
	n := len(g.To)
	if slices.ContainsFunc(v.records, func(r campaign.Record) bool { return r.Status == campaign.Accepted }) {
		n = 1
	}
	return n * max(1, s.segmentsOf(g))
}
