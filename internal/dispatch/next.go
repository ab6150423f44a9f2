package dispatch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
)

// The type "pass" is one pass over the open generations of a batch.
type pass struct {
	open []*ledger.Generation // the generations not yet tried in this pass, in the order of the tries
	now  time.Time            // Redis' time, read when it was first needed
	due  time.Time            // when the earliest of the postponed generations is due
}

func newPass(open []*ledger.Generation) *pass { return &pass{open: orderGenerations(open)} }

// The method "postpone" notes that a generation can be tried again at the time "due".
func (p *pass) postpone(due time.Time) {
	if p.due.IsZero() || due.Before(p.due) {
		p.due = due
	}
}

// The method "submitted" removes the first generation from the list "open", because this generation has
// been submitted.
func (p *pass) submitted() { p.open = p.open[1:] }

// orderGenerations returns the open generations in the order in which they are tried.
//
// Generations made by splitting a call, or by an answer for only some recipients, come before calls
// that were never split. These parts are sorted by due time, then by size, the smallest part first.
// Equal parts are shuffled. If some recipients caused the refusal of a call, this order quickly
// leads to a part that succeeds. That part shows that the account works. The smallest part may
// contain the recipients that caused the refusal. So a part that was refused gets a later due time,
// and other parts are tried before it. Calls that were never split keep their order and come last.
func orderGenerations(open []*ledger.Generation) []*ledger.Generation {
	var later, first []*ledger.Generation
	for _, g := range open {
		if g.Number == 0 {
			first = append(first, g)
		} else {
			later = append(later, g)
		}
	}
	rand.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
	slices.SortStableFunc(later, func(a, b *ledger.Generation) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(len(a.To), len(b.To)))
	})
	return append(later, first...)
}

// chosen is the result of the method "next". If gen is nil, the pass is over, and the field "otherwise"
// defines how the slot continues.
type chosen struct {
	gen       *ledger.Generation
	otherwise outcome
}

// The method "next" goes through the open generations of the pass. It postpones each generation that is
// due later, and chooses the first generation that is due now.
func (s *Sender) next(ctx context.Context, b *batch, p *pass) (chosen, error) {
	for len(p.open) > 0 {
		g := p.open[0]
		p.open = p.open[1:]
		if s.Stop.Draining() {
			return chosen{otherwise: reload}, nil
		}
		wait := !g.Due.IsZero() && !b.stopped // a stopped campaign ends its doubtful calls, and so need not wait
		if wait && p.now.IsZero() {
			var err error
			if p.now, err = s.Clock.Now(ctx); err != nil {
				return chosen{otherwise: leave}, err
			}
		}
		if wait && p.now.Before(g.Due) { // a generation that is not due must not reserve rate or serve as a probe
			p.postpone(g.Due)
			continue
		}
		over, err := s.sliceOver(ctx, b)
		switch {
		case err != nil:
			return chosen{otherwise: leave}, err
		case over:
			return chosen{otherwise: requeue}, nil
		}
		return chosen{gen: g}, nil
	}
	if p.due.IsZero() {
		return chosen{otherwise: leave}, nil
	}
	return chosen{otherwise: leave}, s.watches.set(ctx, b, p.due)
}

// sliceLength is how long a slot works on a batch while other campaigns wait for a slot. After
// that time the batch joins the end of the queue. A batch may have many calls, and each call may
// wait for a turn. Without this limit, a batch with many calls would delay the other campaigns of
// the account.
const sliceLength = 250 * time.Millisecond

// sliceOver reports whether the slot must be given to another campaign. It returns false until the
// slot has tried at least one call of the batch.
func (s *Sender) sliceOver(ctx context.Context, b *batch) (bool, error) {
	if !b.tried || time.Since(b.startedAt) < sliceLength {
		return false, nil
	}
	if _, alone := s.Shares.Share(ctx, b.acc.Name); alone {
		b.startedAt = time.Now() // no other campaign uses the account, so the slot may work on this batch for another slice
		return false, nil
	}
	n, err := s.Queue.Length(ctx, b.queueName())
	if n == 0 {
		b.startedAt = time.Now()
	}
	return n > 0, err
}

// followUp is the result of settleAndClaimNext. The field "settled" is true if the settle was written.
// The field "next" is the next call, if that call was claimed. The field "unused", if not nil, is a claim
// that Redis may have granted. The slot must release this claim after the settle.
type followUp struct {
	settled bool
	next    *submission
	unused  *ledger.Claim
}

// settleAndClaimNext settles a successful call and claims the next call of the batch in one script.
// For the next call, this script takes the place of the account check, the reservation of rate and
// the claim.
func (s *Sender) settleAndClaimNext(b *batch, p *pass, sub submission, v verdict.Verdict) followUp {
	if !s.canClaimNext(b, p, sub, v) {
		return followUp{}
	}
	following := p.open[0]
	gone, version, lists := b.camp.Opted.In(following.To)
	if len(gone) > 0 || len(lists) > 0 {
		return followUp{}
	}
	dials, confirmed := s.Guard.Confirmed()
	if !confirmed {
		return followUp{}
	}
	ctx := context.Background() // without a deadline, because each command has its own timeout, and its turn comes soon
	if b.noteSent(ctx, sub.claim, v.Records) != nil {
		return followUp{} // the caller settles again
	}
	start := time.Now()
	claim, ok, err := s.Ledger.SettleAndClaim(ctx, sub.claim, v.Records, b.segmentsOf(sub.gen), s.claimRequest(ctx, b, following, b.schedule.open(), version))
	if err != nil {
		s.Log.Debug().Err(err).Str("campaign", b.id).Str("batch", b.name).Msg("could not settle a call and claim the next call together; settling the call alone")
		return followUp{unused: claim}
	}
	if !ok {
		return followUp{}
	}
	b.acc.Tracker.End(ctx, sub.claim, b.segmentsOf(sub.gen), v)
	b.reported(ctx, v.Records)
	if !s.Guard.Unchanged(dials) {
		return followUp{settled: true, unused: claim} // the claim may have been granted by a new Redis that lacks recent settles
	}
	if b.acc.Tracker.Begin(ctx, claim) != nil {
		return followUp{settled: true, unused: claim}
	}
	return followUp{settled: true, next: &submission{claim: claim, gen: following, start: start, look: accounts.Check{Open: true, LastAccepted: sub.claim.At}}}
}

// canClaimNext reports whether the next call can be made without an account check and without a wait.
func (s *Sender) canClaimNext(b *batch, p *pass, sub submission, v verdict.Verdict) bool {
	switch {
	case v.Action != verdict.Settle, v.Outcome != campaign.CallOK, v.SettleReason != campaign.SettleAnswer, v.Pause != "", v.Cooldown > 0, sub.look.Probe:
		return false
	case len(p.open) == 0, !p.open[0].Ready, p.open[0].Number != 0:
		return false
	case s.Stop.Draining(), s.Memory.Full(), b.schedule.closed(), time.Since(b.startedAt) >= sliceLength:
		return false
	case b.acc.slots.Awaited(): // another slot waits for this call's place among the calls in flight
		return false
	}
	return b.acc.health.recentlyGood()
}

// queueFollowing queues the batch that the slot would have sent next. It is called if the slot
// cannot continue.
func (s *Sender) queueFollowing(ctx context.Context, sl *slot) error {
	if sl.following == nil {
		return nil
	}
	return s.Waker.All(ctx, sl.id, sl.camp, []ledger.Wake{*sl.following})
}
