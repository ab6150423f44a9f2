package campaign

import (
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Class is the class of a campaign. It determines sending hours and priority.
type Class string

// The classes.
const (
	Marketing     Class = "marketing"
	Transactional Class = "transactional"
)

// The values of OnUnknown. They apply to a recipient with an unknown outcome at a gateway
// without idempotency keys.
const (
	KeepUnknown   = "keep"
	ResendUnknown = "resend" // the recipient is submitted once more, and may get the message twice
)

// Spec is what the producer of a campaign asked for. It is written once, at commit, and never
// changes. The JSON names are short because every campaign, even one of a single message, stores a
// copy in Redis.
type Spec struct {
	Via     string `json:"v,omitempty"`  // name of the account; if it is empty, routes choose accounts
	From    string `json:"f,omitempty"`  // sender ID; if it is empty, the account's default applies
	Body    string `json:"b"`            // UTF-8
	Class   Class  `json:"c,omitempty"`  // empty: marketing
	Country string `json:"cc,omitempty"` // ISO code of the country for numbers in national format; if it is empty, the worker's default applies
	// Defaults has the settings that were in force at the enqueue. Planning uses these settings.
	// It is nil if the campaign does not depend on them, or if an earlier release enqueued the
	// campaign.
	Defaults    *Defaults     `json:"d,omitempty"`
	Flash       bool          `json:"fl,omitempty"`
	OnUnknown   string        `json:"u,omitempty"`  // KeepUnknown or ResendUnknown; if it is empty, the account's setting applies
	MaxMessages int           `json:"m,omitempty"`  // 0: no cap
	MaxSegments int           `json:"ms,omitempty"` // the maximum number of segments of all messages together; 0 means no cap
	StartAt     time.Time     `json:"s,omitzero"`
	StartIn     time.Duration `json:"si,omitempty"` // the time to the start, as the producer gave it; StartAt is computed from it
	ExpiresAt   time.Time     `json:"x,omitzero"`
	ExpiresIn   time.Duration `json:"xi,omitempty"` // the time to the expiry, as the producer gave it; ExpiresAt is computed from it
	// Canary is the number of messages that must end before any other message is sent. 0 means
	// that the campaign has no canary. MaxRejected is the maximum percentage of finished
	// messages that may be rejected or unknown. If it is 0, DefaultMaxRejected applies to a
	// campaign with a canary, and other campaigns have no limit.
	Canary      int     `json:"cy,omitempty"`
	MaxRejected float64 `json:"mr,omitempty"`
	// Fields are the merge fields of the body. A recipient's values have the same order. Without
	// fields the campaign is plain: the body is sent unchanged, even if it contains braces.
	Fields []string `json:"fd,omitempty"`
	// OnMissing is what happens to a recipient with a blank value for a field that has no default:
	// MissingSkip or MissingDefault. It is empty if the producer checked that no recipient has such
	// a value.
	OnMissing string `json:"om,omitempty"`
	// Transliterate is true if planning transliterates each rendered body to GSM-7 where
	// possible. In a plain campaign the producer has already transliterated the body.
	Transliterate bool `json:"tl,omitempty"`
	// CreatedBy is who enqueued the campaign, such as user@host. Notes are facts about the campaign
	// for people, such as the sheet of a workbook that holds the recipients. CreatedBy and Notes
	// are empty in campaigns of earlier releases.
	CreatedBy string   `json:"by,omitempty"`
	Notes     []string `json:"nt,omitempty"`
	// Duplicates is DuplicatesEach or empty. If it is empty, planning skips a recipient whose number
	// is the number of an earlier recipient. It is always empty in a plain campaign, because all
	// texts are the same.
	Duplicates string `json:"dp,omitempty"`
	// Message is true for a single message: a campaign of one recipient that is not shown in lists
	// of campaigns. Ref is the caller's own reference for this message.
	Message bool   `json:"sm,omitempty"`
	Ref     string `json:"rf,omitempty"`
	// PurgeBody is true if the body must be removed after the message is settled. Purged is the
	// number of segments of the removed body. It is 0 if the body was not removed.
	PurgeBody bool `json:"pb,omitempty"`
	Purged    int  `json:"pd,omitempty"`
	// Trace is the W3C traceparent of the enqueue. It is empty if the enqueue belongs to no trace.
	Trace string `json:"tp,omitempty"`
	// StatusEvents is true if Tuma writes events about the statuses of the recipients.
	StatusEvents bool `json:"ev,omitempty"`
	// Refs is true if a recipient has a reference. A campaign of an earlier release may have
	// references although Refs is false.
	Refs bool `json:"rs,omitempty"`
}

// Segments returns the number of segments of the body of a plain campaign, even if the body was purged.
func (s Spec) Segments() int {
	if s.Purged > 0 {
		return s.Purged
	}
	n, _ := sms.Segments(s.Body)
	return n
}

// The values of Duplicates. They apply to a recipient whose number is the number of an earlier
// recipient.
const (
	DuplicatesSkip = "skip" // the recipient is skipped
	DuplicatesEach = "each" // the recipient is skipped only if it also has the same text
)

// Defaults are settings of the cluster. A campaign keeps the values that were in force at its enqueue.
type Defaults struct {
	// Country is the ISO code of the country for numbers in national format. It is empty if
	// every number must be in international form.
	Country string `json:"c,omitempty"`
	// Windows are the sending hours of a marketing campaign by country. It is nil if the campaign may
	// be sent at any hour.
	Windows map[string]string `json:"w,omitempty"`
}

// Hours returns the sending hours, sorted by country.
func (d *Defaults) Hours() (out []CountryHours) {
	for _, country := range slices.Sorted(maps.Keys(d.Windows)) {
		out = append(out, CountryHours{Country: country, Hours: d.Windows[country]})
	}
	return out
}

// The values of OnMissing. They apply to a recipient with a blank value for a field without a
// default.
const (
	MissingFail    = "fail"    // the campaign is not enqueued
	MissingSkip    = "skip"    // the recipient is skipped
	MissingDefault = "default" // the field is left empty
)

// Personalized reports whether the body has merge fields.
func (s Spec) Personalized() bool { return len(s.Fields) > 0 }

// ShortBody returns the body. In a campaign with merge fields it returns a body about as short as
// the shortest rendered body. Callers use it to check whether an account can carry any message of
// the campaign.
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

// MessageCap returns how many messages of a plain campaign may be planned; 0 means no cap. It
// divides a cap on segments by the number of segments of the body.
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

// Capped reports whether one more message after n messages would exceed the cap of a plain campaign.
func (s Spec) Capped(n int) bool {
	return (s.MaxMessages > 0 || s.MaxSegments > 0) && n >= s.MessageCap()
}

// Content returns the part of a spec that decides whether two enqueues are the same campaign. Defaults
// are left out, so that the content stays the same when the settings change. Content contains the start
// and the expiry as the producer gave them (StartIn, ExpiresIn), not the times computed from them
// (StartAt, ExpiresAt). Canary and MaxRejected are left out: a second enqueue that omits these two by
// mistake must not send the campaign again. CreatedBy, Notes and StatusEvents are left out, so that a
// colleague who enqueues the same campaign does not send it again. Trace, PurgeBody, Purged and Refs
// are left out too.
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
