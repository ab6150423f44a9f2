package pacing

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/ratelimit"
)

const (
	// MissedSlot is how late a reserved turn may still be used. A turn is the time at which a call may
	// start.
	MissedSlot = 100 * time.Millisecond
	// Each constant is the longest time for which a slot may reserve a turn in advance. If a worker
	// dies or drains, its reserved turns stay unused. So both times are short. Bulk calls have the
	// shorter time, so that a transactional call always finds a free turn.
	longestBulk          = 800 * time.Millisecond
	longestTransactional = time.Second
)

// Lane is the part of an account's rate for the campaigns of one class, in one worker. Make it with
// NewBulkLane or NewTransactionalLane. Its methods are safe for concurrent use.
type Lane struct {
	limiter ratelimit.Limiter
	pacer   *pacer
	longest time.Duration // the longest time for which a slot may reserve a turn in advance
}

// NewBulkLane returns a lane for bulk campaigns.
func NewBulkLane(l ratelimit.Limiter) *Lane {
	return &Lane{limiter: l, pacer: newPacer(), longest: longestBulk}
}

// NewTransactionalLane returns a lane for transactional campaigns.
func NewTransactionalLane(l ratelimit.Limiter) *Lane {
	return &Lane{limiter: l, pacer: newPacer(), longest: longestTransactional}
}

// Return gives back n reserved units of the account's rate. The parameter "ahead" is the time from
// now to the reserved turn.
func (l *Lane) Return(ctx context.Context, n int, ahead time.Duration) error {
	return l.limiter.Return(ctx, n, ahead)
}

// Cooldown stops all calls of the account for d.
func (l *Lane) Cooldown(ctx context.Context, d time.Duration) error {
	return l.limiter.Cooldown(ctx, d)
}

// Request describes what a slot reserves for a call: units of the account's rate, and a place among
// the calls in flight.
type Request struct {
	Units int
	Slots *Slots
	// FairGap returns the time that the account's rate needs for one such call of each live worker.
	FairGap func(context.Context) time.Duration
}

// Reserve waits until the account's rate allows the units and another call may be in flight.
// Then it takes a place among the calls in flight. The result "turn" is the start of the
// reserved turn. If the worker drains meanwhile, "ok" is false and Reserve takes no place. If
// "ok" is true, the caller must call Slots.Leave once.
func (l *Lane) Reserve(ctx context.Context, w *Waiter, r Request) (turn time.Time, ok bool, err error) {
	for !w.Stop.Draining() {
		wait, booked, ok, err := l.reserveOnce(ctx, w, r)
		if err != nil || !ok {
			return turn, false, err
		}
		turn = time.Now().Add(wait)
		if ok, err = w.wait(ctx, wait); err != nil || !ok {
			if booked {
				err = errors.Join(err, l.limiter.Return(ctx, r.Units, time.Until(turn)))
			}
			return turn, false, err
		}
		if !booked {
			continue
		}
		if !r.Slots.Enter(w.Stop.Begun()) {
			return turn, false, l.limiter.Return(ctx, r.Units, time.Until(turn))
		}
		if time.Since(turn) <= MissedSlot {
			return turn, true, nil
		}
		r.Slots.Leave()
	}
	return turn, false, nil
}

// reserveOnce waits until the pacer allows a request, and requests one reservation from the
// limiter. The result "booked" reports whether the limiter granted the reservation. The result "ok"
// is false if the worker drains.
func (l *Lane) reserveOnce(ctx context.Context, w *Waiter, r Request) (wait time.Duration, booked, ok bool, err error) {
	_, spaced := l.pacer.until(time.Now())
	if spaced {
		if ok, err := w.waitToAsk(ctx, l.pacer); err != nil || !ok {
			return 0, false, false, err
		}
		defer l.pacer.done()
		wait, _ := l.pacer.until(time.Now())
		if ok, err := w.wait(ctx, wait); err != nil || !ok {
			return 0, false, false, err
		}
	}
	wait, booked, err = l.limiter.Reserve(ctx, r.Units, l.longest)
	if err == nil {
		l.pacer.observe(time.Now(), wait, booked, spaced, l.longest, r.FairGap(ctx))
	}
	return wait, booked, true, err
}
