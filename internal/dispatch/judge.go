package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/verdict"
)

// The method "judge" decides what the answer to a call means. Before the call is settled, the method
// reports the result of the call to the account. If the gateway refuses the whole campaign, the method
// pauses the campaign. If the account accepts nothing, the record of the account limits how many
// refused recipients are rejected.
func (s *Sender) judge(b *batch, sub submission, a answer) verdict.Verdict {
	c, g := sub.claim, sub.gen
	v := verdict.Judge(a.results, a.err, verdict.Situation{Recipients: len(g.To), Personal: b.camp.Spec.Personalized(), Doubt: c.Doubt, HasKeys: b.acc.Info.KeyTTL > 0,
		ReconcileFor: b.acc.Tracker.For(), Tries: c.Tries, Claims: c.Claims, MaxAttempts: b.acc.MaxAttempts,
		LastAccepted: sub.look.LastAccepted, First: c.First, Now: c.At})
	if v.Refusals > 0 {
		v = v.Grant(s.reports.refusals(b, c, v), c.Doubt)
	}
	s.logCall(b, sub, v, a.err, time.Since(sub.start))
	if v.Outcome == campaign.CallOK {
		b.acc.noteAccepted(time.Now())
	}
	if v.Pause != "" {
		// Pause the campaign before the claim is released, so that no other worker claims the call
		// before the pause.
		s.pauseCampaign(b, v.Pause)
	}
	s.reports.report(b, c, g, v)
	return v
}

// pauseCampaign pauses a campaign because the gateway refuses the whole campaign.
func (s *Sender) pauseCampaign(b *batch, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.Ledger.Pause(ctx, b.id, campaign.PausedByGateway+why)
	if err != nil && !errors.Is(err, ledger.ErrDone) && !errors.Is(err, ledger.ErrStopped) {
		s.Log.WithLevel(outage.Level(err, zerolog.ErrorLevel)).Err(err).Str("campaign", b.id).Str("why", why).Msg("could not pause a campaign that the gateway refuses")
		return
	}
	s.Log.Debug().Str("campaign", b.id).Str("account", b.acc.Name).Str("why", why).Msg("campaign paused: the gateway refuses the campaign")
}
