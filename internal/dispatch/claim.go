package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/verdict"
)

// grant is the result of the method "claim". If ok is true, the slot may make the call. The settle of
// this call may claim the next call, and so on. After the last of these calls, the slot must call the
// function "leave". If ok is false, the slot must not make the call, and the field "otherwise" defines
// how the slot continues.
type grant struct {
	ok         bool
	otherwise  outcome
	submission submission
	leave      func()
}

// submission is a call whose claim was granted.
type submission struct {
	claim *ledger.Claim
	gen   *ledger.Generation
	look  accounts.Check
	start time.Time // when the time limit of the call began to run
}

// The method "claim" claims a generation for its reserved turn. If the claim was granted but
// cannot be relied on, the method releases it.
func (s *Sender) claim(ctx context.Context, b *batch, g *ledger.Generation, a admission, r reservation) (granted grant, err error) {
	if waited, err := s.confirmRedis(ctx); err != nil {
		return grant{}, err
	} else if waited {
		return grant{otherwise: reload}, b.lane().Return(ctx, r.units, time.Until(r.turn))
	}
	// The time limit of the call starts before the first try of the claim. If the answer to the
	// claim is late, less time is left for the call. So the call ends within its lease.
	start := time.Now()
	req, err := s.requestClaim(ctx, b, g, b.schedule.open(), a.exclusions)
	defer func() {
		if !granted.ok {
			req.leave()
		}
	}()
	claim := req.claim
	switch {
	case claim != nil && err != nil:
		return grant{otherwise: reload}, s.releaseUnused(ctx, b, claim, r, verdict.BackOff(2), err)
	case err != nil:
		return grant{}, err
	case claim.Result == ledger.ClaimGranted && !s.Guard.Unchanged(req.dials):
		// a new Redis that lacks recent settles may have granted the claim
		return grant{otherwise: reload}, s.releaseUnused(ctx, b, claim, r, 0, errSuspect)
	case claim.Result != ledger.ClaimGranted:
		s.giveBackRate(ctx, b, r)
		out, err := s.refused(ctx, b, g, req)
		return grant{otherwise: out}, err
	case a.look.Probe && a.probeLimit > 0 && len(g.To) > a.probeLimit && !claim.Doubt:
		return grant{otherwise: reload}, s.splitProbe(ctx, b, claim, a.probeLimit, r)
	}
	b.acc.Meter.Claimed(time.Since(start))
	return grant{ok: true, submission: submission{claim: claim, gen: g, look: a.look, start: start}, leave: req.leave}, nil
}

// confirmRedis waits until Redis is confirmed; see redisguard.Guard.Confirm. The result "waited" is
// true if the wait took so long that the caller must check the account and the recipients again
// before it claims.
func (s *Sender) confirmRedis(ctx context.Context) (waited bool, err error) {
	if _, ok := s.Guard.Confirmed(); ok {
		return false, nil
	}
	began := time.Now()
	_, err = s.Guard.Confirm(ctx)
	return time.Since(began) > confirmWithin, err
}

// confirmWithin is a limit for a confirmation of Redis. After a longer confirmation, the caller
// checks the account and the recipients again before it claims.
const confirmWithin = 250 * time.Millisecond

var errSuspect = errors.New("a new connection to redis was made during the claim")

// releaseUnused releases a claim that cannot be relied on. It also gives back the rate that was
// reserved for the claim. No call was made under the claim.
func (s *Sender) releaseUnused(ctx context.Context, b *batch, c *ledger.Claim, r reservation, wait time.Duration, why error) error {
	s.giveBackRate(ctx, b, r)
	s.logUnused(b, why)
	return s.endings.release(b, c, wait)
}

// giveBackRate gives back the rate of a reservation that is not used. A failure is only logged.
func (s *Sender) giveBackRate(ctx context.Context, b *batch, r reservation) {
	if err := b.lane().Return(ctx, r.units, time.Until(r.turn)); err != nil {
		s.Log.WithLevel(warnLevel(err)).Err(err).Str("account", b.acc.Name).Msg("could not give back the reserved rate")
	}
}

// logUnused logs why a claim is released without a call.
func (s *Sender) logUnused(b *batch, why error) {
	level, n := zerolog.DebugLevel, 1
	// Log errSuspect at debug level, because it is usually harmless: the connection pool also makes a
	// new connection when it grows. Also use the debug level while Redis is away.
	if !errors.Is(why, errSuspect) && !outage.Away(why) {
		level, n = b.acc.unusedClaims.count(time.Now())
	}
	s.Log.WithLevel(level).Err(why).Int("claims", n).Str("account", b.acc.Name).Str("campaign", b.id).Msg("claim released, because the claim cannot be relied on")
}

// splitProbe releases a claim and splits the call. The parameter "first" is the number of
// recipients in the first part. This part is a separate call and serves as a small probe.
func (s *Sender) splitProbe(ctx context.Context, b *batch, c *ledger.Claim, first int, r reservation) error {
	s.giveBackRate(ctx, b, r)
	return s.endings.end(b, "split", func(ctx context.Context) (ledger.Settled, error) {
		out, err := s.Ledger.SplitAfter(ctx, c, first)
		if err == nil {
			b.acc.Tracker.Forget(ctx, c)
		}
		return out, err
	})
}
