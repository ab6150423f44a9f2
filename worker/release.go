package worker

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// releaseUnused releases a claim that cannot be relied on, and returns the rate reserved for the
// claim. No call was made under that claim.
func (s *batchSender) releaseUnused(ctx context.Context, c *ledger.Claim, units int, ahead, wait time.Duration, why error) error {
	level := zerolog.WarnLevel
	if errors.Is(why, errSuspect) {
		level = zerolog.DebugLevel // this also happens while the connection pool grows
	}
	s.log.WithLevel(level).Err(why).Str("account", s.acc.Name).Str("campaign", s.id).Msg("claim released: it cannot be relied on")
	if err := s.limiter().Return(ctx, units, ahead); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not return reserved rate")
	}
	return s.releaseClaim(c, wait)
}

// releaseClaim releases a claim under which no call was made.
func (s *batchSender) releaseClaim(c *ledger.Claim, wait time.Duration) error {
	return s.endClaim("release", func(ctx context.Context) (ledger.Settled, error) {
		out, err := s.ledger.Release(ctx, c, wait, false)
		if errors.Is(err, ledger.ErrNotDurable) {
			err = nil // a release that Redis forgets does no harm
		}
		if err == nil {
			s.forgetAttempt(ctx, c)
		}
		return out, err
	})
}

var errSuspect = errors.New("a new connection to redis was made during the claim")

// splitProbe releases a claim and splits the call. Its first recipients become a separate call,
// which serves as a small probe.
func (s *batchSender) splitProbe(ctx context.Context, c *ledger.Claim, first, units int, ahead time.Duration) error {
	if err := s.limiter().Return(ctx, units, ahead); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not return reserved rate")
	}
	return s.endClaim("split", func(ctx context.Context) (ledger.Settled, error) {
		out, err := s.ledger.SplitAfter(ctx, c, first)
		if err == nil {
			s.forgetAttempt(ctx, c)
		}
		return out, err
	})
}
