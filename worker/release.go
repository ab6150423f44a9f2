package worker

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// giveBack ends a claim that cannot be relied on: no call is made under it.
func (s *batchSender) releaseUnused(ctx context.Context, c *ledger.Claim, units int, ahead, wait time.Duration, why error) error {
	level := zerolog.WarnLevel
	if errors.Is(why, errSuspect) {
		level = zerolog.DebugLevel // also while the pool of connections grows
	}
	s.log.WithLevel(level).Err(why).Str("account", s.acc.Name).Str("campaign", s.id).Msg("claim given back: it cannot be relied on")
	if err := s.limiter().Return(ctx, units, ahead); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("a booking could not be given back")
	}
	return s.releaseClaim(c, wait)
}

// unclaim ends a claim under which no call is made.
func (s *batchSender) releaseClaim(c *ledger.Claim, wait time.Duration) error {
	return s.endClaim("release", func(ctx context.Context) (ledger.Settled, error) {
		out, err := s.ledger.Release(ctx, c, wait, false)
		if errors.Is(err, ledger.ErrNotDurable) {
			err = nil // what is forgotten of a claim that was given back harms nobody
		}
		if err == nil {
			s.forgetAttempt(ctx, c)
		}
		return out, err
	})
}

var errSuspect = errors.New("a connection to redis was made meanwhile")

// carve gives a claim back and makes a call of its own of its first recipients.
func (s *batchSender) splitProbe(ctx context.Context, c *ledger.Claim, first, units int, ahead time.Duration) error {
	if err := s.limiter().Return(ctx, units, ahead); err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("a booking could not be given back")
	}
	return s.endClaim("split", func(ctx context.Context) (ledger.Settled, error) {
		out, err := s.ledger.SplitAfter(ctx, c, first)
		if err == nil {
			s.forgetAttempt(ctx, c)
		}
		return out, err
	})
}
