package dispatch

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/internal/wake"
)

// errGranted means that the ledger has granted a claim that it was expected to refuse.
var errGranted = errors.New("a claim was granted that was expected to be refused")

// claimExpectingRefusal requests a claim that the ledger will refuse, and handles the refusal. The
// refusal states why the generation may not be submitted, and until when. claimExpectingRefusal may
// also end a doubtful call. It releases a claim that was, or may have been, granted, because it makes no
// call.
func (s *Sender) claimExpectingRefusal(ctx context.Context, b *batch, g *ledger.Generation, open []ledger.Span, exclusions string) (outcome, error) {
	req, err := s.requestClaim(ctx, b, g, open, exclusions)
	defer req.leave()
	if req.claim != nil && (err != nil || req.claim.Result == ledger.ClaimGranted) {
		s.logUnused(b, cmp.Or(err, errGranted))
		return reload, s.endings.release(b, req.claim, verdict.BackOff(1))
	}
	if err != nil {
		return leave, err
	}
	return s.refused(ctx, b, g, req)
}

// The method "refused" handles a claim that the ledger refused.
func (s *Sender) refused(ctx context.Context, b *batch, g *ledger.Generation, req requested) (outcome, error) {
	c := req.claim
	switch c.Result {
	case ledger.ClaimBusy, ledger.ClaimLater:
		return postponed(c.Until.Add(50 * time.Millisecond)), nil
	case ledger.ClaimClosed:
		return postponed(c.Until.Add(rand.N(openingSpread))), nil
	case ledger.ClaimPaused:
		return s.whilePaused(ctx, b)
	case ledger.ClaimCanary:
		return leave, s.watches.extend(ctx, b, wake.HeldWatch)
	case ledger.ClaimChanged:
		return reload, nil
	case ledger.ClaimExcluded:
		return reload, b.camp.Opted.Read(ctx, s.Ledger, b.id)
	case ledger.ClaimStale:
		return leave, nil
	case ledger.ClaimDoubtful:
		if c.Why == ledger.DoubtNoKey && b.acc.Tracker.Searches() {
			return s.lookUp(ctx, b, g, req)
		}
		return reload, s.endings.abandon(b, c, g, c.Why)
	case ledger.ClaimStopped:
		if c.Doubt {
			return reload, s.endings.abandon(b, c, g, c.Why)
		}
		return reload, nil
	}
	return tryOthers, nil
}

// whilePaused leaves the batch until the campaign is resumed. Resuming makes the batch due at once.
// If the campaign was resumed after the claim was refused, the batch is loaded again.
func (s *Sender) whilePaused(ctx context.Context, b *batch) (outcome, error) {
	if err := s.watches.extend(ctx, b, time.Minute); err != nil {
		return leave, err
	}
	sum, err := s.Ledger.Summary(ctx, b.id)
	if err == nil && sum.PausedBy == "" {
		return reload, nil
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	return leave, err
}
