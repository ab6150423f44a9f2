package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Class decides consent, hours and priority of a campaign.
type Class string

// The two classes.
const (
	Marketing     Class = "marketing"
	Transactional Class = "transactional"
)

// What becomes of a recipient whose outcome is unknown at a gateway without keys.
const (
	KeepUnknown   = "keep"
	ResendUnknown = "resend" // submitted once more, and perhaps sent twice
)

// Spec is what a campaign's producer asked for. It is written once, at commit,
// and never changes. The JSON names are short because every campaign, also one
// of a single message, carries a copy in Redis.
type Spec struct {
	Via         string        `json:"v,omitempty"`  // account; empty: by route
	From        string        `json:"f,omitempty"`  // sender ID; empty: the account's
	Body        string        `json:"b"`            // UTF-8
	Class       Class         `json:"c,omitempty"`  // empty: marketing
	Country     string        `json:"cc,omitempty"` // ISO code for numbers in national format; empty: the worker's
	Flash       bool          `json:"fl,omitempty"`
	OnUnknown   string        `json:"u,omitempty"`  // KeepUnknown or ResendUnknown; empty: the account's
	MaxMessages int           `json:"m,omitempty"`  // 0: no cap
	MaxSegments int           `json:"ms,omitempty"` // of all messages together; 0: no cap
	StartAt     time.Time     `json:"s,omitzero"`
	ExpiresAt   time.Time     `json:"x,omitzero"`
	ExpiresIn   time.Duration `json:"xi,omitempty"` // as asked for; ExpiresAt is worked out from it
	// Canary is how many messages go first, and have to end before any other goes; 0: none.
	// MaxRejected is of how many of a hundred messages that have ended at most it may be
	// that they were rejected, or are unknown; 0: DefaultMaxRejected with a canary, else any.
	Canary      int     `json:"cy,omitempty"`
	MaxRejected float64 `json:"mr,omitempty"`
	// Fields are the body's merge fields, in the order of each recipient's values. None: the
	// campaign is plain, and the body text, whatever it looks like.
	Fields []string `json:"fd,omitempty"`
	// OnMissing is what becomes of a recipient whose value for a field without a default is
	// blank: MissingSkip or MissingDefault; empty: it was made sure that there is none.
	OnMissing string `json:"om,omitempty"`
	// Transliterate writes each rendered body in GSM-7 where it can; a plain body was written so.
	Transliterate bool `json:"tl,omitempty"`
}

// What becomes of a recipient with a blank value for a field without a default.
const (
	MissingFail    = "fail"    // the campaign is not enqueued
	MissingSkip    = "skip"    // it is left out
	MissingDefault = "default" // the field is left empty
)

// Personal says whether the body has merge fields.
func (s Spec) Personalized() bool { return len(s.Fields) > 0 }

// ShortBody is the body, or one that no recipient's is much shorter than: to see whether
// an account can carry any of it.
func (s Spec) ShortBody() string {
	if !s.Personalized() {
		return s.Body
	}
	t, err := sms.ParseTemplate(s.Body)
	if err != nil {
		return s.Body // planning says so
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

// Cap is how many messages of a plain campaign may be planned; 0: any number. A cap on
// segments counts every message with the segments of the body.
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

// Capped says whether one more message than n would pass the caps.
func (s Spec) Capped(n int) bool {
	return (s.MaxMessages > 0 || s.MaxSegments > 0) && n >= s.MessageCap()
}

// content is the part of a spec that makes two enqueues the same one. A duration
// counts as it was given, not as the instant it came to. How carefully it begins makes
// no other campaign: it must not go out twice because somebody left that out once.
func (s Spec) content() Spec {
	s.Canary, s.MaxRejected = 0, 0
	if s.ExpiresIn != 0 {
		s.ExpiresAt = time.Time{}
	}
	return s
}

// shortTransactional stands for Transactional in a record.
const shortTransactional Class = "t"

func (s Spec) encode() ([]byte, error) {
	if s.Class == Transactional {
		s.Class = shortTransactional
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	return b, nil
}

func decodeSpec(b []byte) (Spec, error) {
	var s Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("decode spec: %w", err)
	}
	switch s.Class {
	case "":
		s.Class = Marketing
	case shortTransactional:
		s.Class = Transactional
	}
	return s, nil
}

// Route sends the numbers with a prefix through accounts, in order of preference.
type Route struct {
	Match string   `json:"match" yaml:"match"`
	Via   []string `json:"via" yaml:"via"`
}
