package worker

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

const (
	// balanceTick is how often the worker checks which balances are due. A balance is due every
	// balanceEvery, and at each tick while the account is held for credit, even if no work waits.
	balanceTick  = 30 * time.Second
	balanceEvery = 5 * time.Minute
)

// pollBalances returns a function that requests the balances that are due. Its first call requests
// all of them. A balance that another worker has read recently is not due.
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

// checkAccount reports whether the account may be used. If its hold is over, it makes a probe of
// this call. most is the maximum number of recipients of the probe; 0 means no limit.
func (s *batchSender) checkAccount(ctx context.Context, g *ledger.Generation) (look ledger.AccountCheck, most int, ok bool, err error) {
	look, err = s.ledger.CheckAccount(ctx, s.acc.Name, balanceTimeout+s.acc.Timeout+leaseMargin)
	if err != nil || look.Open || !look.Probe {
		return look, 0, look.Open, err
	}
	most, ok, err = s.probe(ctx, look, g)
	return look, most, ok, err
}

// A held account whose balance looks too low is still probed with a call now and then: the reported
// balance may be wrong or missing for ever, and a hold must not last for ever. callProbeAfter is
// how long a hold must last before the first such call. For a credit hold, the delay to the next
// one doubles each time, up to callProbeEvery.
const (
	callProbeAfter = time.Minute
	callProbeEvery = 15 * time.Minute
)

// probe reports whether this call may probe a held account, and with at most how many recipients
// (0: no limit). It requests the balance first, because that costs nothing and may make the call
// unnecessary. Only a call can show that messages go through.
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
	report := ledger.CallReport{Outcome: ledger.CallHold, Reason: look.Reason, Jitter: rand.Float64()}
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
			// If the balance did not rise, a call of n is safe even without keys, because the
			// gateway has just answered one. If it rose, the usual size of a probe applies.
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

// mayTryDespiteBalance reports whether a call may be tried although the balance is too low.
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

// anySize stands for a call without a size limit.
const anySize = 1 << 30

// affordableRecipients returns with how many recipients a call may be tried at a balance b, for an
// account that is held for credit; 0 means none. A balance that was too low for a large call may
// suffice for a smaller one. If the price is known, the result is what the balance pays for.
// Otherwise, or if a call of that size was refused, it is half of the refused size.
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

// balanceRose reports whether the balance is positive and higher than when the account was held.
func balanceRose(amount float64, before string) bool {
	was, err := strconv.ParseFloat(before, 64)
	if err != nil {
		return amount > 0
	}
	return amount > 0 && amount > was
}

// unaffordableSegments returns how many segments the credit did not suffice for: those of the whole
// call, or those of one message if the call was accepted in part.
func (s *batchSender) unaffordableSegments(g *ledger.Generation, v verdict) int {
	n := len(g.To)
	if slices.ContainsFunc(v.records, func(r ledger.Record) bool { return r.Status == ledger.Accepted }) {
		n = 1
	}
	return n * max(1, s.segmentsOf(g))
}
