package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Check finds the mistakes that Enqueue would find in the campaign itself, all in one
// ErrInvalid, and an account that no worker has published, an ErrUnknownAccount. It changes
// nothing and looks at no recipient.
func (c *Client) Check(ctx context.Context, campaign Campaign) error {
	_, _, err := c.check(ctx, campaign)
	return err
}

// mistakes collects everything that is wrong with a campaign.
type mistakes []error

func (m *mistakes) add(field, format string, args ...any) {
	*m = append(*m, &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// past adds a mistake if t lies before now.
func (m *mistakes) past(field string, t, now time.Time) {
	if !t.IsZero() && t.Before(now) {
		m.add(field, "%s is in the past", t.UTC().Format(time.RFC3339))
	}
}

// check validates a campaign by itself and against the account cards, and returns
// its spec and, of a new one, what is known of its accounts. A campaign that was enqueued before must pass too, so that repeating
// it stays harmless: a date in the past, or what an account does not take any more,
// is only wrong for a new one.
func (c *Client) check(ctx context.Context, campaign Campaign) (ledger.Spec, accountSet, error) {
	var m mistakes
	var accounts accountSet
	now := c.now()
	spec := checkContent(campaign, now, &m)
	if !c.known(ctx, campaign.ID) {
		m.past("start_at", campaign.StartAt, now)
		m.past("expires_at", campaign.ExpiresAt, now)
		var err error
		if accounts, err = c.checkAccounts(ctx, campaign, &m); err != nil {
			return spec, accounts, err
		}
	}
	if len(m) > 0 {
		return spec, accounts, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return spec, accounts, nil
}

// checkContent validates a campaign by itself, and returns its spec.
func checkContent(campaign Campaign, now time.Time, m *mistakes) ledger.Spec {
	checkText(campaign, m)
	if campaign.Country != "" && !sms.ValidCountry(strings.ToUpper(campaign.Country)) {
		m.add("country", "%q is no country; take an ISO code such as KE", campaign.Country)
	}
	checkLimit(campaign, m)
	if campaign.ExpiresIn != 0 && !campaign.ExpiresAt.IsZero() {
		m.add("expires_in", "give either this or expires_at")
	}
	if campaign.ExpiresIn < 0 {
		m.add("expires_in", "%s is in the past", campaign.ExpiresIn)
	}
	spec := specOf(campaign)
	if campaign.ExpiresIn > 0 {
		start := now
		if campaign.StartAt.After(now) {
			start = campaign.StartAt
		}
		spec.ExpiresAt = start.Add(campaign.ExpiresIn).UTC()
	}
	if !campaign.ExpiresAt.IsZero() && campaign.ExpiresAt.Before(campaign.StartAt) {
		m.add("expires_at", "it is before start_at")
	}
	return spec
}

func checkLimit(c Campaign, m *mistakes) {
	if c.Canary < 0 {
		m.add("canary", "%d is no number of messages", c.Canary)
	}
	if !(c.MaxRejected >= 0 && c.MaxRejected <= 100) { // also what is no number
		m.add("max_rejected", "%g is no share; it is in percent, above 0 and at most 100", c.MaxRejected)
	}
}

func checkText(c Campaign, m *mistakes) {
	if !ledger.ValidID(c.ID) {
		m.add("id", "%.40q must be 1 to 128 of A-Z a-z 0-9 . _ : -", c.ID)
	}
	switch {
	case strings.TrimSpace(c.Body) == "":
		m.add("body", "it is empty")
	case len(c.Body) > MaxBody:
		m.add("body", "it has %d bytes, at most %d are taken", len(c.Body), MaxBody)
	case !utf8.ValidString(c.Body):
		m.add("body", "it is not UTF-8")
	}
	if _, err := sms.ParseTemplate(c.Body); err != nil {
		m.add("body", "%s", err)
	}
	if c.OnMissing != "" && c.OnMissing != OnMissingFail && c.OnMissing != OnMissingSkip && c.OnMissing != OnMissingDefault {
		m.add("on_missing", "%.40q must be fail, skip or default", c.OnMissing)
	}
	if c.Class != "" && c.Class != Marketing && c.Class != Transactional {
		m.add("class", "%.40q must be marketing or transactional", string(c.Class))
	}
	if c.OnUnknown != "" && c.OnUnknown != OnUnknownKeep && c.OnUnknown != OnUnknownResend {
		m.add("on_unknown", "%.40q must be keep or resend", c.OnUnknown)
	}
	if c.MaxMessages < 0 {
		m.add("max_messages", "%d is less than nothing", c.MaxMessages)
	}
	if n, _ := sms.Segments(specOf(c).ShortBody()); c.MaxSegments < 0 {
		m.add("max_segments", "%d is less than nothing", c.MaxSegments)
	} else if c.MaxSegments > 0 && c.MaxSegments < n {
		m.add("max_segments", "one message takes %d segments: nobody would be sent to", n)
	}
}

// known says whether a campaign of that ID exists; if it cannot be told, no.
func (c *Client) known(ctx context.Context, id string) bool {
	if !ledger.ValidID(id) {
		return false
	}
	there, err := c.ledger.Exists(ctx, id)
	return err == nil && there
}

func (c *Client) checkAccounts(ctx context.Context, campaign Campaign, m *mistakes) (known accountSet, err error) {
	names := []string{campaign.Via}
	if campaign.Via == "" {
		if known.routes, err = c.ledger.Routes(ctx); err != nil {
			return known, err
		}
		if len(known.routes) == 0 {
			m.add("via", "no account is named, and the workers have no routes")
			return known, nil
		}
		names = names[:0]
		for _, r := range known.routes {
			names = append(names, r.Via...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a, err := c.ledger.Account(ctx, name)
		if errors.Is(err, ledger.ErrNoAccount) {
			*m = append(*m, &FieldError{Field: "via", err: ErrUnknownAccount,
				Problem: fmt.Sprintf("no worker serves an account %q%s", name, c.published(ctx))})
			continue
		}
		if err != nil {
			return known, err
		}
		checkCard(specOf(campaign), a, m)
		known.all = append(known.all, a)
	}
	return known, nil
}

// published names the accounts there are, for a message.
func (c *Client) published(ctx context.Context) string {
	all, err := c.ledger.Accounts(ctx)
	if err != nil || len(all) == 0 {
		return "; start a worker first"
	}
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return "; there is " + strings.Join(names, ", ")
}

func checkCard(s ledger.Spec, a Account, m *mistakes) {
	for _, x := range a.Incompatibilities(s.From, s.ShortBody(), s.Flash) {
		m.add(x.Field, "%s", x.Problem)
	}
}
