package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

func newPause(a *app) *cobra.Command {
	return newStopCommand(a, stopCommand{
		use:   "pause ID",
		short: "Stop a campaign until it is resumed",
		long: `Pause stops a campaign: once it is back, no call begins that had not begun before.
Calls that are with a gateway at that moment are finished and counted; pause
waits for them, unless --no-wait is given. Of a campaign that has ended it says so,
and has nothing to do.`,
		example: "  tuma pause sale-2025-11\n  tuma resume sale-2025-11",
		stop:    (*producer.Client).Pause,
		done:    "is paused",
	})
}

// order is what pause and cancel have in common: something that takes effect at
// once, and leaves calls in flight to wait for.
type stopCommand struct {
	use, short, long, example string
	stop                      func(*producer.Client, context.Context, string) (producer.InFlight, error)
	done                      string
}

// inFlightPatience bounds the wait for calls in flight: a call's deadline, its
// lease, and what a dead worker's takes to be found.
const inFlightTimeout = 3 * time.Minute

func newStopCommand(a *app, o stopCommand) *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use: o.use, Short: o.short, Long: o.long, Example: o.example,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				inFlightCalls, err := o.stop(b.Client, ctx, id)
				done := o.done
				switch {
				case errors.Is(err, producer.ErrDone):
					done = "is done: there is nothing left to stop"
				case errors.Is(err, producer.ErrStopped):
					done = "is cancelled already: there is nothing left to stop"
				case err != nil:
					return err
				}
				if inFlightCalls.Calls > 0 {
					a.note("tuma: %s, to %s, had begun before",
						plural(inFlightCalls.Calls, "call"), plural(inFlightCalls.Recipients, "recipient"))
					if !noWait {
						if err := a.waitForCalls(ctx, b, id); err != nil {
							return err
						}
					}
				}
				_, err = fmt.Fprintf(a.out, "%s %s\n", id, done)
				return err
			})
		}),
	}
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for calls in flight")
	return c
}

// land waits until no call of the campaign is in flight.
func (a *app) waitForCalls(ctx context.Context, b *backend, id string) error {
	a.note("tuma: waiting for them (--no-wait does not)")
	ctx, cancel := context.WithTimeout(ctx, inFlightTimeout)
	defer cancel()
	for st, err := range b.Watch(ctx, id) {
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil && st.InFlight.Calls == 0 {
			return nil
		}
	}
	return errors.New("the order stands, but calls are still in flight: see tuma status " + id)
}

// unwelcome says what it means that a campaign does not take an order.
func explainCancelled(err error) error {
	if errors.Is(err, producer.ErrStopped) {
		return fmt.Errorf("%w: it was cancelled, and that is for good", err)
	}
	return err
}
