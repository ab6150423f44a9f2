package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/sms"
)

// checkKnown returns an ErrInvalid with the mistakes in the accounts of WithAccounts, or nil.
func checkKnown(known []Account) error {
	var m mistakes
	for _, a := range known {
		if !accounts.ValidName(a.Name) {
			m.add("accounts", "name %.40q must be 1 to 64 characters from A-Z a-z 0-9 _ -", a.Name)
		}
		if a.Country != "" && !sms.ValidCountry(a.Country) {
			m.add("accounts", "account %.40s: country %.40q must be an ISO country code such as KE", a.Name, a.Country)
		}
		for country, text := range a.Windows {
			h, err := hours.Parse(text)
			if err == nil {
				_, err = hours.In(country, h)
			}
			if err != nil {
				m.add("accounts", "account %.40s: sending hours of %.40s: %v", a.Name, country, err)
			}
		}
	}
	if len(m) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return nil
}

// account returns the account with the given name. An account that workers have published takes
// precedence over an account of WithAccounts. If neither exists, the error is
// accounts.ErrNoAccount, and "published" has the names of all published accounts.
func (c *Client) account(ctx context.Context, name string) (a accounts.Account, published []string, err error) {
	if a, err = c.accounts.Account(ctx, name); !errors.Is(err, accounts.ErrNoAccount) {
		return a, nil, err
	}
	missing := err
	if published, err = c.accounts.Names(ctx); err != nil {
		return a, nil, err
	}
	if slices.Contains(published, name) { // a worker has published the account since the first read
		a, err = c.accounts.Account(ctx, name)
		return a, nil, err
	}
	for _, known := range c.known {
		if known.Name == name {
			return c.withSettings(ctx, known.stored())
		}
	}
	return a, published, missing
}

// The method "unserved" returns the names of the accounts in s that no live worker serves.
func (s accountSet) unserved() (names []string) {
	for _, a := range s.all {
		if a.Workers == 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

// withSettings replaces the country and the sending hours of an account by the settings in force.
// If no worker has published settings, withSettings changes nothing.
func (c *Client) withSettings(ctx context.Context, a accounts.Account) (accounts.Account, []string, error) {
	in, ok, err := c.accounts.Settings(ctx)
	if ok {
		a.Obey(in.Settings)
	}
	return a, nil, err
}

// routesInForce returns the routes that workers have published, or else the routes of WithRoutes.
func (c *Client) routesInForce(ctx context.Context) ([]campaign.Route, error) {
	in, ok, err := c.accounts.Settings(ctx)
	if err != nil || ok {
		return in.Settings.Routes, err
	}
	return storedRoutes(c.routes), nil
}

// defaultsFor returns the settings that a new campaign keeps: those that are in force when the
// campaign is enqueued. The parameter "found" has the accounts that the campaign may use.
//
// It returns nil if the campaign does not depend on these settings, or if the country or the
// sending hours are not known. Planning then takes the settings that are in force when planning
// begins. In an account, an empty map of sending hours means any hour, and a nil map means that the
// hours are not known.
func defaultsFor(spec campaign.Spec, found []accounts.Account) *campaign.Defaults {
	marketing := spec.Class != campaign.Transactional
	if len(found) == 0 || spec.Country != "" && !marketing || found[0].Country == "" || found[0].Windows == nil {
		return nil
	}
	d := &campaign.Defaults{}
	if spec.Country == "" {
		d.Country = found[0].Country
	}
	if marketing {
		d.Windows = found[0].Windows
	}
	return d
}
