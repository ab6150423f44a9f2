package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
)

func newAccountsSync(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Publish the configured accounts before a worker runs",
		Long: `Sync publishes the accounts, routes and sending hours of the configuration in
Redis, so that programs can enqueue campaigns before a worker runs. It suits a
deploy job. It needs no secrets and contacts no gateway.

Sync does not change the settings of running workers: for each setting, the
value of the worker that started last stays in force. The next worker to start
replaces what sync has published. After the retention, Tuma forgets an account
that no worker serves.`,
		Example: "  tuma accounts sync\n  tuma accounts sync --config /etc/tuma/tuma.yaml",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return syncAccounts(ctx, a) }),
	}
}

// syncAccounts publishes the accounts of the configuration and prints the result.
func syncAccounts(ctx context.Context, a *app) error {
	cfg, err := a.config(true)
	if err != nil {
		return err
	}
	offers, err := cfg.Offers()
	if err != nil {
		return misuseError{err: err}
	}
	if len(offers) == 0 {
		return misuse("%s has no accounts: add an account to the section \"accounts\"", cfg.File)
	}
	return a.withBackend(ctx, func(b *backend) error {
		if err := refuseUnwritable(ctx, b); err != nil {
			return err
		}
		done, err := accounts.New(ledger.New(b.rdb).Runner()).Sync(ctx, offers, cfg.Settings())
		if err != nil {
			return err
		}
		if len(done.Published) > 0 || done.Settings {
			record(ctx, a, b, "accounts.sync", strings.Join(done.Published, ","), "")
		}
		if len(done.Published) > 0 {
			_, err = fmt.Fprintln(a.out, "published: "+strings.Join(done.Published, ", "))
		}
		if len(done.Kept) > 0 {
			a.note("tuma: note: accounts left unchanged, because a worker serves them: %s", strings.Join(done.Kept, ", "))
		}
		if !done.Settings {
			a.note("tuma: note: country, sending hours, routes and retention stay those of the running workers until the next worker starts")
		}
		return err
	})
}

// noteDifferences prints each setting of a running worker that differs from the setting in
// force.
func noteDifferences(a *app, all []producer.Account) {
	seen := map[producer.Difference]bool{}
	for _, acc := range all {
		for _, d := range acc.Differences {
			if key := (producer.Difference{Worker: d.Worker, Account: d.Account, Setting: d.Setting}); !seen[key] {
				seen[key] = true
				a.note("tuma: warning: worker %s %s", d.Worker, differenceText(d.Account, d.Setting, d.Own, d.InForce)+", since "+a.screen().Time(d.Since))
			}
		}
	}
}

// differenceText describes a setting of a worker or of the configuration whose value is not in force. The parameter
// "own" is that value, and the parameter "inForce" is the value in force.
func differenceText(account, setting, own, inForce string) string {
	of := ""
	if account != "" {
		of = " of " + account
	}
	return fmt.Sprintf("has %s%s %s; the value in force is %s, from the worker that started last", setting, of, own, inForce)
}

// noteOwnDifferences prints each setting of the configuration that differs from the setting in
// force.
func noteOwnDifferences(ctx context.Context, a *app, b *backend) error {
	store := accounts.New(ledger.New(b.rdb).Runner())
	in, published, err := store.Settings(ctx)
	if err != nil {
		return err
	}
	all, err := store.All(ctx)
	if err != nil {
		return err
	}
	for _, d := range b.cfg.Differences(in, published, all) {
		a.note("tuma: warning: %s %s, since %s", b.cfg.File, differenceText(d.Account, d.Setting, d.Own, d.InForce), a.screen().Time(d.Since))
	}
	public, err := b.Accounts(ctx)
	noteDifferences(a, public)
	return err
}

// configuredAccounts returns the accounts of the configuration in the form that workers publish.
func configuredAccounts(cfg *config.Config) (out []producer.Account) {
	settings := cfg.Settings()
	for _, acc := range cfg.Accounts {
		c := acc.Card()
		out = append(out, producer.Account{Name: c.Name, Provider: c.Provider, Info: c.Info, Rate: c.Rate, Burst: c.Burst, Unit: c.Unit, Sender: c.Sender,
			Price: c.Price, OnUnknown: c.OnUnknown, ReportFor: c.ReportFor, Country: settings.Country, Windows: settings.Windows})
	}
	return out
}

// accountsFor returns the accounts that a campaign may use. The parameter "via" is the campaign's field Via. It names
// one account, or it is empty if the campaign may use all accounts. accountsFor knows the accounts that workers have
// published, and the other accounts of the configuration.
func (b *backend) accountsFor(ctx context.Context, via string) (out []producer.Account, err error) {
	all, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	published := map[string]bool{}
	for _, acc := range all {
		published[acc.Name] = true
	}
	for _, acc := range configuredAccounts(b.cfg) {
		if !published[acc.Name] {
			all = append(all, acc)
		}
	}
	for _, acc := range all {
		if via == "" || via == acc.Name {
			out = append(out, acc)
		}
	}
	return out, nil
}

// noteNoWorker prints a note that no worker serves the given accounts.
func noteNoWorker(a *app, accounts []string) {
	if len(accounts) > 0 {
		a.note("tuma: note: no worker serves %s: nothing is sent until a worker runs (tuma worker)", strings.Join(accounts, ", "))
	}
}
