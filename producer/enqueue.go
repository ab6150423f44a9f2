package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/sms"
)

// Class decides whether the sending hours apply, and which queue is used.
type Class string

const (
	// Marketing is the default. Messages go out within the sending hours of the recipient's
	// country.
	Marketing Class = "marketing"
	// Transactional messages go out at any hour, from a separate queue.
	Transactional Class = "transactional"
)

// Values of Campaign.OnUnknown. They decide what happens to a recipient whose outcome is unknown.
// They have no effect at a gateway with idempotency keys.
const (
	// OnUnknownKeep leaves the recipient unknown. You decide whether to send again (Client.Retry).
	OnUnknownKeep = "keep"
	// OnUnknownResend submits the recipient once more. The message may arrive twice.
	OnUnknownResend = "resend"
)

// Values of Campaign.Duplicates. They decide what happens to a recipient whose number an earlier
// recipient also has.
const (
	// DuplicatesSkip skips the recipient with the reason "duplicate".
	DuplicatesSkip = "skip"
	// DuplicatesEach sends to the recipient if the text differs from every text that the number
	// gets already. Otherwise the recipient is skipped with the reason "duplicate".
	DuplicatesEach = "each"
)

// Campaign is one body to any number of recipients.
type Campaign struct {
	// ID is the caller's idempotency key. It has 1 to 128 characters, each one of A-Z a-z 0-9 . _ :
	// and -.
	ID string
	// Via is the account to send through. Empty means the first account of the workers' routes
	// that matches the number.
	Via string
	// From is the sender ID. Empty means the account's default.
	From string
	// Body is the text in UTF-8. It may have merge fields such as {{name}} or
	// {{name:first|there}}, which are replaced by the recipient's Fields; {{{{ writes two braces.
	Body string
	// OnMissing is OnMissingFail, OnMissingSkip or OnMissingDefault. It decides what happens to
	// a recipient without a value for a merge field that has no default. Empty means
	// OnMissingFail. A campaign without merge fields ignores OnMissing.
	OnMissing string
	// Duplicates is DuplicatesSkip or DuplicatesEach. Empty means DuplicatesSkip. A campaign without
	// merge fields ignores Duplicates, because all its texts are the same.
	Duplicates string
	// Transliterate converts a text to GSM-7 if every character outside GSM-7 has another form with
	// the same meaning. See sms.Transliterate.
	Transliterate bool
	// Class defaults to Marketing.
	Class Class
	// Country is the ISO code for numbers in national format, such as "KE". Empty means the
	// workers' default at the time of Enqueue (Receipt.Country).
	Country string
	// Flash requests a message that the phone shows and does not store (class 0).
	Flash bool
	// OnUnknown is OnUnknownKeep or OnUnknownResend. Empty means the account's setting.
	OnUnknown string
	// MaxMessages is the maximum number of messages. Further recipients are skipped with the
	// reason "over_cap". 0 means no limit.
	MaxMessages int
	// MaxSegments is the maximum number of segments of all messages together. Further
	// recipients are skipped with the reason "over_cap". 0 means no limit.
	MaxSegments int
	// Canary is the number of messages that are sent first. No other message is sent until all
	// these messages have ended. If more than MaxRejected percent of these messages are rejected or
	// unknown, the campaign is paused. 0 means no canary. Canary and MaxRejected are not part of the
	// content that Enqueue compares.
	Canary int
	// MaxRejected is the maximum percentage, above 0 and at most 100, of finished messages that may
	// be rejected or unknown. It is checked once ThresholdSample messages have finished. A higher
	// percentage pauses the campaign (Status.TooManyRejected). Resume restarts the count. 0 means
	// DefaultMaxRejected if Canary is set, and otherwise no limit.
	MaxRejected float64
	// RequireCredit refuses the campaign with ErrNoCredit if the balance of an account does not
	// cover the highest possible cost, or if a balance is not known. Without RequireCredit, the
	// receipt has a warning instead (Receipt.Credit). RequireCredit is not part of the content
	// that Enqueue compares.
	RequireCredit bool
	// StartAt is when sending may begin. Zero means now. A time that is less than a second in the
	// past, such as time.Now() of the caller, also means now. A time further in the past is an
	// ErrInvalid. StartIn gives the same time as a duration after Enqueue. At most one of the two
	// fields may be set. A repeated Enqueue with the same StartIn has the same content. If the
	// caller computes StartAt from the time of the call, a repeated call has other content.
	StartAt time.Time
	StartIn time.Duration
	// CreatedBy names the user or the service that enqueues the campaign. It is copied to
	// Status.CreatedBy. It has at most MaxCreatedBy bytes and no control characters. CreatedBy and
	// Notes are not part of the content that Enqueue compares.
	CreatedBy string
	// Notes are facts about the campaign for people that read Status.Notes, such as which sheet of a
	// workbook was read. There may be up to MaxNotes notes of up to MaxNote bytes.
	Notes []string
	// NotesAtEnd returns further notes, about facts that are known only after all recipients were
	// read. Enqueue calls it once, after the last recipient. nil means no further notes.
	NotesAtEnd func() []string
	// ExpiresAt is when recipients that were not submitted are skipped with the reason "expired".
	// ExpiresIn gives the same time as a duration after the start, or after Enqueue if no start is
	// set. Zero means never. At most one of ExpiresAt and ExpiresIn may be set.
	ExpiresAt time.Time
	ExpiresIn time.Duration

	// StatusEvents asks for the events MessageStatusChanged about the recipients of this campaign. It is
	// not part of the content that Enqueue compares: the first Enqueue decides.
	StatusEvents bool

	// The field "single" is set if the campaign is a single message (Send).
	single *single
}

