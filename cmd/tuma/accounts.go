package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/ratelimit"
)

// accountView is an account in the form of `tuma accounts --json`.
type accountView struct {
	Name     string  `json:"name"`
	Provider string  `json:"provider"`
	Rate     float64 `json:"rate"` // in Unit a second; 0: unlimited
	// ConfiguredRate is there when tuma rate has set another one.
	ConfiguredRate *float64  `json:"configured_rate,omitempty"`
	Burst          float64   `json:"burst,omitempty"`
	Unit           string    `json:"unit"`
	Sender         string    `json:"sender,omitempty"`
	Price          string    `json:"price,omitempty"`
	MaxRecipients  int       `json:"max_recipients"` // a call
	Workers        int       `json:"workers"`
	Slots          int       `json:"slots"` // calls at once, of all workers
	LastSeen       time.Time `json:"last_seen,omitzero"`
	LastAccepted   time.Time `json:"last_accepted,omitzero"`
	Hold           *holdView `json:"hold"`
	// Circuit is closed, or open while an automatic hold keeps calls back.
	Circuit   string    `json:"circuit"`
	BadInARow int       `json:"bad_in_a_row"`
	Balance   string    `json:"balance,omitempty"`
	BalanceAt time.Time `json:"balance_at,omitzero"`
	// Windows are the sending hours of marketing by country: "08:00-18:00".
	Windows map[string]string `json:"windows,omitempty"`
}

type holdView struct {
	Reason string    `json:"reason"`
	Code   string    `json:"code,omitempty"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Until is when it is tried again; absent: when it is released by hand.
	Until time.Time `json:"until,omitzero"`
}

func viewAccount(acc producer.Account) accountView {
	v := accountView{
		Name: acc.Name, Provider: acc.Provider, Rate: acc.Rate, Burst: acc.Burst, Unit: acc.Unit, Sender: acc.Sender, Price: acc.Price,
		MaxRecipients: acc.Info.MaxRecipients, Workers: acc.Workers, Slots: acc.Slots, LastSeen: acc.LastSeen,
		LastAccepted: acc.LastAccepted, Circuit: "closed", BadInARow: acc.Bad, Balance: acc.Balance, BalanceAt: acc.BalanceAt, Windows: acc.Windows,
	}
	if acc.RateSet {
		v.ConfiguredRate = &acc.Configured
	}
	if h := acc.Hold; h.Held() {
		v.Hold = &holdView{Reason: h.Reason, Code: h.Code, By: h.By, Since: h.Since, Until: h.Until}
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
		Short: "Show accounts as workers serve them: rate, hold and why, balance",
		Long: `Accounts shows what workers have published of their accounts. An account that is
held sends nothing until the time shown, when Tuma tries it again by itself, or
until tuma release. Its work waits; nothing fails. A rate that tuma rate has set is
shown with the configuration's beside it.`,
		Example: `  tuma accounts
  tuma accounts --json | jq -r '.[] | select(.hold) | .name'`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			all, err := b.Accounts(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				views := make([]accountView, len(all))
				for i, acc := range all {
					views[i] = viewAccount(acc)
				}
				return writeJSON(a.out, views)
			}
			if len(all) == 0 {
				a.note("tuma: no worker has published an account yet; tuma worker does when it starts")
				return nil
			}
			g := grid{header: []string{"ACCOUNT", "PROVIDER", "RATE", "WORKERS", "SLOTS", "HOLD", "BALANCE"}, right: []int{3, 4}}
			for _, acc := range all {
				g.add(acc.Name, acc.Provider, rateCell(acc), strconv.Itoa(acc.Workers), strconv.Itoa(acc.Slots),
					holdCell(acc, a.now()), balanceCell(acc, a.now()))
			}
			return g.print(a.out)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func rateCell(acc producer.Account) string {
	rate := rateText(acc.Rate)
	if acc.Unit != "messages" && acc.Rate != 0 {
		rate += " " + acc.Unit
	}
	if acc.RateSet {
		rate += " by hand, not " + rateText(acc.Configured)
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
		return "no (" + plural(acc.Bad, "bad answer") + " in a row)"
	case !h.Held():
		return "no"
	}
	text := h.Reason
	if h.Code != "" {
		text += " (" + h.Code + ")"
	}
	if h.By != "" {
		text += " by " + h.By
	}
	if !h.Since.IsZero() {
		text += " for " + formatDuration(now.Sub(h.Since))
	}
	if h.Until.IsZero() {
		return text + ", until released"
	}
	return text + ", tried again " + formatUntil(h.Until, now)
}

func balanceCell(acc producer.Account, now time.Time) string {
	if acc.Balance == "" {
		return ""
	}
	return acc.Balance + " (" + formatDuration(now.Sub(acc.BalanceAt)) + " ago)"
}

// sortedNames is for completion.
func sortedNames(accounts []producer.Account) []string {
	slices.SortFunc(accounts, func(x, y producer.Account) int { return cmp.Compare(x.Name, y.Name) })
	names := make([]string, len(accounts))
	for i, acc := range accounts {
		names[i] = acc.Name
	}
	return names
}
