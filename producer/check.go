package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Check finds the same mistakes as Enqueue in the fields of a campaign, but it needs no
// recipients. Its error is an ErrInvalid that lists all mistakes, with an ErrUnknownAccount for
// each account that no worker has published. Check reads Redis and changes nothing.
func (c *Client) Check(ctx context.Context, campaign Campaign) error {
	_, _, err := c.check(ctx, campaign)
	return err
}

// mistakes collects the FieldErrors of a campaign.
type mistakes []error

func (m *mistakes) add(field, format string, args ...any) {
	*m = append(*m, &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// startTolerance is how far in the past a StartAt may be. Such a StartAt means now. A StartAt
// that the caller took from time.Now() is in the past when Enqueue checks it, and RFC 3339
// without a fraction drops up to a second.
const startTolerance = time.Second - time.Nanosecond

// past adds a mistake in the given field if t is not zero and is earlier than limit.
func (m *mistakes) past(field string, t, limit time.Time) {
	if !t.IsZero() && t.Before(limit) {
		m.add(field, "%s is in the past: use a later time", t.UTC().Format(time.RFC3339))
	}
}

// check returns the campaign's stored form and the accounts that it may use. For a campaign that is
// already enqueued, check accepts times in the past and missing accounts. So a repeated Enqueue
// does not fail because time has passed or no worker serves the account any more.
func (c *Client) check(ctx context.Context, campaign Campaign) (campaign.Spec, accountSet, error) {
	var m mistakes
	var accounts accountSet
	now := c.now()
	spec := checkContent(campaign, now, &m)
	if campaign.single != nil {
		return checkMessage(ctx, c, campaign, spec, m)
	}
	if !c.exists(ctx, campaign.ID) {
		checkTimes(campaign, now, &m)
		var err error
		if accounts, err = c.checkAccounts(ctx, campaign, &m); err != nil {
			return spec, accounts, err
		}
		spec.Defaults = defaultsFor(spec, accounts.all)
	}
	if len(m) > 0 {
		return spec, accounts, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return spec, accounts, nil
}

// checkTimes adds to m the times of a new campaign that are in the past.
func checkTimes(campaign Campaign, now time.Time, m *mistakes) {
	m.past("start_at", campaign.StartAt, now.Add(-startTolerance))
	m.past("expires_at", campaign.ExpiresAt, now)
}

// checkMessage does the last part of check for a single message. The parameter "m" has the mistakes
// found so far. In an existing message, a time in the past and a missing account are allowed. To save a
// round trip, checkMessage checks whether the message exists only if it finds one of these two
// mistakes.
func checkMessage(ctx context.Context, c *Client, campaign Campaign, spec campaign.Spec, m mistakes) (campaign.Spec, accountSet, error) {
	var own mistakes
	checkTimes(campaign, c.now(), &own)
	accounts, err := c.checkAccounts(ctx, campaign, &own)
	if err != nil {
		return spec, accounts, err
	}
	spec.Defaults = defaultsFor(spec, accounts.all)
	if len(own) > 0 && !campaign.single.newID && c.exists(ctx, campaign.ID) {
		own, accounts, spec.Defaults = nil, accountSet{}, nil
	}
	if m = append(m, own...); len(m) > 0 {
		return spec, accounts, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return spec, accounts, nil
}

// checkContent adds to m the mistakes that can be found without Redis and returns the
// campaign's stored form.
func checkContent(campaign Campaign, now time.Time, m *mistakes) campaign.Spec {
	checkText(campaign, m)
	if campaign.Country != "" && !sms.ValidCountry(strings.ToUpper(campaign.Country)) {
		m.add("country", "%q must be an ISO country code such as KE", campaign.Country)
	}
	checkThreshold(campaign, m)
	checkOrigin(campaign, m)
	if campaign.ExpiresIn != 0 && !campaign.ExpiresAt.IsZero() {
		m.add("expires_in", "set either expires_in or expires_at, not both")
	}
	if campaign.ExpiresIn < 0 {
		m.add("expires_in", "%s must be positive", campaign.ExpiresIn)
	}
	spec := specOf(campaign)
	if campaign.StartIn != 0 && !campaign.StartAt.IsZero() {
		m.add("start_in", "set either start_in or start_at, not both")
	}
	if campaign.StartIn < 0 {
		m.add("start_in", "%s must be positive", campaign.StartIn)
	}
	if campaign.StartIn > 0 {
		spec.StartAt = now.Add(campaign.StartIn).UTC()
	}
	if campaign.ExpiresIn > 0 {
		start := now
		if spec.StartAt.After(now) {
			start = spec.StartAt
		}
		spec.ExpiresAt = start.Add(campaign.ExpiresIn).UTC()
	}
	if !campaign.ExpiresAt.IsZero() && campaign.ExpiresAt.Before(spec.StartAt) {
		m.add("expires_at", "must not be before the start")
	}
	return spec
}

func checkThreshold(c Campaign, m *mistakes) {
	if c.Canary < 0 {
		m.add("canary", "%d must not be negative", c.Canary)
	}
	if !(c.MaxRejected >= 0 && c.MaxRejected <= 100) { // NaN fails both comparisons, so it is refused too
		m.add("max_rejected", "%g must be a percentage above 0 and at most 100", c.MaxRejected)
	}
}

// checkOrigin checks CreatedBy and Notes.
func checkOrigin(c Campaign, m *mistakes) {
	if len(c.CreatedBy) > MaxCreatedBy {
		m.add("created_by", "has %d bytes; the maximum is %d", len(c.CreatedBy), MaxCreatedBy)
	}
	if !oneLine(c.CreatedBy) {
		m.add("created_by", "must be UTF-8 without control characters")
	}
	if len(c.Notes) > MaxNotes {
		m.add("notes", "has %d notes; the maximum is %d", len(c.Notes), MaxNotes)
	}
	for i, note := range c.Notes {
		if len(note) > MaxNote {
			m.add("notes", "note %d has %d bytes; the maximum is %d", i+1, len(note), MaxNote)
		}
		if !oneLine(note) {
			m.add("notes", "note %d must be UTF-8 without control characters", i+1)
		}
	}
}

// addNotesAtEnd adds the notes of Campaign.NotesAtEnd to the upload. It returns an ErrInvalid if
// the campaign then has too many notes, or if a note is not valid.
func addNotesAtEnd(u *ledger.Upload, c Campaign) error {
	further := c.NotesAtEnd()
	c.Notes = slices.Concat(c.Notes, further)
	var m mistakes
	checkOrigin(c, &m)
	if len(m) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	if err := u.AddNotes(further); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// validRef reports whether s may be a Recipient.Ref or a Message.Ref.
func validRef(s string) bool { return len(s) <= MaxRef && oneLine(s) }

// checkRef returns a FieldError if the reference of the recipient in row n, counted from 1, is not valid.
func (r Recipient) checkRef(n int) error {
	if r.Ref == "" || validRef(r.Ref) {
		return nil
	}
	return &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d: the ref must be UTF-8 of at most %d bytes without control characters", n, MaxRef)}
}

// oneLine reports whether s is UTF-8 without control characters.
func oneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkText(c Campaign, m *mistakes) {
	if !ledger.ValidID(c.ID) {
		m.add("id", "%.40q must be 1 to 128 characters from A-Z a-z 0-9 . _ : -", c.ID)
	}
	switch {
	case strings.TrimSpace(c.Body) == "":
		m.add("body", "must not be empty")
	case len(c.Body) > MaxBody:
		m.add("body", "has %d bytes; the maximum is %d", len(c.Body), MaxBody)
	case !utf8.ValidString(c.Body):
		m.add("body", "must be UTF-8")
	}
	if _, err := sms.ParseTemplate(c.Body); err != nil {
		m.add("body", "%s", err)
	}
	if c.OnMissing != "" && c.OnMissing != OnMissingFail && c.OnMissing != OnMissingSkip && c.OnMissing != OnMissingDefault {
		m.add("on_missing", "%.40q must be fail, skip or default", c.OnMissing)
	}
	if c.Duplicates != "" && c.Duplicates != DuplicatesSkip && c.Duplicates != DuplicatesEach {
		m.add("duplicates", "%.40q must be \"skip\" or \"each\"", c.Duplicates)
	}
	if c.Class != "" && c.Class != Marketing && c.Class != Transactional {
		m.add("class", "%.40q must be marketing or transactional", string(c.Class))
	}
	if c.OnUnknown != "" && c.OnUnknown != OnUnknownKeep && c.OnUnknown != OnUnknownResend {
		m.add("on_unknown", "%.40q must be keep or resend", c.OnUnknown)
	}
	if c.MaxMessages < 0 {
		m.add("max_messages", "%d must not be negative", c.MaxMessages)
	}
	if n, _ := sms.Segments(specOf(c).ShortBody()); c.MaxSegments < 0 {
		m.add("max_segments", "%d must not be negative", c.MaxSegments)
	} else if c.MaxSegments > 0 && c.MaxSegments < n {
		m.add("max_segments", "%d is less than the %d segments of one message, so no message could be sent", c.MaxSegments, n)
	}
}

// IDFree reports whether Enqueue with this ID would create a campaign. An ID is free if no campaign has
// it, or if its campaign was cancelled before any message was submitted to a gateway. For an invalid ID,
// IDFree returns false. IDFree returns an error if Redis does not answer. It is safe for concurrent use.
func (c *Client) IDFree(ctx context.Context, id string) (bool, error) {
	if !ledger.ValidID(id) {
		return false, nil
	}
	return c.ledger.Index().Free(ctx, id)
}

// The method "exists" reports whether a campaign in the ledger uses the given ID. A campaign whose ID is
// free again (see Enqueue) does not count. If the ledger cannot be read, the method returns false: the
// commit checks the ID again.
func (c *Client) exists(ctx context.Context, id string) bool {
	if !ledger.ValidID(id) {
		return false
	}
	free, err := c.ledger.Index().Free(ctx, id)
	return err == nil && !free
}

// checkAccounts returns the accounts and routes that the campaign may use. It adds to m a
// mistake for each account that does not exist or cannot send the campaign.
func (c *Client) checkAccounts(ctx context.Context, campaign Campaign, m *mistakes) (found accountSet, err error) {
	names := []string{campaign.Via}
	if campaign.Via == "" {
		if found.routes, err = c.recent.routesInForce(ctx, c, campaign.single != nil); err != nil {
			return found, err
		}
		if len(found.routes) == 0 {
			m.add("via", "must name an account, because the workers have no routes")
			return found, nil
		}
		names = names[:0]
		for _, r := range found.routes {
			names = append(names, r.Via...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a, published, err := c.recent.account(ctx, c, name, campaign.single != nil)
		if errors.Is(err, accounts.ErrNoAccount) {
			*m = append(*m, &FieldError{Field: "via", err: ErrUnknownAccount,
				Problem: fmt.Sprintf("no worker serves an account %q%s", name, listOf(published))})
			continue
		}
		if err != nil {
			return found, err
		}
		checkAccount(specOf(campaign), a, m)
		found.all = append(found.all, a)
	}
	return found, nil
}

// listOf returns a text that lists the published accounts. It is the end of an error message.
func listOf(names []string) string {
	if len(names) == 0 {
		return "; start a worker first, or run: tuma accounts sync"
	}
	return "; the accounts are " + strings.Join(names, ", ")
}

// checkAccount adds to m the reasons why an account cannot send the campaign.
func checkAccount(s campaign.Spec, a accounts.Account, m *mistakes) {
	if a.Info.Name == "" && a.Info.MaxRecipients == 0 {
		return // the gateway of the account is not known, because the account comes from WithAccounts
	}
	for _, x := range a.Incompatibilities(s.From, s.ShortBody(), s.Flash) {
		m.add(x.Field, "%s", x.Problem)
	}
}
