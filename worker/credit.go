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
	// balanceTick is how often it is looked whether a balance is due: it is asked every
	// balanceEvery, and of an account that is held for credit at each tick, also when
	// nothing waits for it.
	balanceTick  = 30 * time.Second
	balanceEvery = 5 * time.Minute
)

// pollBalances returns what asks every gateway that can tell for the credit that is
// left: at first in any case, then where what is known is old, whoever has asked.
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

// mayUse looks whether the account is open, and probes one whose hold is over. most is
// how many recipients a probe may have; 0: any number.
func (s *batchSender) checkAccount(ctx context.Context, g *ledger.Generation) (look ledger.AccountCheck, most int, ok bool, err error) {
	look, err = s.ledger.CheckAccount(ctx, s.acc.Name, balanceTimeout+s.acc.Timeout+leaseMargin)
	if err != nil || look.Open || !look.Probe {
		return look, 0, look.Open, err
	}
	most, ok, err = s.probe(ctx, look, g)
	return look, most, ok, err
}

// callProbeAfter is how long a hold must have lasted before a call is tried although
// the balance speaks against it: the gateway's word on the balance may be wrong or
// missing for ever, and a hold must not be. For want of credit the next such try is as
// long again after it, up to callProbeEvery.
const (
	callProbeAfter = time.Minute
	callProbeEvery = 15 * time.Minute
)

// probe says whether the call at hand may try a held account, and with how many
// recipients at most (0: all). The balance, which costs nothing, is asked first and can
// spare the call; that messages go through only a call can show.
func (s *batchSender) probe(ctx context.Context, look ledger.AccountCheck, g *ledger.Generation) (most int, ok bool, err error) {
	if s.acc.info.KeyTTL == 0 {
		// What a probe comes to at a gateway without keys may stay unknown: of one recipient,
		// and not of a whole call.
		most = 1
	}
	b, can := s.acc.Provider.(providers.Balancer)
	if !can {
		return most, true, nil
	}
	// Asking in silence would look like being dead.
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
			// Of what is left, a call of many also at a gateway without keys: it has just answered one.
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
	s.log.Info().Str("account", s.acc.Name).Str("reason", report.Reason).Time("until", hold.Until).Msg("still held: its balance was asked")
	return 0, !hold.Held(), nil
}

// despite says whether a call may be tried although the balance speaks against it.
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

// anySize is a call of as many recipients as there are.
const anySize = 1 << 30

// affords is how many recipients a call may be tried with at a balance, of an account
// that is held for want of credit; 0: none. What is left when a call of many was refused
// may do for a smaller one: for as many as it pays for where that can be told, or for
// half as many, until there is nobody to take away any more.
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

// risen says whether there is credit, and more than when the account was held.
func balanceRose(amount float64, before string) bool {
	was, err := strconv.ParseFloat(before, 64)
	if err != nil {
		return amount > 0
	}
	return amount > 0 && amount > was
}

// wanting is how many segments there was too little credit for, of a call; of one that
// was taken in part, not even for one more message.
func (s *batchSender) unaffordableSegments(g *ledger.Generation, v verdict) int {
	n := len(g.To)
	if slices.ContainsFunc(v.records, func(r ledger.Record) bool { return r.Status == ledger.Accepted }) {
		n = 1
	}
	return n * max(1, s.segmentsOf(g))
}
