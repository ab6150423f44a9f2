package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/sms"
)

// Class decides consent, hours and priority.
type Class = ledger.Class

// The two classes; Marketing is the default.
const (
	Marketing     = ledger.Marketing
	Transactional = ledger.Transactional
)

// What becomes of a recipient whose outcome is unknown at a gateway without
// idempotency keys; at one with keys neither word changes anything.
const (
	// OnUnknownKeep leaves it unknown, for you to decide.
	OnUnknownKeep = ledger.KeepUnknown
	// OnUnknownResend submits it once more, at most: it may be sent twice.
	OnUnknownResend = ledger.ResendUnknown
)

// Campaign is one body to many recipients.
type Campaign struct {
	// ID is the caller's idempotency key, [A-Za-z0-9._:-]{1,128}.
	ID string
	// Via is the account to send through. Empty: by the workers' routes.
	Via string
	// From is the sender ID. Empty: the account's default.
	From string
	// Body is the text, UTF-8. It may have merge fields, {{name}}, with filters and
	// defaults, {{name:first|there}}, which are filled in for each recipient from its
	// Fields; {{{{ stands for two braces.
	Body string
	// OnMissing is what becomes of a recipient whose value for a merge field without a
	// default is blank: OnMissingFail, OnMissingSkip or OnMissingDefault. Empty:
	// OnMissingFail. It is no matter of a plain campaign.
	OnMissing string
	// Transliterate writes each message in GSM-7 if that takes nothing but other forms of
	// the same characters, as sms.Transliterate has it.
	Transliterate bool
	// Class defaults to Marketing.
	Class Class
	// Country is the ISO code for numbers in national format, "KE". Empty: the
	// workers' default.
	Country string
	// Flash asks for a message that is shown and not stored.
	Flash bool
	// OnUnknown is OnUnknownKeep or OnUnknownResend. Empty: the account's.
	OnUnknown string
	// MaxMessages caps how many recipients are planned; 0: no cap.
	MaxMessages int
	// MaxSegments caps the segments of all planned messages together; 0: no cap. Who
	// is left out by a cap is skipped with the reason "over_cap".
	MaxSegments int
	// Canary is how many messages go first, the first ones of the list that can be sent to:
	// no other goes before all of them have ended, and if more of them were rejected or are
	// unknown than MaxRejected allows, the campaign is paused. 0: no canary. It and
	// MaxRejected are no part of the content.
	Canary int
	// MaxRejected is of how many of a hundred messages that have ended at most it may be
	// that they were rejected or are unknown, above 0 and at most 100. Above it the campaign
	// is paused (Status.TooMany), as soon as LimitSample have ended, and Resume lets it go on
	// and counts anew. 0: DefaultMaxRejected where there is a Canary, else any number.
	MaxRejected float64
	// RequireCredit refuses the campaign, as ErrNoCredit, if the balance of one of its
	// accounts does not cover what it may cost, or cannot be told. Otherwise the receipt
	// says so (Credit). It is no part of the content.
	RequireCredit bool
	// StartAt is when sending may begin. Zero: now.
	StartAt time.Time
	// ExpiresAt is when what is not submitted is skipped; ExpiresIn says the same
	// from now on. Zero: never. At most one of them.
	ExpiresAt time.Time
	ExpiresIn time.Duration
}

const (
	// DefaultMaxRejected is the limit, in percent, of a campaign with a canary that names none.
	DefaultMaxRejected = ledger.DefaultMaxRejected
	// LimitSample is how many messages must have ended for a limit to say anything, other
	// than at the end of a canary.
	ThresholdSample = ledger.ThresholdSample
	// LimitSpan is after how many messages that kept within a limit it is counted anew.
	ThresholdSpan = ledger.ThresholdSpan
)

// Recipient is one uploaded recipient.
type Recipient struct {
	// Number is the phone number as people write it; of more than 64 bytes the
	// first 64 are kept.
	Number string
	// Fields are the values for the body's merge fields, by the names of columns, such as
	// "First name": sms.FieldKey says which of them are the same. Others are passed over.
	// The map is read before the next recipient is asked for. Whose values are longer than
	// 4 KB each, or 16 KB together, is left out with the reason "body_too_long".
	Fields map[string]string
}

// Numbers makes a sequence of recipients from plain numbers.
func Numbers(numbers ...string) iter.Seq2[Recipient, error] {
	return func(yield func(Recipient, error) bool) {
		for _, n := range numbers {
			if !yield(Recipient{Number: n}, nil) {
				return
			}
		}
	}
}

// Receipt says what an Enqueue came to: the ID, the number of recipients, when
// the campaign was created, and whether it was there already (Again).
type Receipt = ledger.Receipt

// FieldError is one mistake in a campaign. It is an ErrInvalid.
type FieldError struct {
	// Field is the name of the Campaign's field, in lower case with underscores.
	Field string
	// Problem says what is wrong and what to do.
	Problem string
	err     error
}

// Error returns the field and the problem.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Is says that every FieldError is an ErrInvalid, and ErrUnknownAccount where it is one.
func (e *FieldError) Is(target error) bool {
	return target == ErrInvalid || e.err != nil && target == e.err
}

// MaxBody is the most bytes a body may have; gateways take far less.
const MaxBody = 16 << 10

