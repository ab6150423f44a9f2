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

// watches sets the time at which the sweeper looks at a batch again.
type watches struct {
	ledger *ledger.Ledger
	clock  Clock
}

// at sets the watch of the batch to a time of Redis' clock.
func (w watches) at(ctx context.Context, b *batch, at time.Time) error {
	return w.ledger.Watch(ctx, b.id, b.name, at)
}

// in extends the watch of the batch until d from now, by Redis' clock.
func (w watches) in(ctx context.Context, b *batch, d time.Duration) error {
	now, err := w.clock.Now(ctx)
	if err != nil {
		return err
	}
	return w.at(ctx, b, now.Add(d))
}
