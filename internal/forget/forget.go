// Package forget removes the number of one person from Redis, because the data laws of Kenya and Nigeria require it. It
// removes the number from ended campaigns, incoming messages, events and parked delivery reports. The suppression lists
// keep the number.
package forget

import (
	"context"
	"fmt"
	"slices"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/sms"
)

// Options are the options of Number.
type Options struct {
	// If DryRun is true, Number finds the data that it would remove, but changes nothing.
	DryRun bool
	// MaxCampaigns and MaxRecipients limit the numbers of campaigns and recipients that one call of Number reads. 0
	// means no limit. Number always reads a campaign to its end.
	MaxCampaigns, MaxRecipients int
	// After is the position of a campaign. The function Number reads only campaigns after this position.
	After ledger.Position
}

// Result lists the data that was removed, and the data that stays.
type Result struct {
	DryRun bool `json:"dry_run"`
	// Campaigns and Recipients are the numbers of campaigns and recipients that were read.
	Campaigns  int `json:"campaigns_read"`
	Recipients int `json:"recipients_read"`
	// Changed names up to 1,000 campaigns in which the number was replaced. Rows is the number of recipients with this
	// number in all campaigns.
	Changed []string `json:"changed"`
	Rows    int      `json:"rows"`
	// OptOuts is how many entries with the number were in the exclusions of campaigns.
	OptOuts int `json:"campaign_optouts"`
	// Inbound, Events and Parked are how many incoming messages, events and parked delivery reports were removed.
	Inbound int `json:"inbound"`
	Events  int `json:"events"`
	Parked  int `json:"parked_reports"`
	// NoRetry names the campaigns in Changed that can no longer be retried, because in them the number was rejected or
	// had an unknown outcome.
	NoRetry []string `json:"no_retry"`
	// Open names campaigns that have the number and have not ended. These campaigns keep the number. Run Number
	// again after their end.
	Open []string `json:"open"`
	// Unreadable names campaigns whose records cannot be read. Such a campaign may hold the number.
	Unreadable []string `json:"unreadable"`
	// Lists names the suppression lists that keep the number. "*" is the list for all senders. Any other name is a
	// sender ID.
	Lists []string `json:"kept_on_lists"`
	// Next is the position of the last campaign that was read, if a limit ended the search. If the search has
	// reached the last campaign of all, Next is nil.
	Next *ledger.Position `json:"-"`
}

// maxNamed is the maximum length of each list of campaigns in a Result.
const maxNamed = 1000

// maxPasses is the maximum number of searches of one campaign. A campaign is searched again because one search does
// not always find all recipients with the number.
const maxPasses = 1000

// Number removes a number. A repeated call is harmless. If Number returns an error, the result lists the data that
// Number had removed before the error.
func Number(ctx context.Context, l *ledger.Ledger, number sms.MSISDN, o Options) (Result, error) {
	r := Result{DryRun: o.DryRun, Changed: []string{}, NoRetry: []string{}, Open: []string{}, Unreadable: []string{}, Lists: []string{}}
	if err := r.campaigns(ctx, l, number, o); err != nil {
		return r, err
	}
	var err error
	runner := l.Runner()
	if r.Inbound, err = inbox.Forget(ctx, runner, number, o.DryRun); err != nil {
		return r, err
	}
	if r.Events, err = events.Forget(ctx, runner, number.String(), o.DryRun); err != nil {
		return r, err
	}
	if r.Parked, err = tracking.Forget(ctx, runner, number, o.DryRun); err != nil {
		return r, err
	}
	entries, err := optout.New(runner).EntriesOf(ctx, number)
	for _, e := range entries {
		r.Lists = append(r.Lists, e.List)
	}
	slices.Sort(r.Lists)
	return r, err
}

func (r *Result) campaigns(ctx context.Context, l *ledger.Ledger, number sms.MSISDN, o Options) error {
	countries, err := workerCountries(ctx, l.Runner())
	if err != nil {
		return err
	}
	search := ledger.NewSearch(l, number, countries)
	for x, err := range search.After(ctx, o.After) {
		if err != nil {
			return err
		}
		if r.Next != nil { // there is another campaign
			return nil
		}
		r.Campaigns++
		r.Recipients += x.Recipients
		if err := r.campaign(ctx, l, search, x, number, o.DryRun); err != nil {
			return fmt.Errorf("forget a number in campaign %s: %w", x.Position.ID, err)
		}
		if o.MaxCampaigns > 0 && r.Campaigns >= o.MaxCampaigns || o.MaxRecipients > 0 && r.Recipients >= o.MaxRecipients {
			r.Next = &x.Position
		}
	}
	r.Next = nil
	return nil
}

// The method "campaign" removes the number from one campaign.
func (r *Result) campaign(ctx context.Context, l *ledger.Ledger, search *ledger.Search, x ledger.Searched, number sms.MSISDN, dry bool) error {
	id := x.Position.ID
	n, err := ledger.ForgetExclusions(ctx, l, id, number, dry)
	if err != nil {
		return err
	}
	r.OptOuts += n
	if x.Unreadable != nil {
		r.Unreadable = add(r.Unreadable, id)
		return nil //nolint:nilerr // the result names the campaign
	}
	for pass := 0; len(x.Found) > 0 && pass < maxPasses; pass++ {
		done, err := ledger.Forget(ctx, l, x, number, dry)
		switch {
		case err != nil:
			return err
		case done.Open:
			r.Open = add(r.Open, id)
			return nil
		}
		r.Rows += done.Rows
		r.Changed = add(r.Changed, id)
		if done.NoRetry {
			r.NoRetry = add(r.NoRetry, id)
		}
		if done.SetAside {
			r.Unreadable = add(r.Unreadable, id)
		}
		if !x.More || dry {
			return nil
		}
		if x, err = search.Again(ctx, x.Position); err != nil {
			return err
		}
	}
	return nil
}

// The function "add" adds a campaign to a list, unless the list is full or has the campaign already.
func add(list []string, id string) []string {
	if len(list) >= maxNamed || slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

// workerCountries returns the default countries of the workers.
func workerCountries(ctx context.Context, r *script.Runner) (countries []string, err error) {
	all, err := accounts.New(r).All(ctx)
	for _, a := range all {
		countries = append(countries, a.Country)
	}
	slices.Sort(countries)
	return slices.Compact(countries), err
}
