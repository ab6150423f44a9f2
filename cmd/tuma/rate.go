package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/ratelimit"
)

func newRate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rate ACCOUNT RATE|default",
		Short: "Change how fast an account sends, while it sends",
		Long: `Rate sets an account's rate for all workers at once: N/s, N/m, or 0 for no limit.
It holds from their next call on, wins over the configuration, also of workers that
are started later, and lasts until tuma rate ACCOUNT default gives the
configuration's back. A burst that the configuration names stays; else it is 0.1 s
of the new rate. What has been planned is sent as planned.`,
		Example: `  tuma rate kobo-main 80/s
  tuma rate kobo-main default`,
		Args:              takes("ACCOUNT", "RATE"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			rate, err := ratelimit.ParseRate(args[1])
			if err != nil && args[1] != "default" {
				return misuse("%.40q is no rate: write 50/s, 600/m, 0 for no limit, or default for the configuration's", args[1])
			}
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			return a.setRate(ctx, ledger.New(b.rdb), args[0], rate, args[1] == "default")
		}),
	}
}

func (a *app) setRate(ctx context.Context, l *ledger.Ledger, name string, rate ratelimit.Rate, configured bool) error {
	acc, err := l.Account(ctx, name)
	if err != nil {
		return err
	}
	setting := ""
	if !configured {
		if setting, err = ratelimit.Setting(rate, acc.ConfiguredBurst); err != nil {
			return err
		}
	}
	if err := l.SetRate(ctx, name, setting); err != nil {
		return err
	}
	if configured {
		_, err = fmt.Fprintf(a.out, "%s: %s, as configured\n", name, rateText(acc.Configured))
	} else {
		_, err = fmt.Fprintf(a.out, "%s: %s until tuma rate %s default; configured is %s\n", name, rateText(float64(rate)), name, rateText(acc.Configured))
	}
	return err
}
