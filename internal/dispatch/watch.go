package dispatch

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// Clock reads the time by Redis' clock.
type Clock interface {
	// Now returns the time.
	Now(ctx context.Context) (time.Time, error)
}

// The type "watches" sets the time at which the sweeper checks a batch again.
type watches struct {
	ledger *ledger.Ledger
	clock  Clock
}

// The method "set" sets the watch of the batch to a time of Redis' clock.
func (w watches) set(ctx context.Context, b *batch, at time.Time) error {
	return w.ledger.Watch(ctx, b.id, b.name, at, b.stopped)
}

// The method "extend" sets the watch of the batch to the time now plus d, by Redis' clock.
func (w watches) extend(ctx context.Context, b *batch, d time.Duration) error {
	now, err := w.clock.Now(ctx)
	if err != nil {
		return err
	}
	return w.set(ctx, b, now.Add(d))
}
