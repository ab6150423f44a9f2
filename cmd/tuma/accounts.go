package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/ratelimit"
)

// accountView is one account in the output of `tuma accounts --json`.
type accountView struct {
	Name     string  `json:"name"`
	Provider string  `json:"provider"`
	Rate     float64 `json:"rate"` // rate per second, in the unit that Unit names; 0 means unlimited
	// ConfiguredRate is the rate in the configuration. The field is nil unless `tuma rate` has set
	// another rate.
	ConfiguredRate *float64  `json:"configured_rate,omitempty"`
	Burst          float64   `json:"burst,omitempty"`
	Unit           string    `json:"unit"`
	Sender         string    `json:"sender,omitempty"`
	Price          string    `json:"price,omitempty"`
	MaxRecipients  int       `json:"max_recipients"` // maximum number of recipients in one call
	Workers        int       `json:"workers"`        // number of live workers that serve the account
	Slots          int       `json:"slots"`          // maximum number of concurrent calls, all workers together
	LastSeen       time.Time `json:"last_seen,omitzero"`
	LastAccepted   time.Time `json:"last_accepted,omitzero"`
	Hold           *holdView `json:"hold"`
	// Circuit is "open" while an automatic hold stops calls, and "closed" otherwise.
	Circuit   string    `json:"circuit"`
	BadInARow int       `json:"bad_in_a_row"` // number of failed calls since the last call that succeeded
	Balance   string    `json:"balance,omitempty"`
	BalanceAt time.Time `json:"balance_at,omitzero"`
	// InForceBy is the name of the worker whose settings of the account are in force. InForceSince
	// is when these settings last changed. The field Differs has the settings whose value differs in
	// another live worker.
	InForceBy    string                `json:"in_force_by,omitempty"`
	InForceSince time.Time             `json:"in_force_since,omitzero"`
	Differs      []producer.Difference `json:"differs,omitempty"`
	// Country is the default country of numbers in national form.
	Country string `json:"country,omitempty"`
	// Windows maps a country to its sending hours for marketing, such as "08:00-18:00".
	Windows map[string]string `json:"windows,omitempty"`
}

// holdView is an account's hold in the output of `tuma accounts --json`.
type holdView struct {
	Reason string    `json:"reason"`
	Code   string    `json:"code,omitempty"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Until is when Tuma tries the account again. The field is absent if only `tuma release` ends
	// the hold.
	Until time.Time `json:"until,omitzero"`
	// BulkOnly is true if the hold stops bulk campaigns only: transactional campaigns are sent.
	BulkOnly bool `json:"bulk_only,omitempty"`
}

func viewAccount(acc producer.Account) accountView {
	v := accountView{
		Name: acc.Name, Provider: acc.Provider, Rate: acc.Rate, Burst: acc.Burst, Unit: acc.Unit, Sender: acc.Sender, Price: acc.Price,
		MaxRecipients: acc.Info.MaxRecipients, Workers: acc.Workers, Slots: acc.Slots, LastSeen: acc.LastSeen,
		LastAccepted: acc.LastAccepted, Circuit: "closed", BadInARow: acc.Bad, Balance: acc.Balance, BalanceAt: acc.BalanceAt, Country: acc.Country, Windows: acc.Windows,
		InForceBy: acc.InForceBy, InForceSince: acc.InForceSince, Differs: acc.Differences,
	}
	if acc.RateSet {
		v.ConfiguredRate = &acc.Configured
	}
	if h := acc.Hold; h.Held() {
		v.Hold = &holdView{Reason: h.Reason, Code: h.Code, By: h.By, Since: h.Since, Until: h.Until, BulkOnly: h.BulkOnly}
		if !h.Until.IsZero() {
			v.Circuit = "open"
		}
	}
	return v
}

func newAccounts(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "accounts",
		Short: "Show the workers' accounts: rate, hold and its reason, balance",
		Long: `Accounts shows the accounts that workers serve, as the workers published them.

An account on hold sends nothing. Its work waits; no message fails. Tuma tries
the account again at the time shown; if no time is shown, the hold lasts until
'tuma release'. A rate set with 'tuma rate' is shown beside the configured rate.

If workers are configured differently, the settings of the worker that started
last are in force for all of them. Accounts then also shows each worker whose
settings differ, the settings that differ, and since when they differ.`,
		Example: `  tuma accounts
  tuma accounts --json | jq -r '.[] | select(.hold) | .name'`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				all, err := b.Accounts(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					views := make([]accountView, len(all))
					for i, acc := range all {
						views[i] = viewAccount(acc)
					}
					return console.WriteJSON(a.out, views)
				}
				if len(all) == 0 {
					a.note("tuma: no accounts yet: a worker publishes its accounts when it starts (tuma worker)")
					return nil
				}
				g := console.Table{Header: []string{"ACCOUNT", "PROVIDER", "RATE", "WORKERS", "SLOTS", "HOLD", "BALANCE"}, Right: []int{3, 4}}
				for _, acc := range all {
					g.Add(acc.Name, acc.Provider, rateCell(acc), strconv.Itoa(acc.Workers), strconv.Itoa(acc.Slots),
						holdCell(acc, a.now()), balanceCell(acc, a.now()))
				}
				if err := g.Print(a.out); err != nil {
					return err
				}
				noteDifferences(a, all)
				for _, acc := range all {
					if acc.Hold.BulkOnly {
						a.note("tuma: account %s: %s; 'tuma release %s' lifts the hold", acc.Name, holdText(acc.Hold.Reason), acc.Name)
					}
				}
				return nil
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(newAccountsSync(a))
	return c
}

func rateCell(acc producer.Account) string {
	rate := rateText(acc.Rate)
	if acc.Unit != "messages" && acc.Rate != 0 {
		rate += " " + acc.Unit
	}
	if acc.RateSet {
		rate += " (configured " + rateText(acc.Configured) + ")"
	}
	return rate
}

func rateText(r float64) string {
	if r == 0 {
		return "unlimited"
	}
	return ratelimit.Rate(r).String()
}

func holdCell(acc producer.Account, now time.Time) string {
	h := acc.Hold
	switch {
	case !h.Held() && acc.Bad > 0:
		return "no (" + console.Plural(acc.Bad, "failed call") + " in a row)"
	case !h.Held():
		return "no"
	}
	text := h.Reason
	if h.BulkOnly {
		text += ", bulk only"
	}
	if h.Code != "" {
		text += " (" + h.Code + ")"
	}
	if h.By != "" {
		text += " by " + h.By
	}
	if !h.Since.IsZero() {
		text += " for " + console.FormatDuration(now.Sub(h.Since))
	}
	if h.Until.IsZero() {
		return text + ", until released"
	}
	return text + ", next try " + formatUntil(h.Until, now)
}

func balanceCell(acc producer.Account, now time.Time) string {
	if acc.Balance == "" {
		return ""
	}
	return acc.Balance + " (" + console.FormatDuration(now.Sub(acc.BalanceAt)) + " ago)"
}
