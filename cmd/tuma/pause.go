package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func newPause(a *app) *cobra.Command {
	return newStopCommand(a, stopCommand{
		use:   "pause ID",
		short: "Stop a campaign until it is resumed",
		long: `Pause stops a campaign until 'tuma resume'. When the command returns, no new
call of the campaign starts. Calls already in flight finish and are counted; the
command waits for them unless --no-wait is given. A campaign that has already
ended is not changed; the exit status is still 0.`,
		example: "  tuma pause sale-2025-11\n  tuma resume sale-2025-11",
		stop:    (*producer.Client).Pause,
		done:    "is paused",
		what:    "campaign.pause",
	})
}

// stopCommand describes `tuma pause` or `tuma cancel`. Both stop a campaign at once and then wait
// for its calls in flight.
type stopCommand struct {
	use, short, long, example string
	stop                      func(*producer.Client, context.Context, string) (producer.InFlight, error)
	// confirm returns the question that a user at a terminal must answer before the campaign is
	// stopped. If confirm is nil, the command does not ask.
	confirm func(producer.Status) string
	// The field "done" is the text that is printed after the campaign's ID, such as "is paused".
	done string
	// `what` is the verb of the entry in the audit log, such as "campaign.pause".
	what string
}

// inFlightTimeout is the time limit of the wait for calls in flight. It is longer than the sum of three
// durations: the timeout of a call, its lease, and the time that the sweeper needs to find the call of a
// dead worker.
const inFlightTimeout = 3 * time.Minute

func newStopCommand(a *app, o stopCommand) *cobra.Command {
	var noWait, yes bool
	c := &cobra.Command{
		Use: o.use, Short: o.short, Long: o.long, Example: o.example,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				if o.confirm != nil && !yes && asksUser(a) {
					if err := confirmStop(ctx, a, b, id, o.confirm); err != nil {
						return err
					}
				}
				inFlightCalls, err := o.stop(b.Client, ctx, id)
				done := o.done
				switch {
				case errors.Is(err, producer.ErrDone):
					done = "has already ended: nothing to stop"
				case errors.Is(err, producer.ErrStopped):
					done = "is already cancelled: nothing to stop"
				case err != nil:
					return err
				default:
					record(ctx, a, b, o.what, id, "")
				}
				if inFlightCalls.Calls > 0 {
					a.note("tuma: %s to %s in flight",
						console.Plural(inFlightCalls.Calls, "call"), console.Plural(inFlightCalls.Recipients, "recipient"))
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
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for calls that are in flight")
	if o.confirm != nil {
		c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	}
	return c
}

// confirmStop asks whether to stop a campaign. It returns an error if the user does not agree. It does not
// ask if the campaign has ended or is cancelled.
func confirmStop(ctx context.Context, a *app, b *backend, id string, question func(producer.Status) string) error {
	st, err := b.Status(ctx, id)
	if err != nil || st.Ended() || st.State == producer.Cancelled || st.State == producer.Uploading {
		return err
	}
	sure, err := a.ask(ctx, question(st))
	if err != nil || !sure {
		return errors.Join(fmt.Errorf("%s was not changed", id), err)
	}
	return nil
}

// waitForCalls waits until no call of the campaign is in flight, at most inFlightTimeout.
func (a *app) waitForCalls(ctx context.Context, b *backend, id string) error {
	a.note("tuma: waiting for the calls in flight; with --no-wait the command returns at once")
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
	return errors.New("the campaign is stopped, but calls are still in flight; see tuma status " + id)
}

// explainCancelled adds an explanation to the error producer.ErrStopped: the campaign was cancelled, and this is
// permanent. It returns other errors unchanged.
func explainCancelled(err error) error {
	if errors.Is(err, producer.ErrStopped) {
		return fmt.Errorf("%w: the campaign was cancelled, which is permanent", err)
	}
	return err
}

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Continue a paused campaign",
		Long: `Resume continues a paused campaign where it stopped; no message is sent again.
It also continues a campaign that Tuma itself has paused: because a gateway
refused the whole campaign, or because too many messages were rejected (see
--max-rejected of 'tuma send'). 'tuma status' shows the reason. Resume also
tries to read quarantined records again.`,
		Example:           "  tuma resume sale-2025-11",
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				_, err := b.Resume(ctx, id)
				if errors.Is(err, producer.ErrDone) {
					return a.resumeDone(ctx, b, id, err)
				}
				if err != nil {
					return explainCancelled(err)
				}
				record(ctx, a, b, "campaign.resume", id, "")
				_, err = fmt.Fprintf(a.out, "%s is resumed\n", id)
				return err
			})
		}),
	}
}

// resumeDone handles `tuma resume` for a campaign that has ended. It returns an error only if the
// campaign expired, because then recipients were skipped.
func (a *app) resumeDone(ctx context.Context, b *backend, id string, refused error) error {
	st, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	if n := st.Reasons["expired"]; n > 0 {
		return fmt.Errorf("%w: the campaign expired; skipped: %s", refused, console.Plural(n, "recipient"))
	}
	_, err = fmt.Fprintf(a.out, "%s has already ended: nothing left to send\n", id)
	return err
}

func newCancel(a *app) *cobra.Command {
	return newStopCommand(a, stopCommand{
		use:   "cancel ID",
		short: "End a campaign permanently",
		long: `Cancel ends a campaign permanently. Recipients whose call has not started are
skipped, with the reason "cancelled". Calls already in flight finish and are
counted; the command waits for them unless --no-wait is given. A campaign that
has already ended is not changed; the exit status is still 0.

On a terminal the command asks first; --yes skips the question.`,
		example: "  tuma cancel sale-2025-11\n  tuma cancel sale-2025-11 --yes",
		confirm: func(st producer.Status) string {
			return fmt.Sprintf("cancel %s (%s)? %s of %s will not get the message; this cannot be undone", st.ID, st.State,
				console.FormatInt(max(st.Pending-st.InFlight.Recipients, 0)), console.Plural(st.Total, "recipient"))
		},
		stop: (*producer.Client).Cancel,
		done: "is cancelled",
		what: "campaign.cancel",
	})
}
