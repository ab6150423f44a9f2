package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/ratelimit"
)

// limiter returns the account's limiter for the campaign's class.
func (s *batchSender) limiter() ratelimit.Limiter {
	if s.camp.spec.Class == campaign.Transactional {
		return s.acc.transactional
	}
	return s.acc.bulk
}

// pacer returns the pacer for the campaign's class.
func (s *batchSender) pacer() *pacer {
	if s.camp.spec.Class == campaign.Transactional {
		return s.acc.urgentPace
	}
	return s.acc.bulkPace
}

// reserveOnce makes one reservation with the limiter, when the pacer allows it. booked reports
// whether the limiter granted it. ok is false if the worker drains.
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

// waitToAsk waits until no other slot of this worker uses the limiter, and takes the turn to use
// it. It returns false if the worker drains.
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

// reserve waits until the account's rate allows n units and inFlight has room, and adds an entry to
// inFlight. turn is the start of the reserved turn. If the worker drains meanwhile, ok is false and
// reserve adds no entry.
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

// maxWait is how far ahead a slot may reserve rate. A worker that dies or drains wastes no more
// than this. Slots for bulk calls reserve less far ahead, so that a transactional call always finds
// a free turn.
func (s *batchSender) maxWait() time.Duration {
	if s.camp.spec.Class == campaign.Transactional {
		return time.Second
	}
	return 800 * time.Millisecond
}

// waitFor sleeps for d and keeps extending the batch's watch. Otherwise the sweeper would take this
// worker for dead. waitFor returns false if the worker drains.
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

// watchEvery is how often a waiting slot extends the watch of its batch.
const watchEvery = 2 * time.Second

// extendWatch tells the sweeper that this worker still works on the batch.
func (s *batchSender) extendWatch(ctx context.Context) error {
	if err := s.watchIn(ctx, watchEvery+wakeWatch); err != nil {
		return err
	}
	s.watched = time.Now()
	return nil
}

// units returns how many units of the account's rate the call of the generation g takes.
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

// heldMeanwhile reports whether the account was held while this call waited for its turn. Without
// this check, every slot that was waiting when the hold began would still make a call.
func (s *batchSender) heldMeanwhile(ctx context.Context, look ledger.AccountCheck, looked time.Time) (bool, error) {
	if look.Probe || time.Since(looked) < missedSlot {
		return false, nil
	}
	a, err := s.ledger.Account(ctx, s.acc.Name)
	return err == nil && a.Hold.Held(), err
}
