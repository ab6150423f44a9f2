package pacing

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/drain"
)

// keepAliveEvery is how often a waiting slot shows that it still works on its batch.
const keepAliveEvery = 2 * time.Second

// Waiter makes one slot wait. During the wait, it shows the sweeper that the slot still works on its
// batch. Otherwise the sweeper would treat the worker as dead. A Waiter is not safe for concurrent
// use.
type Waiter struct {
	Stop *drain.Signals
	// KeepAlive extends the watch of the batch by at least the given duration.
	KeepAlive func(context.Context, time.Duration) error

	alive time.Time // when KeepAlive was last called
}

// The method "wait" sleeps for the duration d, and meanwhile extends the batch's watch. It returns
// false if the worker drains.
func (w *Waiter) wait(ctx context.Context, d time.Duration) (bool, error) {
	for {
		if d > keepAliveEvery || time.Since(w.alive) > keepAliveEvery {
			if err := w.keepAlive(ctx); err != nil {
				return false, err
			}
		}
		if d <= keepAliveEvery {
			return w.Stop.Sleep(d), nil
		}
		if !w.Stop.Sleep(keepAliveEvery) {
			return false, nil
		}
		d -= keepAliveEvery
	}
}

// waitToAsk waits until no other slot of this worker uses the limiter. Then this slot may use the
// limiter. It returns false if the worker drains.
func (w *Waiter) waitToAsk(ctx context.Context, p *pacer) (bool, error) {
	for {
		if time.Since(w.alive) > keepAliveEvery {
			if err := w.keepAlive(ctx); err != nil {
				return false, err
			}
		}
		select {
		case p.asks <- struct{}{}:
			return true, nil
		case <-w.Stop.Begun():
			return false, nil
		case <-time.After(keepAliveEvery):
		}
	}
}

// keepAlive shows the sweeper that this worker still works on the batch.
func (w *Waiter) keepAlive(ctx context.Context) error {
	if err := w.KeepAlive(ctx, keepAliveEvery); err != nil {
		return err
	}
	w.alive = time.Now()
	return nil
}
