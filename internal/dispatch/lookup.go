package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/internal/wake"
)

// lookUp looks up a doubtful call in the gateway's list of accepted messages. Recipients that are
// in the list become accepted. After the last lookup the other recipients become unknown.
func (s *Sender) lookUp(ctx context.Context, b *batch, g *ledger.Generation, req requested) (outcome, error) {
	req.leave() // no call is made under this claim
	c, tracker := req.claim, b.acc.Tracker
	now, err := s.Clock.Now(ctx)
	if err != nil {
		return leave, err
	}
	if tracker.TooOld(now, c.At) {
		return reload, s.endings.abandon(b, c, g, c.Why)
	}
	if !tracker.TryLockList() { // only one slot at a time requests a list, because lists are long
		return leave, s.watches.set(ctx, b, now.Add(b.acc.Timeout/4))
	}
	defer tracker.UnlockList()
	if err := s.watches.set(ctx, b, now.Add(b.acc.Timeout+wake.Watch)); err != nil { // set the watch, so that the sweeper does not treat this worker as dead
		return leave, err
	}
	found, err := tracker.Find(ctx, c, g, b.sender(), b.segmentsOf(g))
	why := campaign.ReasonNotFound
	if err != nil {
		why = c.Why
		level, n := b.acc.failedLookups.count(time.Now())
		s.Log.WithLevel(level).Err(err).Int("failed_lookups", n).Str("campaign", b.id).Str("account", b.acc.Name).Int("look", c.Lookups+1).Msg("could not look up a call of unknown outcome at the gateway")
	}
	records, basis, wait := g.Found(found, why), campaign.SettleLookup, verdict.LookupDelay(tracker.SearchFor, c.Lookups+1)
	if c.Lookups+1 >= verdict.MaxLookups {
		basis, wait = campaign.SettleAbandon, verdict.BackOff(1) // the variable "wait" is the delay before recipients are resent
	}
	s.Log.Debug().Str("campaign", b.id).Str("batch", b.name).Str("account", b.acc.Name).Int("look", c.Lookups+1).
		Int("found", len(found)).Int("recipients", len(g.To)).Msg("looked up a call of unknown outcome at the gateway")
	var count sync.Once // the function "write" may run again after Redis has restarted
	write := func(ctx context.Context) (ledger.Settled, error) {
		if err := tracker.NoteSent(ctx, c, records); err != nil {
			return ledger.Settled{}, err
		}
		out, err := s.Ledger.Settle(ctx, c, records, basis, b.segmentsOf(g), wait)
		if err == nil && !out.Stale {
			count.Do(func() {
				b.acc.Meter.Recorded(recordedBy(basis, records))
				s.noteStatuses(b, g, records)
			})
		}
		return out, err
	}
	// If Redis loses the claim, another worker may settle these recipients as unknown. The replay then runs the function
	// "write" again, which corrects their outcome.
	if len(found) > 0 {
		s.Guard.Remember(len(g.To), func(ctx context.Context) error {
			_, err := write(ctx)
			return err
		})
	}
	return reload, s.endings.end(b, "look", write)
}
