package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// reportEvery is how long an account check stays valid while calls succeed. It is also the minimum
// time between two reports of successful calls. Failures are reported at once.
const reportEvery = 20 * time.Millisecond

// accountHealth counts the successful calls of an account in this worker, and keeps what the ledger
// answered when they were last reported.
type accountHealth struct {
	mu sync.Mutex
	// calls is the number of successful calls that were not reported yet. claimed is when the
	// latest of these calls was claimed.
	calls   int
	claimed time.Time
	// reportedAt is when successful calls were last reported. open reports whether the account was
	// open then. free reports whether it had neither a rate nor a cool-down then.
	reportedAt time.Time
	open, free bool
}

// forget drops what accountHealth knows, so that the next successful call is reported at once.
func (h *accountHealth) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reportedAt, h.open, h.free = time.Time{}, false, false
}

// recentlyGood reports whether the account was open, without a rate or a cool-down, at a report
// within the last reportEvery.
func (h *accountHealth) recentlyGood() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open && h.free && time.Since(h.reportedAt) < reportEvery
}

// noteSuccess counts a successful call. It then reports all counted calls to the account, unless it
// has done so within the last reportEvery. Redis' answer to the report shows if the account is
// open.
func (s *batchSender) noteSuccess(claimed time.Time) {
	h := &s.acc.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if claimed.After(h.claimed) {
		h.claimed = claimed
	}
	if h.open && time.Since(h.reportedAt) < reportEvery {
		return
	}
	s.reportLocked(h)
}

// reportSuccesses reports successful calls that were not reported yet.
func (s *batchSender) reportSuccesses() {
	h := &s.acc.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == 0 {
		return
	}
	s.reportLocked(h)
}

// reportLocked adds the successes counted so far to the account record in Redis. The caller holds
// h.mu. A failure is only logged, because a lost report only delays changes of the circuit breaker.
func (s *batchSender) reportLocked(h *accountHealth) {
	// reportLocked must end within the margin of the lease, because the claim ends only after it.
	ctx, cancel := context.WithTimeout(context.Background(), leaseMargin/3)
	defer cancel()
	now := time.Now()
	hold, err := s.ledger.ReportCall(ctx, s.acc.Name, ledger.CallReport{Outcome: campaign.CallOK, Claimed: h.claimed, Calls: h.calls, Jitter: rand.Float64()})
	h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil && !hold.Held(), false
	if err == nil && h.open && s.acc.Rate == 0 {
		h.free, err = s.acc.free(ctx)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not report calls to their account")
	}
}

// settleAndClaimNext settles a successful call and claims the next call of the batch in one script.
// The script replaces the hold check, rate reservation and claim of the next call. done reports
// whether the settle was written. If back is not nil, that claim may exist in Redis and must be
// released after the settle.
func (s *batchSender) settleAndClaimNext(at submission, v verdict, after []*ledger.Generation) (next *submission, done bool, back *ledger.Claim) {
	if !s.canClaimNext(at, v, after) {
		return nil, false, nil
	}
	gone, version, lists := s.camp.opted.In(after[0].To)
	if len(gone) > 0 || len(lists) > 0 {
		return nil, false, nil
	}
	dials := s.restartGuard.dials.Load()
	if dials != s.restartGuard.confirmedDials.Load() {
		return nil, false, nil
	}
	ctx := context.Background() // each command has its own timeout
	if s.noteSent(ctx, at.claim, v.records) != nil {
		return nil, false, nil // the caller settles again
	}
	s.exclusionVersion = version
	start := time.Now()
	claim, ok, err := s.ledger.SettleAndClaim(ctx, at.claim, v.records, s.segmentsOf(at.gen), s.claimRequest(ctx, after[0]))
	if err != nil {
		s.log.Debug().Err(err).Str("campaign", s.id).Str("batch", s.batch).Msg("settle-and-claim failed; the call is now settled without claiming the next one")
		return nil, false, claim
	}
	if !ok {
		return nil, false, nil
	}
	s.endAttempt(ctx, at.claim, at.gen, v)
	if s.restartGuard.dials.Load() != dials {
		return nil, true, claim // the claim may have been granted by a new Redis that lacks recent settles
	}
	if s.acc.tracked() && s.ledger.BeginAttempt(ctx, s.acc.info.Fingerprint, claim.Attempt()) != nil {
		return nil, true, claim
	}
	return &submission{claim: claim, gen: after[0], start: start, look: ledger.AccountCheck{Open: true, LastAccepted: at.claim.At}}, true, nil
}

// canClaimNext reports whether the next call needs neither an account check nor a wait.
func (s *batchSender) canClaimNext(at submission, v verdict, after []*ledger.Generation) bool {
	switch {
	case v.action != actionSettle, v.outcome != campaign.CallOK, v.settleReason != campaign.SettleAnswer, v.pause != "", v.cooldown > 0, at.look.Probe:
		return false
	case len(after) == 0, !after[0].Ready, after[0].Number != 0:
		return false
	case s.draining(), s.memory.full(), s.schedule.closed(), time.Since(s.startedAt) >= sliceLength:
		return false
	case s.acc.waiting.Load() > 0: // another slot waits for this call's entry in inFlight
		return false
	}
	return s.acc.health.recentlyGood()
}
