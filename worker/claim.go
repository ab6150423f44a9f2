package worker

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
)

// claim claims a generation in the ledger, so that this worker may submit it. If the account is
// tracked, claim also registers the attempt. If it returns both a claim and an error, the caller
// must release the claim.
func (s *batchSender) claim(ctx context.Context, g *ledger.Generation) (*ledger.Claim, error) {
	var err error
	if s.dials, err = s.confirmRedis(ctx); err != nil {
		return nil, err
	}
	s.restartGuard.inFlight.Add(1)
	s.countedInFlight = true
	c, err := s.ledger.Claim(ctx, s.claimRequest(ctx, g))
	if err == nil && c.Result == ledger.ClaimGranted && s.acc.tracked() {
		err = s.ledger.BeginAttempt(ctx, s.acc.info.Fingerprint, c.Attempt())
	}
	return c, err
}

func (s *batchSender) claimRequest(ctx context.Context, g *ledger.Generation) ledger.ClaimRequest {
	return ledger.ClaimRequest{ID: s.id, Batch: s.batch, Wake: s.pointer.Wake, Gen: g,
		IdempotencyKey: s.idempotencyKey(g), Login: s.acc.info.Fingerprint, KeyTTL: s.acc.keyTTL(), Lease: s.acc.Timeout + leaseMargin,
		Open: s.schedule.open(), OpenBatchLimit: s.openBatchLimit(ctx, s.acc.Name), Exclusions: s.exclusionVersion, Resend: s.resends()}
}

// If claim counted its claim as in flight, releaseInFlight ends that. The caller makes no more
// calls under that claim.
func (s *batchSender) releaseInFlight() {
	if s.countedInFlight {
		s.countedInFlight = false
		s.restartGuard.inFlight.Add(-1)
	}
}

// claimExpectingRefusal requests a claim that the ledger will certainly refuse, and acts on the
// refusal. The refusal states why the generation may not be submitted, and until when. It may also
// end a doubtful call.
func (s *batchSender) claimExpectingRefusal(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	defer s.releaseInFlight()
	claim, err := s.claim(ctx, g)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	return s.refused(ctx, g, claim)
}

// resends reports whether a recipient whose outcome is unknown is submitted once more. The plan
// snapshot decides that. At a gateway with idempotency keys the result is always false. There the
// worker repeats the call under the same key, which is safe and reveals the outcome.
func (s *batchSender) resends() bool {
	n := planning.AccountNumber(s.camp.snapshot, s.acc.Name)
	return n >= 0 && s.camp.snapshot.Accounts[n].Resend && s.acc.info.KeyTTL == 0
}
