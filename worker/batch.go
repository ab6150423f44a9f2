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

// sendBatch works on one batch until nothing in it can go right now.
func (s *batchSender) sendBatch(ctx context.Context, p queue.Pointer) error {
	s.batch, s.pointer, s.startedAt, s.tried, s.requeue = p.Batch, p, time.Now(), false, false
	err := s.runPasses(ctx, p)
	if s.requeue && err == nil {
		return s.handOver(p)
	}
	return err
}

// goThrough is sendBatch without the question who comes next.
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
			return &ledger.Unreadable{Campaign: s.id, Record: "b" + p.Batch, Err: errNoBodies} // never the template
		}
		if work.Stopped {
			// They would wait for their turn, one after the other, only to be told so.
			work.Open = slices.DeleteFunc(work.Open, func(g *ledger.Generation) bool { return g.Ready })
		}
		if left, err := s.quarantineUnreadable(ctx, work); err != nil || left {
			return err
		}
		if !work.Stopped { // what is left of a stopped campaign only ends
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
			continue // the next look knows what can still go
		}
		if err != nil || !again {
			return err
		}
	}
}

// step is what came of one try at a generation.
type step uint8

const (
	stepDone  step = iota // settled, split, or somebody else's: go on with the next
	stepAgain             // read the batch again: something new may be open in it
	stepLater             // not before a time
	stepLeave             // leave the batch; the sweeper knows when to look again
)

// inTurn sorts the open generations: calls that were never cut in their order, but
// before them the later generations, the smallest first and of two halves either:
// a call that was refused because of some of its recipients is cut down quickly to
// a part that is good and shows that the account works. One that was tried and has to
// wait comes behind those that were not, for the smallest part may be the bad one.
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

// pass tries each open generation once that is not backing off.
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
		if now.Before(g.Due) { // it books nothing, and is no probe
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
