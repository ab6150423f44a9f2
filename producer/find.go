package producer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Defaults of FindOptions.
const (
	DefaultFindLimit         = 100
	DefaultFindMaxCampaigns  = 100_000
	DefaultFindMaxRecipients = 50_000_000
)

// FindOptions are the options of Find: which campaigns it reads, and where it stops.
type FindOptions struct {
	// Country is the ISO code for a number in national format, such as "KE".
	Country string
	// If Since is not zero, the search leaves out campaigns that were created before this time.
	Since time.Time
	// Limit is the number of messages after which the search ends. The campaign in which the limit is
	// reached is read to its end. 0 means DefaultFindLimit.
	Limit int
	// MaxCampaigns and MaxRecipients are the maximum numbers of campaigns and recipients that
	// the search reads. The search always reads a campaign to its end. 0 means
	// DefaultFindMaxCampaigns and DefaultFindMaxRecipients.
	MaxCampaigns, MaxRecipients int
	// After makes Find continue an earlier search that ended at a bound. It is the value
	// FindResult.Next of the earlier search.
	After string
}

// FindResult is what a search has found, as in `tuma find --json`.
type FindResult struct {
	// MSISDN is the number in international format without plus.
	MSISDN string `json:"msisdn"`
	// Messages are the messages to the number, those of the newest campaign first.
	Messages []FoundMessage `json:"messages"`
	// Campaigns and Recipients are the numbers of campaigns and recipients that the search has
	// read. Oldest is when the oldest of these campaigns was created.
	Campaigns  int        `json:"campaigns"`
	Recipients int        `json:"recipients"`
	Oldest     *time.Time `json:"oldest"`
	// Bound is the bound that ended the search: "limit", "campaigns" or "recipients". It is empty
	// if all campaigns were read. Next is the value of FindOptions.After that continues the search.
	// Next is empty if Bound is empty.
	Bound string `json:"bound"`
	Next  string `json:"next"`
	// Unreadable names up to 100 campaigns that could not be read completely.
	Unreadable []string `json:"unreadable,omitempty"`
	// Cut has the IDs of up to 100 campaigns that have more messages to the number than the field "Messages"
	// lists. Client.Results yields all messages of such a campaign.
	Cut []string `json:"cut,omitempty"`
}

// FoundMessage is one message to a number: its campaign and its result.
type FoundMessage struct {
	Campaign  string    `json:"campaign"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	// From is the sender ID that the campaign names. Empty means the default of the account.
	From string `json:"from"`
	// Text is the recipient's message with the merge fields replaced. It is set even if the message
	// was not submitted.
	Text string `json:"text"`
	Result
	// Resent has the gateway's IDs of further messages, if a resend gave the recipient more than
	// one message.
	Resent []string `json:"resent,omitempty"`
}

// maxUnreadable is the maximum length of FindResult.Unreadable and FindResult.Cut.
const maxUnreadable = 100

// Find returns the messages to a number in all campaigns that Redis still has. The messages of the
// newest campaign come first. Tuma keeps no index by number, so Find reads the uploaded recipients
// of the campaigns, some 20 million a second, up to the bounds of o. It does not read campaigns
// that are enqueued during the search.
//
// If number is not a phone number, Find returns a NumberError. If an option is wrong, Find returns
// an ErrInvalid. A campaign that cannot be read does not end the search; FindResult.Unreadable
// lists it.
func (c *Client) Find(ctx context.Context, number string, o FindOptions) (FindResult, error) {
	m, err := sms.ParseMSISDN(number, strings.ToUpper(o.Country))
	if err != nil {
		return FindResult{}, &NumberError{err: err}
	}
	after, err := o.check()
	if err != nil {
		return FindResult{}, err
	}
	countries, err := c.workerCountries(ctx)
	if err != nil {
		return FindResult{}, err
	}
	r := FindResult{MSISDN: m.String(), Messages: []FoundMessage{}}
	for x, err := range ledger.NewSearch(c.ledger, m, countries).After(ctx, after) {
		if err != nil {
			return r, err
		}
		if x.Position.At.Before(o.Since.Add(-uploadLife)) {
			break
		}
		if r.Bound != "" { // there is another campaign
			return r, nil
		}
		if r.add(x, o) {
			r.Bound, r.Next = r.bound(o), position(x.Position)
		}
	}
	r.Bound, r.Next = "", ""
	return r, nil
}

// The method "add" adds the messages that the search found in one campaign. It reports whether a
// bound of o is reached.
func (r *FindResult) add(x ledger.Searched, o FindOptions) bool {
	r.Campaigns++
	r.Recipients += x.Recipients
	if x.Unreadable != nil && len(r.Unreadable) < maxUnreadable {
		r.Unreadable = append(r.Unreadable, x.Position.ID)
	}
	if x.More && len(r.Cut) < maxUnreadable {
		r.Cut = append(r.Cut, x.Position.ID)
	}
	if created := x.CreatedAt; !created.IsZero() && !created.Before(o.Since) {
		if r.Oldest == nil || created.Before(*r.Oldest) {
			r.Oldest = &created
		}
		for _, row := range x.Found {
			r.Messages = append(r.Messages, FoundMessage{Campaign: x.Position.ID, CreatedAt: created, CreatedBy: x.Spec.CreatedBy, From: x.Spec.From,
				Text: row.Text, Result: resultOf(row.Row), Resent: row.Resent})
		}
	}
	return r.bound(o) != ""
}

// bound returns the name of the bound that is reached, or "".
func (r *FindResult) bound(o FindOptions) string {
	switch {
	case len(r.Messages) >= cmp.Or(o.Limit, DefaultFindLimit):
		return "limit"
	case r.Campaigns >= cmp.Or(o.MaxCampaigns, DefaultFindMaxCampaigns):
		return "campaigns"
	case r.Recipients >= cmp.Or(o.MaxRecipients, DefaultFindMaxRecipients):
		return "recipients"
	}
	return ""
}

// workerCountries returns the default countries of the workers.
func (c *Client) workerCountries(ctx context.Context) (countries []string, err error) {
	all, err := c.accounts.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		countries = append(countries, a.Country)
	}
	slices.Sort(countries)
	return slices.Compact(countries), nil
}

// check checks the options, and returns the place in the list of campaigns where the search begins.
func (o FindOptions) check() (after ledger.Position, err error) {
	for field, n := range map[string]int{"limit": o.Limit, "max_campaigns": o.MaxCampaigns, "max_recipients": o.MaxRecipients} {
		if n < 0 {
			return after, &FieldError{Field: field, Problem: fmt.Sprintf("%d must not be negative", n)}
		}
	}
	if o.After == "" {
		return after, nil
	}
	at, id, ok := strings.Cut(o.After, "_")
	ms, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || ms < 0 || !ledger.ValidID(id) {
		return after, &FieldError{Field: "after", Problem: fmt.Sprintf("%.60q must be the cursor that the earlier search returned", o.After)}
	}
	return ledger.Position{At: time.UnixMilli(ms), ID: id}, nil
}

// position returns a place in the list of campaigns in the form of FindOptions.After.
func position(p ledger.Position) string {
	return strconv.FormatInt(p.At.UnixMilli(), 10) + "_" + p.ID
}
