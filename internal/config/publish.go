package config

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/worker"
)

// Settings returns the settings of the configuration that all workers share.
func (c *Config) Settings() accounts.Settings {
	s := accounts.Settings{Country: c.Country, Windows: map[string]string{}, Routes: c.Routes, Retention: c.Retention, FailoverAfter: c.FailoverAfter}
	for country, h := range c.Windows {
		s.Windows[country] = h.String()
	}
	return s
}

// Card returns the card that a worker would publish for the account, without country and sending hours.
func (a *Account) Card() campaign.Card {
	w := a.Worker
	concurrency := w.Concurrency
	if concurrency <= 0 {
		concurrency = 8 // the default value in package worker
	}
	return campaign.Card{Name: a.Name, Provider: a.Info.Name, Info: a.Info, Rate: float64(w.Rate), Burst: float64(w.Burst),
		Unit: cmp.Or(w.Unit, worker.UnitMessages), Sender: w.Sender, Concurrency: concurrency, Price: w.Price, OnUnknown: w.OnUnknown, ReportFor: a.reportFor(), ReportSample: worker.SampleSize(w.Reports)}
}

// reportFor returns how long Tuma waits for delivery reports of the account's messages. 0 means that Tuma
// collects no reports.
func (a *Account) reportFor() time.Duration {
	if a.Worker.Reports == "" || a.Worker.Reports == worker.ReportsOff {
		return 0
	}
	return cmp.Or(a.Worker.ReportFor, worker.DefaultReportFor)
}

// Offers returns the accounts in the form in which they are published. It needs no secrets. It returns an error
// if the Info of an account is not known, because its provider cannot be opened.
func (c *Config) Offers() (out []accounts.Offer, err error) {
	for _, a := range c.Accounts {
		if err := a.Info.Check(); err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		limit, err := ratelimit.Setting(a.Worker.Rate, a.Worker.Burst)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		out = append(out, accounts.Offer{Card: a.Card(), Limit: limit})
	}
	return out, nil
}

// Differences returns the settings in which the configuration differs from the settings in force. The parameter
// "all" holds the published accounts. Differences ignores accounts and settings that were never published.
func (c *Config) Differences(in accounts.InForce, published bool, all []accounts.Account) (out []accounts.Difference) {
	if published {
		out = c.Settings().Against(in)
	}
	for _, a := range all {
		own := c.Account(a.Name)
		if own == nil {
			continue
		}
		card := own.Card()
		in := a.Card
		in.Rate, in.Burst = a.Configured, float64(a.ConfiguredBurst)
		out = append(out, accounts.Limits{Rate: card.Rate, Burst: card.Burst, Unit: card.Unit}.Against(in, a.InForceSince)...)
	}
	return out
}