// Limits of Campaign.CreatedBy and Campaign.Notes, which are stored with every campaign. Lengths are
// in bytes.
const (
	MaxCreatedBy = 128
	MaxNotes     = 20
	MaxNote      = 400
)

const (
	// DefaultMaxRejected is the MaxRejected, in percent, of a campaign that has a canary but does
	// not set MaxRejected.
	DefaultMaxRejected = 10
	// ThresholdSample is the number of messages that must have finished before MaxRejected is
	// checked, except at the end of a canary.
	ThresholdSample = 100
	// ThresholdSpan is the number of finished messages after which the count for MaxRejected
	// restarts, if the percentage is within the limit. Without the restart, a million accepted
	// messages would hide a thousand rejected ones.
	ThresholdSpan = 10_000
)

// Recipient is one person to send to.
type Recipient struct {
	// Number is a phone number as people write it: "+254 712 345 678", or "0712345678" with
	// Campaign.Country. A recipient whose number is invalid or repeated is skipped; the number is
	// not an error.
	Number string
	// Fields are the values of the merge fields of Campaign.Body. Names are compared in the form
	// that sms.FieldKey returns, so "First Name" and "first_name" are one field. Fields that
	// the body does not use are ignored.
	Fields map[string]string
	// Ref is the caller's own reference of the recipient, such as an order number. Result.Ref, Find and
	// the events about single messages return it. It has at most MaxRef bytes and no control
	// characters; any other reference is an ErrInvalid. It need not be unique, and is part of the
	// content that Enqueue compares.
	Ref string
	// Line is the line of the file, or the row of the sheet, from which the recipient was read,
	// counted from 1. 0 means that the line is not known. Error texts and previews name the line.
	// It is not part of the campaign.
	Line int
}

// Numbers returns a sequence of recipients with the given numbers and no fields.
func Numbers(numbers ...string) iter.Seq2[Recipient, error] {
	return func(yield func(Recipient, error) bool) {
		for _, n := range numbers {
			if !yield(Recipient{Number: n}, nil) {
				return
			}
		}
	}
}

// Receipt is the answer to Enqueue.
type Receipt struct {
	ID string `json:"id"`
	// Total is the number of uploaded recipients.
	Total     int       `json:"total"`
	CreatedAt time.Time `json:"created_at"`
	// Again reports whether the campaign had been enqueued before with the same content.
	Again bool `json:"again"`
	// Country is the country of numbers in national format, as an ISO code. It is empty if no
	// country is set. Windows are the sending hours of a Marketing campaign by country, such as
	// "KE": "08:00-18:00". Both stay the same for the campaign, even if the workers' configuration
	// changes later.
	Country string            `json:"country"`
	Windows map[string]string `json:"windows,omitempty"`
	// NoWorker names the accounts of the campaign that no live worker serves. Their messages wait
	// until a worker serves them. It is empty if Again is true.
	NoWorker []string `json:"no_worker,omitempty"`
	// Credit has a warning for each account whose balance might not cover the campaign. It is empty
	// if Again is true.
	Credit []CreditGap `json:"credit,omitempty"`
}

