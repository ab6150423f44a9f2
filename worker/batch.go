package worker

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// sendBatch sends the calls of one batch until none of those left can be made right now. If another
// campaign needs the slot first, sendBatch queues the batch again.
func (s *batchSender) sendBatch(ctx context.Context, p queue.Pointer) error {
	s.batch, s.pointer, s.startedAt, s.tried, s.requeue = p.Batch, p, time.Now(), false, false
	err := s.runPasses(ctx, p)
	if s.requeue && err == nil {
		return s.handOver(p)
	}
	return err
}

// runPasses loads the batch and tries its open generations. It repeats this until none of them can
// be submitted right now.
func (s *batchSender) runPasses(ctx context.Context, p queue.Pointer) error {
	faults := 0
	for {
		if s.draining() {
			return s.handOver(p)
		}
		work, err := s.ledger.LoadWork(ctx, p.Campaign, p.Batch)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if work.Wake > p.Wake {
			return nil
		}
		if s.camp.spec.Personalized() && work.Batch.Bodies == nil {
			return &ledger.Unreadable{Campaign: s.id, Record: "b" + p.Batch, Err: errNoBodies} // without its bodies, the batch must not be sent: recipients would get the template itself
		}
		if work.Stopped {
			// Each of these generations would wait for a turn at the limiter, although its claim
			// would be refused.
			work.Open = slices.DeleteFunc(work.Open, func(g *ledger.Generation) bool { return g.Ready })
		}
		if left, err := s.quarantineUnreadable(ctx, work); err != nil || left {
			return err
		}
		if !work.Stopped { // the generations of a stopped campaign are not sent; they only have to end
			leave, err := s.beyondShare(ctx)
			if err != nil {
				return err
			}
			if leave > 0 {
				return s.watchIn(ctx, leave)
			}
		}
		again, err := s.runPass(ctx, work)
		if faults++; ledger.AsUnreadable(err) != nil && faults <= maxFaults {
			continue // the batch is loaded again, to find out which records are unreadable and which calls can still be made
		}
		if err != nil || !again {
			return err
		}
	}
}

// step is the result of trying one generation. It decides how the slot continues.
type step uint8

const (
	stepDone  step = iota // the generation was settled, split, or claimed by another worker: try the next one
	stepAgain             // load the batch again: it may have new open generations
	stepLater             // the generation cannot be submitted before a given time
	stepLeave             // leave the batch: the sweeper wakes it when it may continue
)

// orderGenerations returns the open generations in the order in which they are tried.
//
// Generations made by splitting a call, or by an answer for only some recipients, come before calls
// that were never split. Among these parts, the one due earliest comes first, then the smallest;
// equal parts are shuffled. Suppose a call was refused because of some of its recipients. It is
// then quickly split down to a part that succeeds, which shows that the account works. A part that
// was tried and must wait has a later due time, because the smallest part may be the bad one. Calls
// that were never split keep their order and come last.
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

// runPass tries each open generation that is not backing off. It reports whether the batch must be
// loaded again.
func (s *batchSender) runPass(ctx context.Context, work *ledger.Work) (again bool, err error) {
	var now, next time.Time
	if s.schedule, err = s.readSchedule(ctx); err != nil {
		return false, err
	}
	for open := orderGenerations(work.Open); len(open) > 0; {
		g := open[0]
		open = open[1:]
		if s.draining() {
			return true, nil
		}
		if !g.Due.IsZero() && now.IsZero() {
			if now, err = s.ledger.Now(ctx); err != nil {
				return false, err
			}
		}
		if now.Before(g.Due) { // a generation that is not due reserves no rate and does not serve as a probe
			if next.IsZero() || g.Due.Before(next) {
				next = g.Due
			}
			continue
		}
		if over, err := s.sliceOver(ctx); err != nil || over {
			s.requeue = over
			return false, err
		}
		s.tried = true
		st, due, err := s.tryGeneration(ctx, g, &open)
		if err != nil {
			return false, err
		}
		switch st {
		case stepAgain:
			return true, nil
		case stepLeave:
			return false, nil
		case stepLater:
			if next.IsZero() || due.Before(next) {
				next = due
			}
		case stepDone:
		}
	}
	if next.IsZero() {
		return false, nil
	}
	return false, s.watch(ctx, next)
}