// Enqueue uploads the recipients, in constant memory, and commits the campaign in
// one step; workers plan and send it from then on. An error of the sequence ends
// it with nothing enqueued. After another error it may not be known whether the
// commit happened: enqueue the same again, which is always safe.
//
// The same ID and content again returns the first receipt with Again set; the same
// ID with other content is ErrConflict; mistakes are ErrInvalid, all in one error.
// An account that no worker has published is ErrUnknownAccount.
func (c *Client) Enqueue(ctx context.Context, campaign Campaign, recipients iter.Seq2[Recipient, error]) (Receipt, error) {
	spec, accounts, err := c.check(ctx, campaign)
	if err != nil {
		return Receipt{}, err
	}
	if err := c.roomInRedis(ctx); err != nil {
		return Receipt{}, err
	}
	u, err := c.ledger.BeginUpload(campaign.ID, spec)
	if err != nil {
		return Receipt{}, err
	}
	estimate := newEstimate(spec, accounts)
	err = c.upload(ctx, u, spec, estimate, recipients)
	if err == nil {
		err = estimate.require(campaign.RequireCredit, c.now())
	}
	if err != nil {
		// The staging area is out of sight and goes by itself within a day.
		return Receipt{}, errors.Join(err, u.Discard(context.WithoutCancel(ctx)))
	}
	receipt, err := u.Commit(ctx)
	if err != nil {
		return Receipt{}, fmt.Errorf("enqueue: %w", err)
	}
	if !receipt.Again {
		receipt.Credit = estimate.warnings(c.now())
	}
	if spec.StartAt.After(c.now()) {
		return receipt, nil // the sweeper wakes it when it is time
	}
	// Also when the campaign was there: whoever committed it may have died right here.
	err = c.queue.Wake(ctx, queue.FirstQueue(campaign.Via, campaign.Class == Transactional, receipt.Total), queue.Pointer{Campaign: campaign.ID, Wake: 1})
	if err != nil {
		// The commit stands and the sweeper would plan it; the caller hears of it all the same.
		return receipt, fmt.Errorf("enqueue: committed, but not queued yet: %w", err)
	}
	return receipt, nil
}

func (c *Client) upload(ctx context.Context, u *ledger.Upload, spec ledger.Spec, e *estimate, recipients iter.Seq2[Recipient, error]) error {
	if recipients == nil {
		recipients = Numbers()
	}
	p, err := newPersonal(spec)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	for r, err := range recipients {
		if err == nil {
			err = ctx.Err() // Redis is only talked to now and then
		}
		if err != nil {
			return fmt.Errorf("enqueue: recipient %d: %w", u.Total()+1, err)
		}
		n := u.Total() + 1
		values, err := p.read(n, r)
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		segments := 0
		if p != nil && (p.strict || e.asked()) {
			if segments, err = p.segments(n); err != nil {
				return fmt.Errorf("enqueue: %w", err)
			}
		}
		e.add(r.Number, segments)
		if err := u.Add(ctx, r.Number, values...); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
	}
	if u.Total() == 0 {
		return &FieldError{Field: "recipients", Problem: "there are none"}
	}
	return p.unknown()
}

// ContentID derives a campaign ID from content: the same campaign (its ID is not
// looked at) and recipients always give the same one.
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
	n := 0
	for r, err := range recipients {
		if err != nil {
			return "", fmt.Errorf("derive campaign id: %w", err)
		}
		n++
		values, err := p.read(n, r)
		if err != nil {
			return "", fmt.Errorf("derive campaign id: %w", err)
		}
		d.Add(r.Number, values...)
	}
	return "c-" + d.Sum()[:22], nil
}

func specOf(c Campaign) ledger.Spec {
	s := ledger.Spec{Via: c.Via, From: c.From, Body: c.Body, Class: c.Class, Country: strings.ToUpper(c.Country), Flash: c.Flash,
		OnUnknown: c.OnUnknown, MaxMessages: c.MaxMessages, MaxSegments: c.MaxSegments, StartAt: c.StartAt.UTC(), ExpiresAt: c.ExpiresAt.UTC(), ExpiresIn: c.ExpiresIn,
		Canary: c.Canary, MaxRejected: c.MaxRejected}
	if c.StartAt.IsZero() {
		s.StartAt = time.Time{}
	}
	if c.ExpiresAt.IsZero() {
		s.ExpiresAt = time.Time{}
	}
	if s.Class == Marketing {
		s.Class = "" // the default takes no room
	}
	t, err := sms.ParseTemplate(c.Body)
	switch {
	case err != nil || t.Plain(): // checkText says what is wrong
	case len(t.Fields()) == 0:
		text, _ := t.Render(nil, nil) // only braces that stand for others
		s.Body = string(text)
	default:
		s.Fields = t.Fields()
		if c.OnMissing != OnMissingFail {
			s.OnMissing = c.OnMissing
		}
		s.Transliterate = c.Transliterate
	}
	if c.Transliterate && len(s.Fields) == 0 {
		s.Body, _ = sms.Transliterate(s.Body)
	}
	return s
}

// Redis is refused above this share of its maxmemory, so that what is under way
// can be finished.
const fullShare = 0.8

func (c *Client) roomInRedis(ctx context.Context) error {
	now := c.now()
	m := c.memory.Load()
	if m == nil || now.Sub(m.at) > 2*time.Second || now.Before(m.at) {
		info, err := c.rdb.InfoMap(ctx, "memory").Result()
		if err != nil {
			// A hosted Redis may forbid INFO; then writing tells.
			return nil //nolint:nilerr // see above
		}
		m = &memoryReading{at: now}
		m.used, _ = strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
		m.most, _ = strconv.ParseInt(info["Memory"]["maxmemory"], 10, 64)
		c.memory.Store(m)
	}
	if m.most > 0 && float64(m.used) > fullShare*float64(m.most) {
		return fmt.Errorf("enqueue: %w: %d of %d bytes are used; let campaigns finish, shorten retention or raise maxmemory",
			ErrFull, m.used, m.most)
	}
	return nil
}
