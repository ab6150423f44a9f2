package dispatch

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/providers"
)

// probes has the methods that decide whether a call may be made at an account. At a held account,
// these methods decide whether the call may probe the account.
type probes struct {
	accounts *accounts.Store
	balances *balance.Balances
	watches  watches
	log      zerolog.Logger
}

// The method "check" reports whether the account may be used. If the account's hold has expired, the
// method may let this call probe the account. The result "most" is the maximum number of recipients of
// the probe; 0 means no limit.
func (p probes) check(ctx context.Context, b *batch, g *ledger.Generation) (look accounts.Check, most int, ok bool, err error) {
	look, err = p.accounts.Check(ctx, b.acc.Name, b.camp.Spec.Class, balance.Timeout+b.acc.lease())
	if err != nil || look.Open || !look.Probe {
		return look, 0, look.Open, err
	}
	if look.Reason == accounts.HoldNothingAccepted {
		// This hold stops bulk campaigns only, and the balance is not its cause. So no balance is
		// requested: a failed request must not hold the account for transactional campaigns too.
		return look, 1, true, nil
	}
	most, ok, err = p.probe(ctx, b, look, g)
	return look, most, ok, err
}

// If the balance of a held account looks too low, the account is still probed with a call from time
// to time. The reported balance may stay wrong or missing, and a hold must not last for ever.
// callProbeAfter is how long a hold must last before the first such call. For a credit hold, the
// delay to the next call doubles each time, up to callProbeEvery.
const (
	callProbeAfter = time.Minute
	callProbeEvery = 15 * time.Minute
)

// The method "probe" reports whether this call may probe a held account. The result "most" is the
// maximum number of recipients of the probe (0: no limit). The method requests the balance first,
// because a balance request is free and may show that a call is useless. But only a call can show that
// the gateway accepts messages.
func (p probes) probe(ctx context.Context, b *batch, look accounts.Check, g *ledger.Generation) (most int, ok bool, err error) {
	if b.acc.Info.KeyTTL == 0 {
		// At a gateway without idempotency keys the outcome of the probe may stay unknown. So
		// only one recipient is risked.
		most = 1
	}
	gateway, can := b.acc.Gateway().Provider.(providers.Balancer)
	if !can {
		return most, true, nil
	}
	// Extend the watch first, so that the sweeper does not treat this worker as dead.
	if err := p.watches.extend(ctx, b, balance.Timeout+wake.Watch); err != nil {
		return 0, false, err
	}
	bctx, cancel := context.WithTimeout(ctx, balance.Timeout)
	got, err := balance.Request(bctx, gateway)
	cancel()
	credit := providers.Cause(look.Reason) == providers.CauseCredit
	report := accounts.CallReport{Outcome: campaign.CallHold, Reason: look.Reason, Jitter: rand.Float64()}
	switch e, isError := errors.AsType[*providers.Error](err); {
	case isError && e != nil:
		report.Reason, report.Code, credit = string(e.Cause), e.Code, false
	case err != nil:
		credit = false
	default:
		p.balances.Store(ctx, b.acc.Name, got)
		report.Balance = balance.Text(got.Amount)
		if !credit {
			return most, true, nil
		}
		if n := affordableRecipients(b, got, look, g); n > 0 {
			// If the balance did not rise, a call with n recipients is safe even without
			// idempotency keys, because the gateway has just answered a larger call. If the
			// balance rose, the usual limit of a probe applies.
			if balanceRose(got.Amount, look.BalanceBefore) && most > 0 {
				n = most
			}
			return n, true, nil
		}
	}
	a, err := p.accounts.Account(ctx, b.acc.Name)
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
	hold, err := p.accounts.ReportCall(ctx, b.acc.Name, report)
	if err != nil {
		return 0, false, err
	}
	p.log.Debug().Str("account", b.acc.Name).Str("reason", report.Reason).Time("until", hold.Until).Msg("account stays held after its balance was read")
	return 0, !hold.Held(), nil
}

// mayTryDespiteBalance reports whether a held account may be probed with a call although the
// balance looks too low.
func mayTryDespiteBalance(look accounts.Check, h accounts.Hold, credit bool) bool {
	if !credit {
		return look.Until.Sub(h.Since) > callProbeAfter
	}
	last := look.RefusedAt
	if last.IsZero() {
		last = h.Since
	}
	return look.Until.Sub(last) > min(max(callProbeAfter, last.Sub(h.Since)), callProbeEvery)
}

// anySize is a number of recipients that means no limit.
const anySize = 1 << 30

// affordableRecipients returns the maximum number of recipients of a call at the given credit, for
// an account that is held for credit. It returns 0 if no call may be tried. A balance that was too
// low for a large call may be enough for a smaller call. If the price is known, the limit is the
// number of recipients that the balance can pay for. If the price is unknown, or if a call within
// that limit was refused, the limit is half the size of the refused call.
func affordableRecipients(b *batch, credit providers.Balance, look accounts.Check, g *ledger.Generation) int {
	if credit.Amount <= 0 {
		return 0
	}
	most := anySize
	if cost, ok := accounts.SegmentCost(credit, b.acc.Gateway().Price); ok && cost > 0 {
		most = int(min(credit.Amount/cost, anySize))
	}
	if !balanceRose(credit.Amount, look.BalanceBefore) && most >= look.Refused {
		most = look.Refused / 2
	}
	return most / max(1, b.segmentsOf(g))
}

// balanceRose reports whether amount is positive and higher than the earlier balance. The parameter
// "before" is the earlier balance, which was read when the account was held.
func balanceRose(amount float64, before string) bool {
	was, err := strconv.ParseFloat(before, 64)
	if err != nil {
		return amount > 0
	}
	return amount > 0 && amount > was
}

// The method "end" gives back a probe that was granted to a batch but not used. Another batch can
// then probe the held account at once. If the write fails, the probe expires by itself.
func (p probes) end(acc *Account) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.accounts.EndProbe(ctx, acc.Name); err != nil {
		p.log.WithLevel(warnLevel(err)).Err(err).Str("account", acc.Name).Msg("could not release an unused probe; the probe expires by itself")
	}
}
