package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Let a paused campaign go on",
		Long: `Resume lets a paused campaign go on where it stood; nothing is repeated. It also
lifts a pause that Tuma set itself, when a gateway refused something about the
whole campaign: tuma status says what. Records that could not be read and were set
aside are tried again.`,
		Example:           "  tuma resume sale-2025-11",
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				if _, err := b.Resume(ctx, id); err != nil {
					return unwelcome(err, "send")
				}
				_, err := fmt.Fprintf(a.out, "%s goes on\n", id)
				return err
			})
		}),
	}
}
