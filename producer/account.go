package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// Account is a gateway account as workers publish it in Redis, with its current state.
type Account struct {
	Name string
	// Provider is the kind of gateway, such as "kobo". Info has the facts about the gateway.
	Provider string
	Info     providers.Info
	// Rate is the limit for all workers together, in units a second (see Unit). 0 means unlimited.
	Rate float64
	// Burst is how many units may be used at once after the account has been idle.
	Burst float64
	// Unit is what Rate and Burst count: "messages", "segments" or "requests".
	Unit string
	// Sender is the sender ID of campaigns that do not name a sender ID.
	Sender string
	// Concurrency is the maximum number of calls that each worker has in flight.
	Concurrency int
	// Price is the price of a segment, such as "0.80 KES". It is empty if no price is configured.
	Price string
	// ReportFor is how long a worker waits for the delivery report of a message. It is 0 if reports
	// are not collected.
	ReportFor time.Duration
	// ReportSample is the number of messages of each campaign whose delivery reports are collected.
	// It is 0 if the reports of all messages are collected.
	ReportSample int
	// OnUnknown is OnUnknownKeep or OnUnknownResend.
	OnUnknown string
	// Country is the workers' default country for numbers in national format, as an ISO code.
	Country string
	// Windows are the sending hours of Marketing campaigns by country, such as "KE":
	// "08:00-18:00".
	Windows map[string]string

	// Workers is the number of live workers that serve the account. Slots is the maximum number of
	// calls that these workers together have in flight.
	Workers, Slots int
	// LastSeen is when a worker last published the account.
	LastSeen time.Time
	// Campaigns is the number of campaigns that share the account.
	Campaigns int
	// Hold is the current hold of the account, with its reason. The zero Hold means that the
	// account is not held.
	Hold Hold
	// Balance is the balance that the gateway returned at BalanceAt, such as "120.50 KES" or
	// "340". It is empty if no worker has read it.
	Balance   string
	BalanceAt time.Time
	// LastAccepted is when the gateway last accepted a message.
	LastAccepted time.Time
	// RateSet reports whether Rate was set by hand. If so, Configured and ConfiguredBurst are
	// the rate and the burst of the configuration. A ConfiguredBurst of 0 means the default
	// burst.
	RateSet         bool
	Configured      float64
	ConfiguredBurst int
	// Bad is the number of failed calls since the last call that succeeded.
	Bad int
	// InForceBy is the worker that started last of the workers that serve the account. Its
	// settings of the account, such as Rate, Burst and Unit, are in force. InForceBy is empty if
	// no worker set them. InForceSince is when these settings last changed.
	InForceBy    string
	InForceSince time.Time
	// Differences are the settings of live workers that differ from the settings in force. All
	// workers obey the settings in force.
	Differences []Difference
}

// Difference is a setting in which the configuration of a worker differs from the value in force.
type Difference struct {
	// Worker is the name of the worker.
	Worker string `json:"worker"`
	// Account is the account that the setting belongs to. It is empty for a setting of the cluster,
	// such as "default_country".
	Account string `json:"account,omitempty"`
	// Setting is the key in the configuration, such as "rate" or "windows".
	Setting string `json:"setting"`
	// Own is the value of this worker, and InForce is the value in force. Both are text for people.
	Own     string `json:"own"`
	InForce string `json:"in_force"`
	// Since is when the difference began. It is the later of two times: the start of the worker,
	// and the time at which the value came into force.
	Since time.Time `json:"since"`
}

// Hold is the reason why workers claim no call for an account, with its details.
type Hold struct {
	// Reason is one word: credit, credentials, configuration, breaker, nothing_accepted (the account
	// accepts nothing and has refused 50 recipients in a row), or a word that the operator has chosen.
	Reason string
	// Code is the gateway's own code, if an answer of the gateway caused the hold.
	Code string
	// By is the worker or person that set the hold.
	By    string
	Since time.Time
	// Until is when a worker tries the account again. Zero means that only Client.Release ends the
	// hold.
	Until time.Time
	// BulkOnly is true if the hold stops bulk campaigns only: transactional campaigns are sent.
	BulkOnly bool
}

// Held reports whether the account is held.
func (h Hold) Held() bool { return h.Reason != "" }

// Route names the accounts, in order of preference, that send to numbers with a prefix.
type Route struct {
	// Match is the prefix in international format without plus, such as "254". Empty matches
	// every number.
	Match string `json:"match" yaml:"match"`
	// Via names the accounts. While an account is held, its work moves to the next account.
	Via []string `json:"via" yaml:"via"`
}

