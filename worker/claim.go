package worker

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
)

// claim requests leave to submit a generation, and registers the attempt if the account is tracked.
// If it returns a claim together with an error, the caller must release the claim.
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

// releaseInFlight ends what claim began: the claim no longer counts as in flight. It is called once
// the claim is settled or released.
func (s *batchSender) releaseInFlight() {
	if s.countedInFlight {
		s.countedInFlight = false
		s.restartGuard.inFlight.Add(-1)
	}
}

// claimExpectingRefusal claims a generation that certainly may not be submitted now, and acts on
// the refusal. The refusal states why and until when, and it may end a doubtful call.
func (s *batchSender) claimExpectingRefusal(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	defer s.releaseInFlight()
	claim, err := s.claim(ctx, g)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	return s.refused(ctx, g, claim)
}

// resends reports whether a recipient whose outcome is unknown is submitted once more. The plan
// snapshot decides that. At a gateway with idempotency keys the answer is always no: repeating the
// call under the same key is safe and finds out.
func (s *batchSender) resends() bool {
	n := planning.AccountNumber(s.camp.snapshot, s.acc.Name)
	return n >= 0 && s.camp.snapshot.Accounts[n].Resend && s.acc.info.KeyTTL == 0
}
