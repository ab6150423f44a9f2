package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/accounts"
)

func newHold(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "hold ACCOUNT",
		Short: "Stop sending through an account",
		Long: `Hold stops all calls through an account: no worker starts a new call. The work
of the account waits, and no message fails. 'tuma release' ends the hold.`,
		Example: `  tuma hold kobo-main --reason maintenance
  tuma release kobo-main`,
		Args:              takes("ACCOUNT"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if !accounts.ValidHoldReason(reason) {
				return misuse("--reason: %.60q must be one word of 1 to 40 letters, digits or _ . -", reason)
			}
			return a.withBackend(ctx, func(b *backend) error {
				if err := b.Hold(ctx, args[0], reason); err != nil {
					return err
				}
				record(ctx, a, b, "account.hold", args[0], reason)
				_, err := fmt.Fprintf(a.out, "account %s is on hold (%s)\n", args[0], reason)
				return err
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "manual", "the reason, one `word`")
	return c
}

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
			return a.withBackend(ctx, func(b *backend) error {
				had, err := b.Release(ctx, args[0])
				if err != nil {
					return err
				}
				record(ctx, a, b, "account.release", args[0], "")
				text := "account %s is released\n"
				if !had {
					text = "account %s was not on hold\n"
				}
				_, err = fmt.Fprintf(a.out, text, args[0])
				return err
			})
		}),
	}
}
