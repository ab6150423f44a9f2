package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/ratelimit"
)

func newRate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rate ACCOUNT RATE|default",
		Short: "Change the rate of an account while it is sending",
		Long: `Rate sets the rate of an account for all workers at once: N/s, N/m, or 0 for no
limit. The new rate applies from the workers' next call on. It overrides the
configuration, also for workers that start later. To restore the configured
rate: tuma rate ACCOUNT default. A configured burst stays; otherwise the burst
is 0.1 s of the new rate. Calls that are already planned are not planned again.`,
		Example: `  tuma rate kobo-main 80/s
  tuma rate kobo-main default`,
		Args:              takes("ACCOUNT", "RATE"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			rate, err := ratelimit.ParseRate(args[1])
			if err != nil && args[1] != "default" {
				return misuse("rate %.40q must be like 50/s or 600/m, 0 for no limit, or \"default\" for the configured rate", args[1])
			}
			return a.withBackend(ctx, func(b *backend) error {
				if err := a.setRate(ctx, ledger.New(b.rdb), args[0], rate, args[1] == "default"); err != nil {
					return err
				}
				record(ctx, a, b, "account.rate", args[0], args[1])
				return nil
			})
		}),
	}
}

// setRate sets the rate of an account, or restores the configured rate, and prints the
// result.
func (a *app) setRate(ctx context.Context, l *ledger.Ledger, name string, rate ratelimit.Rate, configured bool) error {
	acc, err := accounts.New(l.Runner()).Account(ctx, name)
	if err != nil {
		return err
	}
	setting := ""
	if !configured {
		if setting, err = ratelimit.Setting(rate, acc.ConfiguredBurst); err != nil {
			return err
		}
	}
	if err := accounts.New(l.Runner()).SetRate(ctx, name, setting); err != nil {
		return err
	}
	if configured {
		_, err = fmt.Fprintf(a.out, "account %s: rate %s, as configured\n", name, rateText(acc.Configured))
	} else {
		_, err = fmt.Fprintf(a.out, "account %s: rate %s. The configured rate is %s; to restore it: tuma rate %s default\n", name, rateText(float64(rate)), rateText(acc.Configured), name)
	}
	return err
}
