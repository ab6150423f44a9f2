package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/wake"
)

var errNoBodies = errors.New("batch of a personalized campaign has no bodies")

// The method "look" loads the batch. It returns nil if the slot must not work on the batch now. In
// this case the batch is done, is left to other workers, or must wait for its turn.
func (s *Sender) look(ctx context.Context, b *batch) (*ledger.Work, error) {
	if s.Stop.Draining() {
		return nil, s.Waker.HandOver(b.pointer())
	}
	work, err := s.Ledger.LoadWork(ctx, b.id, b.name)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil //nolint:nilnil // nil means that there is no work
	}
	if err != nil {
		return nil, err
	}
	if work.Wake > b.wake {
		return nil, nil //nolint:nilnil // no work for this slot: a later wake-up has taken over the batch
	}
	if work.Upload != b.camp.Upload || !b.atItsAccount() {
		// Another campaign has taken the ID, and the batch belongs to that campaign.
		s.Campaigns.Forget(b.id)
		return nil, s.Waker.HandOver(b.pointer())
	}
	if b.camp.Spec.Personalized() && work.Batch.Bodies == nil {
		return nil, &ledger.Unreadable{Campaign: b.id, Record: "b" + b.name, Err: errNoBodies} // the batch must not be sent without its bodies, because recipients would get the template itself
	}
	if b.stopped = work.Stopped; b.stopped {
		// Delete the generations that were never submitted. The ledger would refuse their claims, but
		// only after each generation has waited for a turn at the limiter.
		work.Open = slices.DeleteFunc(work.Open, func(g *ledger.Generation) bool { return g.Ready })
	}
	if left, err := s.quarantineUnreadable(ctx, b, work); err != nil || left {
		return nil, err
	}
	if work.Stopped { // the generations of a stopped campaign are not sent, but they must be ended
		return work, nil
	}
	leaveFor, err := s.beyondShare(ctx, b)
	if err != nil {
		return nil, err
	}
	if leaveFor > 0 {
		return nil, s.watches.extend(ctx, b, leaveFor)
	}
	return work, nil
}

// quarantineUnreadable quarantines the unreadable records of a batch. The result "left" is true if
// the batch has left the open set, because none of its readable generations was open.
func (s *Sender) quarantineUnreadable(ctx context.Context, b *batch, work *ledger.Work) (left bool, err error) {
	left = len(work.Open) == 0
	for _, u := range work.Bad {
		if err := s.Quarantine.Record(ctx, b.id, b.name, u, left); err != nil {
			return left, err
		}
	}
	return left, nil
}

const (
	// A campaign's share is the number of batches that the campaign may have open at an account.
	// Before the next try, a batch waits shareWatch for each whole share of batches ahead of it.
	// For example, with two whole shares ahead it waits twice shareWatch.
	shareWatch = 500 * time.Millisecond
	// maxShares is the maximum number of shares that are counted ahead of a batch. So a batch waits at
	// most maxShares times shareWatch.
	maxShares = 20
	// A batch is busy while a slot works on it, or while it waits for a slot. The watch of a busy
	// batch is shorter than busyWatch. A batch with a longer watch waits for its back-off.
	busyWatch = 2 * wake.Watch
)

// beyondShare returns how long the batch must wait because other campaigns share the account. It
// returns 0 while the number of the campaign's batches ahead of this one is below the campaign's
// share.
func (s *Sender) beyondShare(ctx context.Context, b *batch) (time.Duration, error) {
	share, alone := s.Shares.Share(ctx, b.acc.Name)
	if alone || b.tried {
		return 0, nil
	}
	n, err := s.Ledger.BatchesAhead(ctx, b.id, b.name, time.Now().Add(busyWatch), maxShares*share)
	if err != nil {
		return 0, err
	}
	return time.Duration(n/share) * shareWatch, nil
}

const (
	// The spans of a claim begin openingSlack before the current time. This is needed because
	// Redis' clock may step back when a replica takes over.
	openingSlack = time.Hour
	// spansAhead is the number of spans of open sending hours that a claim gets, including the
	// current span. A claim needs more than one span, because a pass over a batch may last longer
	// than the current span.
	spansAhead = 3
)

// readSchedule returns when the batch may be sent. It returns nil if the batch may be sent at any
// time.
func (s *Sender) readSchedule(ctx context.Context, b *batch) (*schedule, error) {
	stream, err := b.camp.Snapshot.StreamOf(b.name)
	if err != nil || stream.SendingHours == (campaign.CountryHours{}) {
		return nil, err
	}
	w, err := s.Hours.Window(stream.SendingHours.Country, stream.SendingHours.Hours)
	if err != nil {
		return nil, fmt.Errorf("sending hours of %s: %w", b.id, err)
	}
	now, err := s.Clock.Now(ctx)
	if err != nil {
		return nil, err
	}
	c := &schedule{now: now, at: time.Now()}
	for _, x := range w.Spans(now.Add(-openingSlack), spansAhead) {
		c.spans = append(c.spans, ledger.Span(x))
	}
	return c, nil
}
