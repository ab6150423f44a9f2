package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"
)

// reasonWord is what status and accounts show as a reason.
var reasonWord = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

func newHold(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "hold ACCOUNT",
		Short: "Let nothing go through an account until it is released",
		Long: `Hold keeps all workers from beginning another call through an account. Its work
waits; nothing fails. tuma release lets it go on.`,
		Example: `  tuma hold kobo-main --reason maintenance
  tuma release kobo-main`,
		Args:              takes("ACCOUNT"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if !reasonWord.MatchString(reason) {
				return misuse("--reason: %.60q must be one word of letters, digits, _ . -", reason)
			}
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			if err := b.Hold(ctx, args[0], reason); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s is held (%s)\n", args[0], reason)
			return err
		}),
	}
	c.Flags().StringVar(&reason, "reason", "manual", "why, in one word")
	return c
}