// MaxBody is the maximum length of Campaign.Body in bytes. Gateways accept far less.
const MaxBody = 16 << 10

// Enqueue uploads the recipients and commits the campaign. Workers plan and send it from
// then on. Memory does not grow with the number of recipients.
//
// Enqueue is idempotent by Campaign.ID. The same ID with the same content changes nothing and
// returns the first receipt with Again set. The same ID with other content is an ErrConflict. A
// campaign that was cancelled before any message of it was submitted to a gateway frees its ID: at
// once if it was not planned yet, and otherwise 15 minutes after its end. Enqueue with a freed ID
// creates a new campaign, with the same or other content. So if an operator has cancelled the
// campaign and a program then repeats its Enqueue, the campaign is enqueued again.
//
// An error of the sequence stops the upload, and nothing is enqueued. Mistakes in the campaign are
// an ErrInvalid that lists all of them. An account that no worker has published is an
// ErrUnknownAccount. If Enqueue fails before the commit, or ctx ends before the commit, the upload
// is discarded, and Status returns ErrNotFound. If only the answer of the commit is lost, the
// campaign exists. After any other error, repeat the call with the same arguments. Repeating the
// call is always safe.
func (c *Client) Enqueue(ctx context.Context, campaign Campaign, recipients iter.Seq2[Recipient, error]) (Receipt, error) {
	spec, accounts, err := c.check(ctx, campaign)
	if err != nil {
		return Receipt{}, err
	}
	return c.enqueue(ctx, campaign, spec, accounts, recipients)
}

// enqueue does the part of Enqueue that follows the check of the campaign. The parameters "spec" and
// "accounts" are results of the check.
func (c *Client) enqueue(ctx context.Context, campaign Campaign, spec campaign.Spec, accounts accountSet, recipients iter.Seq2[Recipient, error]) (Receipt, error) {
	if err := c.roomInRedis(ctx); err != nil {
		return Receipt{}, err
	}
	spec.Trace = traceparentOf(ctx, c.traceparent)
	u, err := c.ledger.BeginUpload(campaign.ID, spec)
	if err != nil {
		return Receipt{}, err
	}
	estimate := newEstimate(spec, accounts)
	err = c.upload(ctx, u, spec, estimate, recipients)
	if err == nil {
		err = estimate.require(campaign.RequireCredit, c.now())
	}
	if err == nil && campaign.NotesAtEnd != nil {
		err = addNotesAtEnd(u, campaign)
	}
	if err != nil {
		// If Discard fails too, the status stays "uploading" for two minutes at most, and the
		// uploaded recipients expire in Redis after a day.
		return Receipt{}, errors.Join(err, u.Discard(context.WithoutCancel(ctx)))
	}
	first := queue.FirstQueue(campaign.Via, campaign.Class == Transactional, u.Total())
	committed, woken, err := commit(ctx, c, u, first, spec)
	if err != nil {
		return Receipt{}, errors.Join(fmt.Errorf("enqueue: %w", err), u.Discard(context.WithoutCancel(ctx)))
	}
	receipt := Receipt{ID: committed.ID, Total: committed.Total, CreatedAt: committed.CreatedAt, Again: committed.Again}
	if receipt.Again {
		if stored, err := c.ledger.Spec(ctx, receipt.ID); err == nil { // an error is ignored: retention may have removed the spec
			spec = stored
		}
	}
	receipt.Country, receipt.Windows = spec.Country, nil
	if d := spec.Defaults; d != nil {
		receipt.Country, receipt.Windows = cmp.Or(spec.Country, d.Country), d.Windows
	}
	if !receipt.Again {
		receipt.NoWorker = accounts.unserved()
		receipt.Credit = estimate.warnings(c.now())
	}
	if woken || spec.StartAt.After(c.now()) {
		return receipt, nil // the plan task is queued, or the sweeper queues it at StartAt
	}
	// Queue the planning task even if the campaign was already enqueued: the process that committed
	// the campaign may have stopped before it queued the task.
	err = c.queue.Wake(ctx, first, queue.Pointer{Campaign: campaign.ID, Wake: 1, Trace: spec.Trace})
	if err != nil {
		// The campaign is committed. The sweeper queues its planning later.
		return receipt, fmt.Errorf("enqueue: the campaign is committed, but its planning is not queued yet: %w", err)
	}
	return receipt, nil
}

