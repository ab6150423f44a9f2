package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newRelease(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "release ACCOUNT",
		Short: "Release an account hold",
		Long: `Release ends the hold of an account, whether 'tuma hold' or Tuma itself has set
it. Tuma holds an account because of its credit, credentials or configuration,
or when the gateway fails. If the cause of the hold still exists, Tuma holds the
account again after a few calls.`,
		Example:           "  tuma release kobo-main",
		Args:              takes("ACCOUNT"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			had, err := b.Release(ctx, args[0])
			if err != nil {
				return err
			}
			text := "account %s is released\n"
			if !had {
				text = "account %s was not on hold\n"
			}
			_, err = fmt.Fprintf(a.out, text, args[0])
			return err
		}),
	}
}
