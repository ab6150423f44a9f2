package dispatch

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
)

// The type "reports" writes the results of calls to the records of their accounts. The circuit breaker
// holds an account after failures.
type reports struct {
	accounts *accounts.Store
	balances *balance.Balances
	log      zerolog.Logger
}

// The method "report" writes the result of a call to the record of its account. If Redis cannot
// store the result, the method logs the error and does not retry, because the next call reports too.
func (r reports) report(b *batch, c *ledger.Claim, g *ledger.Generation, v verdict.Verdict) {
	acc := b.acc
	if v.Outcome == campaign.CallOK && v.Cooldown <= 0 {
		r.noteSuccess(acc, c.At)
		return
	}
	// This method must return within LeaseMargin, because the claim ends only after the method has returned.
	ctx, cancel := context.WithTimeout(context.Background(), LeaseMargin*2/3)
	defer cancel()
	if v.Cooldown > 0 {
		acc.health.forget()
		if err := b.lane().Cooldown(ctx, v.Cooldown); err != nil {
			r.log.WithLevel(warnLevel(err)).Err(err).Str("account", acc.Name).Msg("could not set cool-down of account")
		}
	}
	if v.Outcome == "" {
		return
	}
	if v.Outcome == campaign.CallOK {
		r.noteSuccess(acc, c.At)
		return
	}
	r.flush(acc) // report the earlier successful calls first, so that the account gets the results in their order
	acc.health.forget()
	call := accounts.CallReport{Outcome: v.Outcome, Claimed: c.At, Reason: v.Reason, Code: v.Code, Jitter: rand.Float64()}
	if v.Outcome == campaign.CallHold && v.Reason == string(providers.CauseCredit) {
		call.Balance, call.Size = r.balances.Ask(ctx, acc.Name, acc.Gateway().Provider), unaffordableSegments(b, g, v)
	}
	hold, err := r.accounts.ReportCall(ctx, acc.Name, call)
	if err != nil {
		r.log.WithLevel(warnLevel(err)).Err(err).Str("account", acc.Name).Msg("could not report a call to its account")
		return
	}
	if hold.Held() {
		r.log.Debug().Str("account", acc.Name).Str("reason", hold.Reason).Time("until", hold.Until).Msg("account is held after this call")
	}
}

// The method "refusals" reports recipients that an account refused while it accepts nothing. It
// returns how many of these recipients may be rejected. The other recipients wait, and the refusal
// does not count as an attempt. If Redis cannot be reached, the result is 0 for a bulk campaign, and
// all refused recipients for a transactional campaign.
func (r reports) refusals(b *batch, c *ledger.Claim, v verdict.Verdict) (granted int) {
	ctx, cancel := context.WithTimeout(context.Background(), LeaseMargin/3)
	defer cancel()
	bulk := b.camp.Spec.Class != campaign.Transactional
	granted, hold, err := r.accounts.ReportRefusal(ctx, b.acc.Name, accounts.Refusal{Recipients: v.Refusals, Bulk: bulk, Claimed: c.At,
		Code: v.RefusalCode(), ProvenFor: verdict.ProvenFor, Jitter: rand.Float64()})
	switch {
	case err != nil:
		r.log.WithLevel(warnLevel(err)).Err(err).Str("account", b.acc.Name).Msg("could not count refused recipients against the limit of their account")
		if !bulk {
			granted = v.Refusals
		}
	case hold.Reason == accounts.HoldNothingAccepted:
		r.log.Debug().Str("account", b.acc.Name).Str("reason", hold.Reason).Time("until", hold.Until).
			Msg("account is held for bulk campaigns after this call")
	}
	return granted
}

// unaffordableSegments returns how many segments the credit could not pay for. If the call was
// accepted in part, these are the segments of one message. Otherwise these are the segments of the
// whole call.
func unaffordableSegments(b *batch, g *ledger.Generation, v verdict.Verdict) int {
	n := len(g.To)
	if slices.ContainsFunc(v.Records, func(r campaign.Record) bool { return r.Status == campaign.Accepted }) {
		n = 1
	}
	return n * max(1, b.segmentsOf(g))
}

// noteSuccess counts a successful call. If the last report is older than reportEvery, it reports
// all counted calls to the account. Redis' answer to the report shows whether the account is open.
func (r reports) noteSuccess(acc *Account, claimed time.Time) {
	h := &acc.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if claimed.After(h.claimed) {
		h.claimed = claimed
	}
	if h.open && time.Since(h.reportedAt) < reportEvery {
		return
	}
	r.reportLocked(acc, h)
}

// The method "flush" reports successful calls that were not reported yet.
func (r reports) flush(acc *Account) {
	h := &acc.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == 0 {
		return
	}
	r.reportLocked(acc, h)
}

// reportLocked adds the successes counted so far to the account record in Redis. The caller holds
// h.mu. A failure is only logged, because a lost report only delays changes of the circuit breaker.
func (r reports) reportLocked(acc *Account, h *health) {
	// reportLocked must return within LeaseMargin, because the claim ends only after reportLocked has
	// returned.
	ctx, cancel := context.WithTimeout(context.Background(), LeaseMargin/3)
	defer cancel()
	now := time.Now()
	hold, err := r.accounts.ReportCall(ctx, acc.Name, accounts.CallReport{Outcome: campaign.CallOK, Claimed: h.claimed, Calls: h.calls, Jitter: rand.Float64()})
	h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil && !hold.Held(), false
	if err == nil && h.open && !acc.limited() {
		h.free, err = acc.free(ctx)
	}
	if err != nil {
		r.log.WithLevel(warnLevel(err)).Err(err).Str("account", acc.Name).Msg("could not report calls to their account")
	}
}
