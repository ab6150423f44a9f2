package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Let a paused campaign go on",
		Long: `Resume lets a paused campaign go on where it stood; nothing is repeated. It also
lifts a pause that Tuma set itself, when a gateway refused something about the
whole campaign, or too many were rejected (tuma send --max-rejected): tuma status
says what. Records that could not be read and were set aside are tried again.`,
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
				_, err = fmt.Fprintf(a.out, "%s goes on\n", id)
				return err
			})
		}),
	}
}

// resumeDone answers for a campaign that has ended: if all of it was sent, what was
// asked for has happened already.
func (a *app) resumeDone(ctx context.Context, b *backend, id string, refused error) error {
	st, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	if n := st.Reasons["expired"]; n > 0 {
		return fmt.Errorf("%w: it expired, with %s to send to", refused, plural(n, "recipient"))
	}
	_, err = fmt.Fprintf(a.out, "%s is done: there is nothing left to send\n", id)
	return err
}
