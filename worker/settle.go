package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

// carryOut tells the ledger, the account and the campaign what a verdict means. Where all
// is well it claims the next call with that.
func (s *batchSender) applyVerdict(at submission, v verdict, after []*ledger.Generation) (*submission, step, error) {
	c, g := at.claim, at.gen
	if v.pause != "" {
		// Before the release, so that no other worker claims it in between.
		s.pauseCampaign(v.pause)
	}
	s.report(c, g, v)
	write := func(ctx context.Context) (ledger.Settled, error) {
		if err := s.noteSent(ctx, c, v.records); err != nil {
			return ledger.Settled{}, err
		}
		out, err := s.writeVerdict(ctx, c, g, v)
		if err == nil {
			s.endAttempt(ctx, c, g, v)
		}
		return out, err
	}
	if v.action == actionSettle {
		// Before it is written: a Redis that is met right afterwards must be told of it too.
		s.restartGuard.remember(len(g.To), func(ctx context.Context) error {
			_, err := write(ctx)
			return err
		})
	}
	next, done, back := s.settleAndClaimNext(at, v, after)
	var err error
	if !done {
		err = s.endClaim("settle", write)
	}
	s.keepAnswer(c, g, v, err)
	if v.action == actionSettle && err == nil {
		s.addBlacklisted(g, v.records)
	}
	switch {
	case err != nil:
		return nil, stepAgain, err
	case back != nil:
		return nil, stepAgain, s.releaseClaim(back, 0)
	case v.final(s.resends()):
		return next, stepDone, nil
	}
	return nil, stepAgain, nil
}

// write ends the claim in the ledger.
func (s *batchSender) writeVerdict(ctx context.Context, c *ledger.Claim, g *ledger.Generation, v verdict) (ledger.Settled, error) {
	switch v.action {
	case actionSettle:
		return s.ledger.Settle(ctx, c, v.records, v.settleReason, s.segmentsOf(g), v.backOff)
	case actionRelease:
		out, err := s.ledger.Release(ctx, c, v.backOff, v.renew)
		if err == nil && out.Stale {
			// The lease ran out meanwhile, and it may have been given up as unknown: that it
			// was not sent is knowledge all the same.
			return s.ledger.Settle(ctx, c, fill(len(g.To), ledger.Record{Reason: ledger.ReasonNotSent, Code: v.code}), ledger.SettleVerdict, s.segmentsOf(g), 0)
		}
		return out, err
	case actionSplit:
		out, err := s.ledger.Split(ctx, c)
		if err == nil && out.Stale {
			return s.ledger.Doubt(ctx, c, v.backOff, true)
		}
		return out, err
	}
	out, err := s.ledger.Doubt(ctx, c, v.backOff, v.count)
	if err == nil && out.Count >= s.acc.MaxAttempts {
		records := fill(len(g.To), ledger.Record{Status: ledger.Unknown, Reason: v.reason, Code: v.code})
		return s.ledger.Settle(ctx, c, records, ledger.SettleAbandon, s.segmentsOf(g), 0)
	}
	return out, err
}

// durableTries is how often a draining worker asks whether what it has written is
// durable.
const durableTries = 3

// end writes down what happened at a gateway and keeps trying while Redis is
// away: on a context of its own, until the worker itself is ended. Then it queues
// the batches that were handed out.
func (s *batchSender) endClaim(what string, write func(context.Context) (ledger.Settled, error)) error {
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := write(ctx)
		if err == nil {
			err = s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, s.keepNext(out.Wakes))
			cancel()
			if err != nil {
				s.log.Warn().Err(err).Str("campaign", s.id).Msg("handed-out batches not queued; the sweeper will")
			}
			if out.Done {
				s.log.Info().Str("campaign", s.id).Msg("done")
			}
			return nil
		}
		cancel()
		if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
			return err
		}
		if errors.Is(err, ledger.ErrNotDurable) && s.draining() && try >= durableTries {
			return err // it is written; that it will stay so is for the next worker to wait for
		}
		if try == 1 || try%20 == 0 {
			s.log.Error().Err(err).Str("campaign", s.id).Str("batch", s.batch).Int("try", try).Msg(what + " failed, trying again")
		}
		select {
		case <-s.killed:
			return err
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// report tells the account how the call went. It is advice: if Redis is away, the
// next call tells.
func (s *batchSender) report(c *ledger.Claim, g *ledger.Generation, v verdict) {
	if v.outcome == ledger.CallOK && v.cooldown <= 0 {
		s.noteSuccess(c.At)
		return
	}
	// Within the lease's margin: the claim is only ended afterwards.
	ctx, cancel := context.WithTimeout(context.Background(), leaseMargin*2/3)
	defer cancel()
	if v.cooldown > 0 {
		s.acc.health.forget()
		if err := s.limiter().Cooldown(ctx, v.cooldown); err != nil {
			s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("cool-down not set")
		}
	}
	if v.outcome == "" {
		return
	}
	if v.outcome == ledger.CallOK {
		s.noteSuccess(c.At)
		return
	}
	s.reportSuccesses() // in the order in which it was
	s.acc.health.forget()
	r := ledger.CallReport{Outcome: v.outcome, Claimed: c.At, Reason: v.reason, Code: v.code, Jitter: rand.Float64()}
	if v.outcome == ledger.CallHold && v.reason == string(providers.CauseCredit) {
		r.Balance, r.Size = s.askBalance(ctx, s.acc), s.unaffordableSegments(g, v)
	}
	hold, err := s.ledger.ReportCall(ctx, s.acc.Name, r)
	if err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("account not told how a call went")
		return
	}
	if hold.Held() {
		s.log.Warn().Str("account", s.acc.Name).Str("reason", hold.Reason).Time("until", hold.Until).Msg("account held")
	}
}

// pauseCampaign stops a campaign that its gateway would refuse as a whole.
func (s *batchSender) pauseCampaign(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.ledger.Pause(ctx, s.id, "gateway:"+why)
	if err != nil && !errors.Is(err, ledger.ErrDone) && !errors.Is(err, ledger.ErrStopped) {
		s.log.Error().Err(err).Str("campaign", s.id).Str("why", why).Msg("campaign not paused")
		return
	}
	s.log.Warn().Str("campaign", s.id).Str("account", s.acc.Name).Str("why", why).Msg("campaign paused: the gateway refuses it")
}

func (s *batchSender) logCall(c *ledger.Claim, g *ledger.Generation, v verdict, err error, took time.Duration) {
	e := s.log.Debug()
	if err != nil {
		e = s.log.Warn().Err(err)
	}
	if !e.Enabled() {
		return
	}
	e.Str("campaign", s.id).Str("batch", s.batch).Int("call", g.Call).Int("generation", g.Number).Str("account", s.acc.Name).
		Str("uuid", c.IdempotencyKey.String()).Int("recipients", len(g.To)).Bool("doubt", c.Doubt).Int("tries", c.Tries).
		Str("deed", v.action.String()).Dur("took", took).Msg("call")
}

// String names the deed for logs.
func (d action) String() string {
	switch d {
	case actionSettle:
		return "settle"
	case actionRelease:
		return "release"
	case actionSplit:
		return "split"
	}
	return "doubt"
}
