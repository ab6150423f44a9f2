package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func newPurge(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "purge ID",
		Short: "Delete an ended campaign with its numbers and texts",
		Long: `Purge deletes a campaign that has ended: its numbers, texts and results. Without
this command, Tuma deletes them when the retention is over. A campaign that is
still being sent is not changed: cancel it first.

Tuma keeps the ID for a year, but no number or text of the campaign. So 'tuma
send' with the same ID does not send the campaign again. Suppression lists and
the inbox keep their entries, and the gateway keeps its own records.

On a terminal the command asks first; --yes skips the question.`,
		Example:           "  tuma purge sale-2025-11\n  tuma purge sale-2025-11 --yes",
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				if !yes && asksUser(a) {
					if err := confirmPurge(ctx, a, b, id); err != nil {
						return err
					}
				}
				err := b.Purge(ctx, id)
				if errors.Is(err, producer.ErrNotEnded) {
					return fmt.Errorf("%w: wait for its end (tuma status %s --watch) or cancel it (tuma cancel %s)", err, id, id)
				}
				if err != nil {
					return err
				}
				record(ctx, a, b, "campaign.purge", id, "")
				_, err = fmt.Fprintf(a.out, "%s is purged\n", id)
				return err
			})
		}),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	return c
}

// confirmPurge asks whether to delete a campaign. It returns an error if the user does not agree. It does
// not ask about a campaign that has not ended, because Purge refuses such a campaign.
func confirmPurge(ctx context.Context, a *app, b *backend, id string) error {
	st, err := b.Status(ctx, id)
	if err != nil || st.FinishedAt == nil {
		return err
	}
	sure, err := a.ask(ctx, fmt.Sprintf("delete %s (%s) with %s, texts and results? this cannot be undone", id, st.State, console.Plural(st.Total, "recipient")))
	if err != nil || !sure {
		return errors.Join(fmt.Errorf("%s was not changed", id), err)
	}
	return nil
}