// Accounts returns the accounts that workers have published, sorted by name.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	all, err := c.accounts.All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Account, len(all))
	for i, a := range all {
		out[i] = accountOf(a)
	}
	return out, nil
}

// Hold holds an account: until Release, workers claim no call for the account. The reason
// appears in Status.BlockedBy. The reason is one word of 1 to 40 letters, digits, '_', '.' or
// '-'. An empty reason means "manual"; any other text is an ErrInvalid. If no worker has
// published the account, Hold returns ErrUnknownAccount.
func (c *Client) Hold(ctx context.Context, account, reason string) error {
	if reason == "" {
		reason = "manual"
	}
	if !accounts.ValidHoldReason(reason) {
		return &FieldError{Field: "reason", Problem: fmt.Sprintf("%.60q must be one word of letters, digits, _ . -", reason)}
	}
	return knownAccount(c.accounts.Hold(ctx, account, reason, "operator"))
}

// Release lifts any hold of an account and reports whether the account was held. If no worker
// has published the account, Release returns ErrUnknownAccount.
func (c *Client) Release(ctx context.Context, account string) (bool, error) {
	had, err := c.accounts.Release(ctx, account)
	return had, knownAccount(err)
}

// knownAccount adds ErrUnknownAccount to an error of the ledger if the error means that the account
// is missing.
func knownAccount(err error) error {
	if errors.Is(err, accounts.ErrNoAccount) {
		return fmt.Errorf("%w: %w", ErrUnknownAccount, err)
	}
	return err
}

func accountOf(a accounts.Account) Account {
	return Account{
		Name: a.Name, Provider: a.Provider, Info: a.Info, Rate: a.Rate, Burst: a.Burst, Unit: a.Unit, Sender: a.Sender,
		Concurrency: a.Concurrency, Price: a.Price, OnUnknown: a.OnUnknown, ReportFor: a.ReportFor, ReportSample: a.ReportSample, Country: a.Country, Windows: a.Windows,
		Workers: a.Workers, Slots: a.Slots, LastSeen: a.LastSeen, Campaigns: a.Campaigns, Hold: Hold(a.Hold),
		Balance: a.Balance, BalanceAt: a.BalanceAt, LastAccepted: a.LastAccepted,
		RateSet: a.RateSet, Configured: a.Configured, ConfiguredBurst: a.ConfiguredBurst, Bad: a.Bad,
		InForceBy: a.InForceBy, InForceSince: a.InForceSince, Differences: differencesOf(a.Differences),
	}
}

// stored converts an Account to the ledger's form. It is the reverse of accountOf.
func (a Account) stored() accounts.Account {
	return accounts.Account{
		Card: campaign.Card{Name: a.Name, Provider: a.Provider, Info: a.Info, Rate: a.Rate, Burst: a.Burst, Unit: a.Unit, Sender: a.Sender,
			Concurrency: a.Concurrency, Price: a.Price, OnUnknown: a.OnUnknown, ReportFor: a.ReportFor, ReportSample: a.ReportSample, Country: a.Country, Windows: a.Windows},
		Workers: a.Workers, Slots: a.Slots, LastSeen: a.LastSeen, Campaigns: a.Campaigns, Hold: accounts.Hold(a.Hold),
		Balance: a.Balance, BalanceAt: a.BalanceAt, LastAccepted: a.LastAccepted,
		RateSet: a.RateSet, Configured: a.Configured, ConfiguredBurst: a.ConfiguredBurst, Bad: a.Bad,
		InForceBy: a.InForceBy, InForceSince: a.InForceSince, Differences: storedDifferences(a.Differences),
	}
}

func differencesOf(all []accounts.Difference) (out []Difference) {
	for _, d := range all {
		out = append(out, Difference(d))
	}
	return out
}

func storedDifferences(all []Difference) (out []accounts.Difference) {
	for _, d := range all {
		out = append(out, accounts.Difference(d))
	}
	return out
}

func routesOf(routes []campaign.Route) []Route {
	out := make([]Route, len(routes))
	for i, r := range routes {
		out[i] = Route(r)
	}
	return out
}

func storedRoutes(routes []Route) []campaign.Route {
	if routes == nil {
		return nil
	}
	out := make([]campaign.Route, len(routes))
	for i, r := range routes {
		out[i] = campaign.Route(r)
	}
	return out
}
