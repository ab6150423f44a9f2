package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Continue a paused campaign",
		Long: `Resume continues a paused campaign where it stopped; nothing is sent again. It
also continues a campaign that Tuma itself has paused: because a gateway refused
something that concerns the whole campaign, or because too many messages were
rejected (see --max-rejected of 'tuma send'). 'tuma status' shows the reason.
Resume also tries to read quarantined records again.`,
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
		return fmt.Errorf("%w: it expired with %s not sent to", refused, console.Plural(n, "recipient"))
	}
	_, err = fmt.Fprintf(a.out, "%s has already ended: nothing left to send\n", id)
	return err
}
