// Package wake queues the wake-ups of work. Work is the planning of a campaign, or an open batch. A
// wake-up is a task in the queue that only names its work. If a wake-up is lost, the sweeper queues
// it again.
package wake

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/tracing"
)

// Watch is how long a wake-up may wait in the queue before the sweeper checks whether it is lost. While a
// worker handles the wake-up, the worker repeatedly extends this time by Watch.
const Watch = 5 * time.Second

// HeldWatch is how often the sweeper checks whether the hold of an account is over.
const HeldWatch = 2 * time.Second

// Waker queues wake-ups. Its methods are safe for concurrent use.
type Waker struct {
	Ledger    *ledger.Ledger
	Queue     *queue.Queue
	Campaigns *Campaigns
	// HandOverWithin is the maximum duration of HandOver.
	HandOverWithin time.Duration
}

// All queues the wake-ups of batches that the ledger has opened for the campaign c. id is the ID
// of the campaign. The wake-ups belong to the trace in ctx.
func (w *Waker) All(ctx context.Context, id string, c *Campaign, wakes []ledger.Wake) error {
	for _, x := range wakes {
		name, err := c.QueueOf(x.Batch)
		if err != nil {
			return fmt.Errorf("wake %s: %w", id, err)
		}
		if err := w.Queue.Wake(ctx, name, queue.Pointer{Campaign: id, Batch: x.Batch, Wake: x.Number, Trace: tracing.Header(ctx)}); err != nil {
			return err
		}
	}
	return nil
}

// One queues the wake-up x, which belongs to a batch or to the campaign's planning.
func (w *Waker) One(ctx context.Context, id string, c *Campaign, x ledger.Wake) error {
	if x.Batch == ledger.PlanWork {
		return w.Queue.Wake(ctx, c.FirstQueue(), queue.Pointer{Campaign: id, Wake: x.Number, Trace: tracing.Header(ctx)})
	}
	return w.All(ctx, id, c, []ledger.Wake{x})
}

// HandOver queues a new wake-up for work that a slot leaves unfinished, because the worker drains
// or other campaigns come first.
func (w *Waker) HandOver(p queue.Pointer) error {
	ctx, cancel := context.WithTimeout(context.Background(), w.HandOverWithin)
	defer cancel()
	lost := ledger.Wake{Batch: p.Batch, Number: p.Wake}
	if p.Batch == "" {
		lost.Batch = ledger.PlanWork
	}
	next, ok, err := w.Ledger.RaiseWake(ctx, p.Campaign, lost, Watch)
	if err != nil || !ok {
		return err
	}
	c, err := w.Campaigns.Get(ctx, p.Campaign)
	if err != nil {
		return err
	}
	return w.One(tracing.With(ctx, p.Trace), p.Campaign, c, next)
}
