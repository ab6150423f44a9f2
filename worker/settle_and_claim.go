package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// wellEvery is how long a look at an account is good for where one good call follows
// another, and how often at most an account is told of good calls. What is bad is told at
// once.
const reportEvery = 20 * time.Millisecond

// health is what a worker knows of an account while calls go well.
type accountHealth struct {
	mu sync.Mutex
	// calls went well and the account has not been told, the last was claimed at claimed.
	calls   int
	claimed time.Time
	// told is when the account was told last: it was open then, if open, and without a rate
	// or a cool-down, if free.
	reportedAt time.Time
	open, free bool
}

// forget has the next good call told at once; until then nothing is known.
func (h *accountHealth) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reportedAt, h.open, h.free = time.Time{}, false, false
}

// good says whether the account was open, and nothing limited it, a moment ago.
func (h *accountHealth) recentlyGood() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open && h.free && time.Since(h.reportedAt) < reportEvery
}

// wentWell notes a good call, and tells the account of it and others unless it has just
// been told; with that it looks whether it is open.
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

// tellWell tells the account of good calls that it does not know of yet.
func (s *batchSender) reportSuccesses() {
	h := &s.acc.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == 0 {
		return
	}
	s.reportLocked(h)
}

// tell is for whoever holds the lock. It is advice, as report is.
func (s *batchSender) reportLocked(h *accountHealth) {
	// Within the lease's margin: the claim is only ended afterwards.
	ctx, cancel := context.WithTimeout(context.Background(), leaseMargin/3)
	defer cancel()
	now := time.Now()
	hold, err := s.ledger.ReportCall(ctx, s.acc.Name, ledger.CallReport{Outcome: ledger.CallOK, Claimed: h.claimed, Calls: h.calls, Jitter: rand.Float64()})
	h.calls, h.reportedAt, h.open, h.free = 0, now, err == nil && !hold.Held(), false
	if err == nil && h.open && s.acc.Rate == 0 {
		h.free, err = s.acc.free(ctx)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("account not told how calls went")
	}
}

// goOn settles a call that went well and claims the next with it, if nothing speaks
// against its being made at once: it is the look, the turn and the claim of that in one.
// done: the settle is written. back is a claim that was made, perhaps, and must be given
// back once the settle is written.
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
	ctx := context.Background() // each command has a bound of its own
	if s.noteSent(ctx, at.claim, v.records) != nil {
		return nil, false, nil // it is said again, with the settle
	}
	s.exclusionVersion = version
	start := time.Now()
	claim, ok, err := s.ledger.SettleAndClaim(ctx, at.claim, v.records, s.segmentsOf(at.gen), s.claimRequest(ctx, after[0]))
	if err != nil {
		s.log.Debug().Err(err).Str("campaign", s.id).Str("batch", s.batch).Msg("a settle and the next claim: one after the other")
		return nil, false, claim
	}
	if !ok {
		return nil, false, nil
	}
	s.endAttempt(ctx, at.claim, at.gen, v)
	if s.restartGuard.dials.Load() != dials {
		return nil, true, claim // perhaps of a Redis that does not know yet what was settled
	}
	if s.acc.tracked() && s.ledger.BeginAttempt(ctx, s.acc.info.Fingerprint, claim.Attempt()) != nil {
		return nil, true, claim
	}
	return &submission{claim: claim, gen: after[0], start: start, look: ledger.AccountCheck{Open: true, LastAccepted: at.claim.At}}, true, nil
}

// mayGoOn says whether nothing has to be asked or waited for before the next call.
func (s *batchSender) canClaimNext(at submission, v verdict, after []*ledger.Generation) bool {
	switch {
	case v.action != actionSettle, v.outcome != ledger.CallOK, v.settleReason != ledger.SettleAnswer, v.pause != "", v.cooldown > 0, at.look.Probe:
		return false
	case len(after) == 0, !after[0].Ready, after[0].Number != 0:
		return false
	case s.draining(), s.memory.full(), s.schedule.closed(), time.Since(s.startedAt) >= sliceLength:
		return false
	case s.acc.waiting.Load() > 0: // the place is somebody else's
		return false
	}
	return s.acc.health.recentlyGood()
}
