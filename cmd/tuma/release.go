package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newRelease(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "release ACCOUNT",
		Short: "Lift whatever hold an account has",
		Long: `Release lifts whatever hold an account has, also one that Tuma set itself because
of credit, credentials, configuration or a gateway that fails. If the cause is
still there, the account is held again after a few calls.`,
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
			text := "%s is released\n"
			if !had {
				text = "%s was not held\n"
			}
			_, err = fmt.Fprintf(a.out, text, args[0])
			return err
		}),
	}
}
