package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/ratelimit"
)

// limiter is the account's, for the campaign's class.
func (s *sending) limiter() ratelimit.Limiter {
	if s.camp.spec.Class == ledger.Transactional {
		return s.acc.transactional
	}
	return s.acc.bulk
}

// reserve waits until the account's rate allows n units and one of its calls may
// begin, enters it, and returns when their turn began. ok is false, and nothing
// entered, when the worker drains meanwhile.
func (s *sending) reserve(ctx context.Context, n int) (turn time.Time, ok bool, err error) {
	for !s.draining() {
		wait, booked, err := s.limiter().Reserve(ctx, n, s.maxWait())
		if err != nil {
			return turn, false, err
		}
		turn = time.Now().Add(wait)
		if ok, err = s.waitFor(ctx, wait); err != nil || !ok {
			if booked {
				err = errors.Join(err, s.limiter().Return(ctx, n, time.Until(turn)))
			}
			return turn, false, err
		}
		if !booked {
			continue
		}
		if !s.acc.enter(s.drain) {
			return turn, false, s.limiter().Return(ctx, n, time.Until(turn))
		}
		if time.Since(turn) <= missedSlot {
			return turn, true, nil
		}
		s.acc.leave()
	}
	return turn, false, nil
}

// maxWait is how far ahead a slot is booked; a worker that dies or drains wastes no
// more than this. Bulk books less far, so that it always leaves a place for a
// transactional call.
func (s *sending) maxWait() time.Duration {
	if s.camp.spec.Class == ledger.Transactional {
		return time.Second
	}
	return 800 * time.Millisecond
}

// waitFor sleeps, and lets the sweeper know that somebody does: working in silence
// would look like being dead. False: the worker drains.
func (s *sending) waitFor(ctx context.Context, d time.Duration) (bool, error) {
	const slice = 2 * time.Second
	for {
		if d > slice || time.Since(s.watched) > slice {
			if err := s.watchIn(ctx, slice+wakeWatch); err != nil {
				return false, err
			}
			s.watched = time.Now()
		}
		if d <= slice {
			return s.sleep(d), nil
		}
		if !s.sleep(slice) {
			return false, nil
		}
		d -= slice
	}
}

// units is what a call of n recipients takes of the account's rate.
func (s *sending) units(n int) int {
	switch s.acc.Unit {
	case UnitRequests:
		return 1
	case UnitSegments:
		return n * max(1, s.segments)
	}
	return n
}

// heldMeanwhile says whether the account was held while this call waited for its
// turn: a hold must not be followed by a call of every slot that was waiting.
func (s *sending) heldMeanwhile(ctx context.Context, look ledger.Look, looked time.Time) (bool, error) {
	if look.Probe || time.Since(looked) < missedSlot {
		return false, nil
	}
	a, err := s.ledger.Account(ctx, s.acc.Name)
	return err == nil && a.Hold.Held(), err
}
