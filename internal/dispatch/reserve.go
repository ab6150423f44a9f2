package dispatch

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
)

// reservation is the result of the method "reserve". If ok is true, three things are reserved for a call:
// its turn, the units of the account's rate that it takes, and a place among the calls in flight. If ok is
// false, nothing is reserved, and the batch must be loaded again.
type reservation struct {
	ok    bool
	units int
	turn  time.Time
}

// The method "reserve" waits until the account's rate allows the call of a generation, and until a
// place among the calls in flight is free. If the worker drains, or if the account was held meanwhile,
// it reserves nothing. If the reservation is ok, the caller must give back the place after the call.
func (s *Sender) reserve(ctx context.Context, b *batch, g *ledger.Generation, a admission) (reservation, error) {
	units, began := b.units(g), time.Now()
	turn, ok, err := b.lane().Reserve(ctx, b.waiter, pacing.Request{Units: units, Slots: b.acc.slots,
		FairGap: func(ctx context.Context) time.Duration { return s.Shares.FairGap(ctx, b.acc.Name, units) }})
	if err != nil || !ok {
		return reservation{}, err
	}
	b.acc.Meter.Waited(time.Since(began))
	if held, err := s.heldMeanwhile(ctx, b, a); err != nil || held {
		if err == nil {
			err = b.lane().Return(ctx, units, time.Until(turn))
		}
		b.acc.slots.Leave()
		return reservation{}, err
	}
	return reservation{ok: true, units: units, turn: turn}, nil
}

// heldMeanwhile reports whether the account was held while this call waited for its turn. Without
// this check, every slot that was waiting when the hold began would still make a call.
func (s *Sender) heldMeanwhile(ctx context.Context, b *batch, admitted admission) (bool, error) {
	if admitted.look.Probe || time.Since(admitted.lookedAt) < pacing.MissedSlot {
		return false, nil
	}
	a, err := s.Accounts.Account(ctx, b.acc.Name)
	return err == nil && a.Hold.Stops(b.camp.Spec.Class), err
}
