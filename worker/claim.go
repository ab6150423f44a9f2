package worker

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
)

// claim asks to submit a generation. A claim beside an error can be given back.
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

// letGo ends what a claim has begun, once it has been settled or given back.
func (s *batchSender) releaseInFlight() {
	if s.countedInFlight {
		s.countedInFlight = false
		s.restartGuard.inFlight.Add(-1)
	}
}

// ask claims what a claim is never told to go on with, for what it is told instead.
func (s *batchSender) claimExpectingRefusal(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	defer s.releaseInFlight()
	claim, err := s.claim(ctx, g)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	return s.refused(ctx, g, claim)
}

// resends says whether a recipient whose outcome is unknown is submitted once more, as
// was frozen when planning began. With a key there is a better way to ask again.
func (s *batchSender) resends() bool {
	n := planning.AccountNumber(s.camp.snapshot, s.acc.Name)
	return n >= 0 && s.camp.snapshot.Accounts[n].Resend && s.acc.info.KeyTTL == 0
}
