package campaign

import (
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Class is the class of a campaign. It decides about sending hours and priority.
type Class string

// The classes.
const (
	Marketing     Class = "marketing"
	Transactional Class = "transactional"
)

// What happens to a recipient with an unknown outcome at a gateway without idempotency keys.
const (
	KeepUnknown   = "keep"
	ResendUnknown = "resend" // the recipient is submitted once more, and may get the message twice
)

// Spec is what the producer of a campaign asked for. It is written once, at commit, and never
// changes. The JSON names are short because every campaign, even one of a single message, stores a
// copy in Redis.
type Spec struct {
	Via     string `json:"v,omitempty"`  // account; empty: chosen by route
	From    string `json:"f,omitempty"`  // sender ID; empty: the account's
	Body    string `json:"b"`            // UTF-8
	Class   Class  `json:"c,omitempty"`  // empty: marketing
	Country string `json:"cc,omitempty"` // ISO code of the country for numbers in national format; empty: the worker's
	// Defaults are the settings in force at the enqueue, which planning uses. It is nil if nothing
	// depends on them, or in a campaign of an earlier release.
	Defaults    *Defaults     `json:"d,omitempty"`
	Flash       bool          `json:"fl,omitempty"`
	OnUnknown   string        `json:"u,omitempty"`  // KeepUnknown or ResendUnknown; empty: the account's
	MaxMessages int           `json:"m,omitempty"`  // 0: no cap
	MaxSegments int           `json:"ms,omitempty"` // the maximum number of segments of all messages together; 0: no cap
	StartAt     time.Time     `json:"s,omitzero"`
	StartIn     time.Duration `json:"si,omitempty"` // the time to the start, as the producer gave it; StartAt is computed from it
	ExpiresAt   time.Time     `json:"x,omitzero"`
	ExpiresIn   time.Duration `json:"xi,omitempty"` // the time to the expiry, as the producer gave it; ExpiresAt is computed from it
	// Canary is how many messages must end before any other is sent; 0: none. MaxRejected is the
	// maximum percentage of finished messages that may be rejected or unknown; 0:
	// DefaultMaxRejected with a canary, else no limit.
	Canary      int     `json:"cy,omitempty"`
	MaxRejected float64 `json:"mr,omitempty"`
	// Fields are the body's merge fields, in the order of each recipient's values. Without fields
	// the campaign is plain: the body is sent unchanged, even if it contains braces.
	Fields []string `json:"fd,omitempty"`
	// OnMissing is what happens to a recipient with a blank value for a field that has no default:
	// MissingSkip or MissingDefault. It is empty if the producer checked that no recipient has such
	// a value.
	OnMissing string `json:"om,omitempty"`
	// Transliterate: planning writes each rendered body in GSM-7 where possible. In a plain
	// campaign the producer has transliterated the body already.
	Transliterate bool `json:"tl,omitempty"`
	// CreatedBy is who enqueued the campaign, such as user@host. Notes are what the producer noticed
	// when it read the recipients. Campaigns of earlier releases have neither.
	CreatedBy string   `json:"by,omitempty"`
	Notes     []string `json:"nt,omitempty"`
	// Duplicates is DuplicatesEach or empty. If it is empty, planning skips a recipient whose number
	// repeats that of an earlier recipient. It is empty in a plain campaign, where every text is the
	// same.
	Duplicates string `json:"dp,omitempty"`
	// Message is set for a single message: a campaign of one recipient that lists of campaigns leave
	// out. Ref is its caller's own reference.
	Message bool   `json:"sm,omitempty"`
	Ref     string `json:"rf,omitempty"`
	// PurgeBody asks for the removal of the body once the message is settled. Purged is the number of
	// segments of the body that was removed; 0 if there is a body.
	PurgeBody bool `json:"pb,omitempty"`
	Purged    int  `json:"pd,omitempty"`
	// Trace is the W3C traceparent of the enqueue; empty if it belongs to no trace.
	Trace string `json:"tp,omitempty"`
	// StatusEvents asks for events about the statuses of the recipients.
	StatusEvents bool `json:"ev,omitempty"`
	// Refs is set if a recipient has a reference. A campaign of an earlier release may have references
	// although Refs is not set.
	Refs bool `json:"rs,omitempty"`
}

// Segments returns the number of segments of the body of a plain campaign, also if the body was purged.
func (s Spec) Segments() int {
	if s.Purged > 0 {
		return s.Purged
	}
	n, _ := sms.Segments(s.Body)
	return n
}

// What happens to a recipient whose number repeats that of an earlier recipient.
const (
	DuplicatesSkip = "skip" // the recipient is skipped
	DuplicatesEach = "each" // the recipient is skipped only if the text is the same too
)

// Defaults are the settings of the cluster that a campaign keeps from its enqueue on.
type Defaults struct {
	// Country is the ISO code of the country whose numbers may be in national format; empty if
	// there is no such country.
	Country string `json:"c,omitempty"`
	// Windows are the sending hours of a marketing campaign by country; nil: any hour.
	Windows map[string]string `json:"w,omitempty"`
}

// Hours returns the sending hours, sorted by country.
func (d *Defaults) Hours() (out []CountryHours) {
	for _, country := range slices.Sorted(maps.Keys(d.Windows)) {
		out = append(out, CountryHours{Country: country, Hours: d.Windows[country]})
	}
	return out
}

// What happens to a recipient with a blank value for a field without a default.
const (
	MissingFail    = "fail"    // the campaign is not enqueued
	MissingSkip    = "skip"    // the recipient is skipped
	MissingDefault = "default" // the field is left empty
)

// Personalized reports whether the body has merge fields.
func (s Spec) Personalized() bool { return len(s.Fields) > 0 }

// ShortBody returns the body. In a campaign with merge fields it returns a body about as short as
// the shortest rendered one. It is used to check whether an account can carry any message of the
// campaign.
func (s Spec) ShortBody() string {
	if !s.Personalized() {
		return s.Body
	}
	t, err := sms.ParseTemplate(s.Body)
	if err != nil {
		return s.Body // the template cannot be parsed: planning reports the error
	}
	short := ""
	for _, value := range []string{"x", ""} {
		out, _ := t.Render(nil, func(string) string { return value })
		body := string(out)
		if s.Transliterate {
			body, _ = sms.Transliterate(body)
		}
		if value == "x" || sms.CodeUnits(body) < sms.CodeUnits(short) {
			short = body
		}
	}
	return short
}

// MessageCap returns how many messages of a plain campaign may be planned; 0: no cap. For a cap on
// segments, each message counts as many segments as the body has.
func (s Spec) MessageCap() int {
	most := s.MaxMessages
	if s.MaxSegments > 0 {
		segments, _ := sms.Segments(s.Body)
		if n := s.MaxSegments / max(1, segments); most == 0 || n < most {
			most = n
		}
	}
	return most
}

// Capped reports whether another message after n messages would exceed the caps.
func (s Spec) Capped(n int) bool {
	return (s.MaxMessages > 0 || s.MaxSegments > 0) && n >= s.MessageCap()
}

// Content returns the part of a spec that decides whether two enqueues are the same campaign.
// Defaults do not count: the same content stays the same campaign when the settings change.
// Content contains the start and the expiry as the producer gave them (StartIn, ExpiresIn), not the
// times computed from them (StartAt, ExpiresAt). Canary and MaxRejected do not count: a second
// enqueue that omits these two by mistake must not send the campaign again. CreatedBy, Notes and
// StatusEvents do not count, so that a colleague who enqueues the same campaign does not send it again.
// Trace does not count either.
func (s Spec) Content() Spec {
	s.Defaults = nil
	s.Canary, s.MaxRejected = 0, 0
	s.CreatedBy, s.Notes, s.Trace = "", nil, ""
	s.PurgeBody, s.Purged = false, 0
	s.StatusEvents, s.Refs = false, false
	if s.StartIn != 0 {
		s.StartAt = time.Time{}
	}
	if s.ExpiresIn != 0 {
		s.ExpiresAt = time.Time{}
	}
	return s
}

// Route sends numbers with a prefix through accounts, in order of preference.
type Route struct {
	Match string   `json:"match" yaml:"match"`
	Via   []string `json:"via" yaml:"via"`
}
