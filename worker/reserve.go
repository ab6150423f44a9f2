package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/ratelimit"
)

// limiter is the account's, for the campaign's class.
func (s *batchSender) limiter() ratelimit.Limiter {
	if s.camp.spec.Class == ledger.Transactional {
		return s.acc.transactional
	}
	return s.acc.bulk
}

// pacer spaces out what is asked of the limiter.
func (s *batchSender) pacer() *pacer {
	if s.camp.spec.Class == ledger.Transactional {
		return s.acc.urgentPace
	}
	return s.acc.bulkPace
}

// askRate asks the limiter for a turn when it is this worker's time to. False: it drains.
func (s *batchSender) reserveOnce(ctx context.Context, n int) (wait time.Duration, booked, ok bool, err error) {
	p := s.pacer()
	_, spaced := p.until(time.Now())
	if spaced {
		if ok, err := s.waitToAsk(ctx, p); err != nil || !ok {
			return 0, false, false, err
		}
		defer p.done()
		wait, _ := p.until(time.Now())
		if ok, err := s.waitFor(ctx, wait); err != nil || !ok {
			return 0, false, false, err
		}
	}
	wait, booked, err = s.limiter().Reserve(ctx, n, s.maxWait())
	if err == nil {
		p.observe(time.Now(), wait, booked, spaced, s.maxWait(), s.fairGap(ctx, s.acc, n))
	}
	return wait, booked, true, err
}

// queueUp waits until this slot is the one of its worker that asks.
func (s *batchSender) waitToAsk(ctx context.Context, p *pacer) (bool, error) {
	for {
		if time.Since(s.watched) > watchEvery {
			if err := s.extendWatch(ctx); err != nil {
				return false, err
			}
		}
		select {
		case p.asks <- struct{}{}:
			return true, nil
		case <-s.drain:
			return false, nil
		case <-time.After(watchEvery):
		}
	}
}

// reserve waits until the account's rate allows n units and one of its calls may
// begin, enters it, and returns when their turn began. ok is false, and nothing
// entered, when the worker drains meanwhile.
func (s *batchSender) reserve(ctx context.Context, n int) (turn time.Time, ok bool, err error) {
	for !s.draining() {
		wait, booked, ok, err := s.reserveOnce(ctx, n)
		if err != nil || !ok {
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
func (s *batchSender) maxWait() time.Duration {
	if s.camp.spec.Class == ledger.Transactional {
		return time.Second
	}
	return 800 * time.Millisecond
}

// waitFor sleeps, and lets the sweeper know that somebody does: working in silence
// would look like being dead. False: the worker drains.
func (s *batchSender) waitFor(ctx context.Context, d time.Duration) (bool, error) {
	for {
		if d > watchEvery || time.Since(s.watched) > watchEvery {
			if err := s.extendWatch(ctx); err != nil {
				return false, err
			}
		}
		if d <= watchEvery {
			return s.sleep(d), nil
		}
		if !s.sleep(watchEvery) {
			return false, nil
		}
		d -= watchEvery
	}
}

// watchEvery is how often a slot that waits tells the sweeper.
const watchEvery = 2 * time.Second

// stillHere tells the sweeper that somebody works on the batch.
func (s *batchSender) extendWatch(ctx context.Context) error {
	if err := s.watchIn(ctx, watchEvery+wakeWatch); err != nil {
		return err
	}
	s.watched = time.Now()
	return nil
}

// units is what a call takes of the account's rate.
func (s *batchSender) units(g *ledger.Generation) int {
	n := len(g.To)
	switch s.acc.Unit {
	case UnitRequests:
		return 1
	case UnitSegments:
		return n * max(1, s.segmentsOf(g))
	}
	return n
}

// heldMeanwhile says whether the account was held while this call waited for its
// turn: a hold must not be followed by a call of every slot that was waiting.
func (s *batchSender) heldMeanwhile(ctx context.Context, look ledger.AccountCheck, looked time.Time) (bool, error) {
	if look.Probe || time.Since(looked) < missedSlot {
		return false, nil
	}
	a, err := s.ledger.Account(ctx, s.acc.Name)
	return err == nil && a.Hold.Held(), err
}