// upload streams the recipients into u and adds them to the estimate e.
func (c *Client) upload(ctx context.Context, u *ledger.Upload, spec campaign.Spec, e *estimate, recipients iter.Seq2[Recipient, error]) error {
	if recipients == nil {
		recipients = Numbers()
	}
	p, err := newPersonal(spec)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	for r, err := range recipients {
		if err == nil {
			err = ctx.Err() // u.Add does not check ctx, because it calls Redis only once for many recipients
		}
		if err != nil {
			return fmt.Errorf("enqueue: %w", errors.Join(err, p.missing()))
		}
		values, err := p.read(r)
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		if p.foundMissing() {
			continue // nothing will be enqueued; the loop only counts the missing values for the error
		}
		segments := 0
		if p != nil && e.needed() {
			segments = p.segments()
		}
		e.add(r.Number, segments)
		if err := r.checkRef(u.Total() + 1); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		if err := u.AddWithRef(ctx, r.Number, r.Ref, values...); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
	}
	if err := p.missing(); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if u.Total() == 0 {
		return &FieldError{Field: "recipients", Problem: "must not be empty"}
	}
	return p.unusedField()
}

// ContentID derives a campaign ID from the content. The content is every field of the campaign
// that Enqueue compares, except the ID, and the recipients in order. Equal content gives the same
// ID in every process. ContentID does not use Redis. It returns an error of the sequence, or an
// ErrInvalid if the merge fields of the body are not valid.
func ContentID(campaign Campaign, recipients iter.Seq2[Recipient, error]) (string, error) {
	spec := specOf(campaign)
	d, err := ledger.NewDigest(spec)
	if err != nil {
		return "", err
	}
	p, err := newPersonal(spec)
	if err != nil {
		return "", err
	}
	for r, err := range recipients {
		if err != nil {
			return "", fmt.Errorf("derive campaign id: %w", errors.Join(err, p.missing()))
		}
		values, err := p.read(r)
		if err != nil {
			return "", fmt.Errorf("derive campaign id: %w", err)
		}
		d.Add(r.Number, values...)
		d.AddRef(r.Ref)
	}
	return "c-" + d.Sum()[:22], nil
}

// specOf returns the stored form of a campaign. If the body has no merge fields, specOf replaces the
// escaped braces of the body and, if Transliterate is set, transliterates the body.
func specOf(c Campaign) campaign.Spec {
	s := campaign.Spec{Via: c.Via, From: c.From, Body: c.Body, Class: campaign.Class(c.Class), Country: strings.ToUpper(c.Country), Flash: c.Flash,
		OnUnknown: c.OnUnknown, MaxMessages: c.MaxMessages, MaxSegments: c.MaxSegments, StartAt: c.StartAt.UTC(), StartIn: c.StartIn, ExpiresAt: c.ExpiresAt.UTC(),
		ExpiresIn: c.ExpiresIn, Canary: c.Canary, MaxRejected: c.MaxRejected, CreatedBy: c.CreatedBy, Notes: c.Notes, StatusEvents: c.StatusEvents}
	if c.single != nil {
		s.Message, s.Ref, s.PurgeBody = true, c.single.ref, c.single.purge
	}
	if c.StartAt.IsZero() {
		s.StartAt = time.Time{}
	}
	if c.ExpiresAt.IsZero() {
		s.ExpiresAt = time.Time{}
	}
	if s.Class == campaign.Marketing {
		s.Class = "" // an empty class means marketing, and saves memory in Redis
	}
	t, err := sms.ParseTemplate(c.Body)
	switch {
	case err != nil || t.Plain(): // checkText reports the error
	case len(t.Fields()) == 0:
		text, _ := t.Render(nil, nil) // the body may have escaped braces, but has no merge fields
		s.Body = string(text)
	default:
		s.Fields = t.Fields()
		if c.OnMissing != OnMissingFail {
			s.OnMissing = c.OnMissing
		}
		s.Transliterate = c.Transliterate
		if c.Duplicates != DuplicatesSkip {
			s.Duplicates = c.Duplicates
		}
	}
	if c.Transliterate && len(s.Fields) == 0 {
		s.Body, _ = sms.Transliterate(s.Body)
	}
	return s
}
