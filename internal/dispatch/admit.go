package dispatch

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/wake"
)

// fullWatch is how long a batch waits if Redis is too full for another claim.
const fullWatch = 2 * time.Second

// admission is the result of the method "admit". If ok is true, the slot submits the generation now. If ok is
// false, the slot does not submit it, and the field "otherwise" defines how the slot continues.
type admission struct {
	ok        bool
	otherwise outcome
	// The field "look" is the state of the account in Redis. lookedAt is the time at which the generation
	// was admitted.
	look     accounts.Check
	lookedAt time.Time
	// probeLimit is the maximum number of recipients of a call that is a probe. 0 means no limit.
	probeLimit int
	// exclusions is the version of the campaign's opt-outs with which the generation was compared.
	exclusions string
	// endTrial ends the trial call of an account that has not proven itself. The caller must call
	// endTrial after the call is over, and may call it more than once.
	endTrial func()
}

// The method "admit" decides, before the turn of a generation, whether the generation may be submitted
// now. It checks that Redis is not full, that no recipient has opted out, that the sending hours are
// open, and that the account is open or needs a probe.
func (s *Sender) admit(ctx context.Context, b *batch, g *ledger.Generation) (admission, error) {
	if s.Memory.Full() {
		return admission{otherwise: leave}, s.watches.extend(ctx, b, fullWatch)
	}
	if b.stopped { // the generation will not be submitted again, so it need not wait for opt-outs, sending hours or a turn
		out, err := s.claimExpectingRefusal(ctx, b, g, nil, "")
		return admission{otherwise: out}, err
	}
	exclusions, narrowed, err := s.excludeOptOuts(ctx, b, g)
	if err != nil || narrowed {
		return admission{otherwise: reload}, err
	}
	var out outcome
	if g.Doubtful && b.acc.Info.KeyTTL == 0 {
		out, err = s.claimExpectingRefusal(ctx, b, g, b.schedule.open(), exclusions) // this generation will not be submitted again, so it need not wait for a turn or for the end of a hold
		return admission{otherwise: out}, err
	}
	if b.schedule.closed() {
		out, err = s.whileClosed(ctx, b, g, exclusions)
		return admission{otherwise: out}, err
	}
	slowStart := b.acc.slowStart(b.camp.Spec.Class)
	turns := slowStart.Turns()
	look, most, ok, err := s.probes.check(ctx, b, g)
	if err != nil {
		return admission{}, err
	}
	if !ok {
		out, err = s.whileHeld(ctx, b, g, exclusions)
		return admission{otherwise: out}, err
	}
	endTrial, ok := slowStart.Admit(look.LastAccepted, turns, s.Stop.Begun(), b.acc.lease())
	if !ok {
		if look.Probe {
			s.probes.end(b.acc)
		}
		return admission{otherwise: reload}, nil
	}
	return admission{ok: true, look: look, lookedAt: time.Now(), probeLimit: most, exclusions: exclusions, endTrial: sync.OnceFunc(endTrial)}, nil
}

// excludeOptOuts removes recipients that opted out after planning. It does so only in a
// generation that was never submitted. A doubtful call may have been submitted, so it must be
// repeated unchanged. If a recipient was removed, narrowed is true and the batch must be loaded
// again. If no recipient was removed, the result "version" is the version of the opt-outs with
// which the generation was compared.
func (s *Sender) excludeOptOuts(ctx context.Context, b *batch, g *ledger.Generation) (version string, narrowed bool, err error) {
	if !g.Ready {
		return "", false, nil
	}
	gone, version, lists := b.camp.Opted.In(g.To)
	if len(lists) > 0 {
		on, err := s.OptOuts.Find(ctx, lists, numbersOf(g.To))
		if err != nil {
			return "", false, err
		}
		if len(on) > 0 {
			if gone = maps.Clone(gone); gone == nil {
				gone = map[int]string{}
			}
		}
		for i, p := range g.To {
			if list := on[p.MSISDN]; list != "" {
				gone[i] = list
			}
		}
	}
	if len(gone) == 0 {
		return version, false, nil
	}
	out, err := s.Ledger.Narrow(ctx, b.id, script.NewToken(), b.name, g, gone, s.Shares.OpenBatchLimit(ctx, b.acc.Name))
	if errors.Is(err, ledger.ErrCanary) {
		return "", false, nil // like Narrow, the ledger will refuse the claim, because the canary has not ended or the opt-outs were not applied
	}
	if err != nil {
		return "", false, err
	}
	if out.Done {
		s.endings.campaignEnded(b)
	}
	return "", true, s.Waker.All(ctx, b.id, b.camp, b.follow(out.Wakes, s.Stop))
}

// whileHeld does not send the batch, and extends its watch until the next check of the hold. If the campaign was
// stopped, whileHeld instead ends a doubtful generation now, because the ledger refuses claims of stopped campaigns.
func (s *Sender) whileHeld(ctx context.Context, b *batch, g *ledger.Generation, exclusions string) (outcome, error) {
	sum, err := s.Ledger.Summary(ctx, b.id)
	if errors.Is(err, ledger.ErrNotFound) {
		return leave, nil
	}
	if err != nil {
		return leave, err
	}
	if sum.StoppedBy == "" {
		return leave, s.watches.extend(ctx, b, wake.HeldWatch)
	}
	return s.claimExpectingRefusal(ctx, b, g, b.schedule.open(), exclusions)
}

// whileClosed requests a claim outside the sending hours of the generation, without a reservation. The
// ledger refuses the claim, and its answer names the time of the next try. whileClosed also ends the
// generation if the campaign was stopped, or if no call can resolve the generation's doubt.
func (s *Sender) whileClosed(ctx context.Context, b *batch, g *ledger.Generation, exclusions string) (outcome, error) {
	opening := b.schedule.nextOpening()
	out, err := s.claimExpectingRefusal(ctx, b, g, []ledger.Span{opening}, exclusions)
	if errors.Is(err, script.ErrNotDurable) {
		return postponed(opening.From), nil // the refusal of the claim need not be durable, because the slot makes no call
	}
	return out, err
}
