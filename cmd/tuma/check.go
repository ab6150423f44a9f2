package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

func newCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, Redis and the credentials",
		Long: `Check reads the configuration and checks that Redis is set up to keep its data
and accepts writes. It tries the credentials of every account whose gateway
offers a balance request, and prints how the delivery reports of each account
are collected, or why not. It warns of settings that are not in force, because a
worker with other settings started last. It sends no message and changes
nothing, except for the Redis keys tuma:probe and asynq:probe, which expire
after ten seconds.`,
		Example: "  tuma check\n  tuma check --config /etc/tuma/tuma.yaml",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return a.check(ctx) }),
	}
}

// check runs all checks and returns their errors joined. A failed check does not end the command.
func (a *app) check(ctx context.Context) error {
	cfg, err := a.config(true)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format+"\n", args...) }
	var failed []error
	say("configuration  ok  %s, %s, %s", cfg.File, console.Plural(len(cfg.Accounts), "account"), console.Plural(len(cfg.Routes), "route"))
	if err := a.withBackend(ctx, func(b *backend) error { return errors.Join(a.checkRedis(ctx, b), noteOwnDifferences(ctx, a, b)) }); err != nil {
		failed = append(failed, err)
	} else {
		under := ""
		if cfg.Redis.Prefix != "" {
			under = ", keys under " + cfg.Redis.Prefix
		}
		say("redis          ok  %s%s", config.URLWithoutLogin(cfg.Redis.URL), under)
	}
	if windows, err := sendingHoursSummary(cfg.Windows, a.screen(), a.now()); err != nil {
		failed = append(failed, err)
	} else {
		say("windows        ok  %s", windows)
	}
	for _, acc := range cfg.Accounts {
		got, err := queryBalance(ctx, acc)
		var wrong misuseError
		switch {
		case errors.As(err, &wrong):
			say("account        ?   %s: cannot be checked: provider %s has no balance request", acc.Name, acc.Kind.Name)
		case err != nil:
			failed = append(failed, accountProblem(acc, err))
		default:
			say("account        ok  %s: balance %s", acc.Name, formatBalance(got))
		}
	}
	checkReports(cfg.Accounts, say)
	if len(cfg.Accounts) == 0 {
		failed = append(failed, misuse("%s has no accounts: add an account to the section \"accounts\"", cfg.File))
	}
	return errors.Join(failed...)
}

// accountProblem adds the name of the account to the error, and the names of the settings that
// the user must check.
func accountProblem(acc *config.Account, err error) error {
	var incomplete *config.Error
	if errors.As(err, &incomplete) {
		return err
	}
	advice := ""
	if e, ok := errors.AsType[*providers.Error](err); ok {
		switch e.Cause {
		case providers.CauseCredentials:
			advice = ": check the account's " + strings.Join(acc.Login, " and ")
		case providers.CauseConfiguration, providers.CauseNotUnderstood:
			advice = ": check the account's base_url"
		case providers.CauseConnection:
			advice = ": check the account's base_url, and the network"
		}
	}
	return fmt.Errorf("account %s: %w%s", acc.Name, err, advice)
}

// checkRedis checks that Redis answers and is set up to keep its data, and prints warnings.
func (a *app) checkRedis(ctx context.Context, b *backend) error {
	warnings, err := worker.CheckRedis(ctx, b.rdb, b.cfg.Redis.Unsafe)
	more, err2 := worker.CheckDurability(ctx, b.rdb, worker.Durability(b.cfg.Redis.Durability))
	for _, w := range append(warnings, more...) {
		a.note("tuma: warning: %s", w)
	}
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	n, err := ledger.NewPayloads(ledger.New(b.rdb).Runner()).Count(ctx)
	if n > 0 {
		a.note("tuma: warning: the Redis key tuma:payloads holds %s whose payload cannot be read and names no known campaign", console.Plural(n, "quarantined task"))
	}
	return err
}

// sendingHoursSummary describes the sending hours, and whether they are open now.
func sendingHoursSummary(windows map[string]worker.Hours, p console.Screen, now time.Time) (string, error) {
	if len(windows) == 0 {
		return "off: marketing is sent at any time of day", nil
	}
	var parts []string
	for _, country := range slices.Sorted(maps.Keys(windows)) {
		w, err := hours.In(country, hours.Hours(windows[country]))
		if err != nil {
			return "", err
		}
		parts = append(parts, w.String()+" ("+openText(w, p, now)+")")
	}
	return "marketing to " + strings.Join(parts, ", "), nil
}

// openText describes whether the sending hours are open now, and until when.
func openText(w *hours.Window, p console.Screen, now time.Time) string {
	switch open, until := w.Open(now); {
	case open && until.IsZero():
		return "open"
	case open:
		return "open until " + p.Time(until)
	default:
		return "closed until " + p.Time(until)
	}
}
