package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

// applyVerdict applies a verdict to the call, its account and its campaign. After a successful call
// it may claim the next generation in the same script, and then returns that generation's
// submission.
func (s *batchSender) applyVerdict(at submission, v verdict, after []*ledger.Generation) (*submission, step, error) {
	c, g := at.claim, at.gen
	if v.pause != "" {
		// Pause the campaign before the claim is released, so that no other worker claims the call
		// in between.
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
		// Remember the settle before writing it. A Redis that restarts right after the write needs
		// the settle too.
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

// writeVerdict writes the verdict to the ledger, which ends the claim.
func (s *batchSender) writeVerdict(ctx context.Context, c *ledger.Claim, g *ledger.Generation, v verdict) (ledger.Settled, error) {
	switch v.action {
	case actionSettle:
		return s.ledger.Settle(ctx, c, v.records, v.settleReason, s.segmentsOf(g), v.backOff)
	case actionRelease:
		out, err := s.ledger.Release(ctx, c, v.backOff, v.renew)
		if err == nil && out.Stale {
			// The lease ended meanwhile, and the call may have been settled as unknown. It is still
			// worth recording that the call was certainly not sent.
			return s.ledger.Settle(ctx, c, fill(len(g.To), campaign.Record{Reason: campaign.ReasonNotSent, Code: v.code}), campaign.SettleVerdict, s.segmentsOf(g), 0)
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
		records := fill(len(g.To), campaign.Record{Status: campaign.Unknown, Reason: v.reason, Code: v.code})
		return s.ledger.Settle(ctx, c, records, campaign.SettleAbandon, s.segmentsOf(g), 0)
	}
	return out, err
}

// durableTries is how often a draining worker waits for its write to become durable.
const durableTries = 3

// endClaim writes the end of a claim, and retries while Redis is away. It uses its own context and
// stops only when the worker is killed. After the write it queues the batches that the write
// opened.
func (s *batchSender) endClaim(what string, write func(context.Context) (ledger.Settled, error)) error {
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := write(ctx)
		if err == nil {
			err = s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, s.keepNext(out.Wakes))
			cancel()
			if err != nil {
				s.log.Warn().Err(err).Str("campaign", s.id).Msg("could not enqueue follow-up batches; sweeper will retry")
			}
			if out.Done {
				s.log.Info().Str("campaign", s.id).Msg("campaign finished")
			}
			return nil
		}
		cancel()
		if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
			return err
		}
		if errors.Is(err, ledger.ErrNotDurable) && s.draining() && try >= durableTries {
			return err // the end of the claim is written; the next worker waits until it is durable
		}
		if try == 1 || try%20 == 0 {
			s.log.Error().Err(err).Str("campaign", s.id).Str("batch", s.batch).Int("try", try).Msg(what + " failed; retrying")
		}
		select {
		case <-s.killed:
			return err
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// report records on the account how the call went. A failure is only logged: if Redis is away, the
// next call reports instead.
func (s *batchSender) report(c *ledger.Claim, g *ledger.Generation, v verdict) {
	if v.outcome == campaign.CallOK && v.cooldown <= 0 {
		s.noteSuccess(c.At)
		return
	}
	// report must end within the margin of the lease, because the claim ends only after it.
	ctx, cancel := context.WithTimeout(context.Background(), leaseMargin*2/3)
	defer cancel()
	if v.cooldown > 0 {
		s.acc.health.forget()
		if err := s.limiter().Cooldown(ctx, v.cooldown); err != nil {
			s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not set cool-down of account")
		}
	}
	if v.outcome == "" {
		return
	}
	if v.outcome == campaign.CallOK {
		s.noteSuccess(c.At)
		return
	}
	s.reportSuccesses() // report earlier successes first, to keep the order of events
	s.acc.health.forget()
	r := ledger.CallReport{Outcome: v.outcome, Claimed: c.At, Reason: v.reason, Code: v.code, Jitter: rand.Float64()}
	if v.outcome == campaign.CallHold && v.reason == string(providers.CauseCredit) {
		r.Balance, r.Size = s.askBalance(ctx, s.acc), s.unaffordableSegments(g, v)
	}
	hold, err := s.ledger.ReportCall(ctx, s.acc.Name, r)
	if err != nil {
		s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("could not report a call to its account")
		return
	}
	if hold.Held() {
		s.log.Warn().Str("account", s.acc.Name).Str("reason", hold.Reason).Time("until", hold.Until).Msg("account held")
	}
}

// pauseCampaign pauses a campaign because the gateway refuses the whole campaign.
func (s *batchSender) pauseCampaign(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.ledger.Pause(ctx, s.id, "gateway:"+why)
	if err != nil && !errors.Is(err, ledger.ErrDone) && !errors.Is(err, ledger.ErrStopped) {
		s.log.Error().Err(err).Str("campaign", s.id).Str("why", why).Msg("could not pause campaign that its gateway refuses")
		return
	}
	s.log.Warn().Str("campaign", s.id).Str("account", s.acc.Name).Str("why", why).Msg("campaign paused: its gateway refuses it")
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
		Str("deed", v.action.String()).Dur("took", took).Msg("call finished")
}

// String returns the name of the action, for logs.
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
