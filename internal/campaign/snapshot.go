package campaign

import (
	"github.com/tuma-sms/tuma/sms"
)

// PlanSnapshot has everything on which planning depends, except the spec. It is stored when
// planning starts. So if a worker restarts with another configuration, it continues the same plan.
type PlanSnapshot struct {
	Country  string            `json:"cc,omitempty"`
	Accounts []SnapshotAccount `json:"a"`
	Routes   []Route           `json:"r,omitempty"` // if it is empty, all recipients go to account 0
	// SendingHours are the sending hours of the campaign by country. They have a separate field in
	// Redis, because Redis stores a small hash compactly only if no field is longer than 64 bytes.
	SendingHours []CountryHours `json:"-"`
}

// SnapshotAccount is one account that a campaign may use.
type SnapshotAccount struct {
	Name          string `json:"n"`
	MaxRecipients int    `json:"m"` // maximum number of recipients of a call
	// BatchSize is the maximum number of recipients of a batch. It is a multiple of
	// MaxRecipients, or less than MaxRecipients. In Redis, 0 stands for MaxRecipients.
	BatchSize int `json:"b,omitempty"`
	// Resend is true if recipients with an unknown outcome are submitted once more. It is only
	// true if the gateway has no idempotency keys, and if a setting of the campaign or of the
	// account asks for the resend.
	Resend bool `json:"r,omitempty"`
	// MaxChars and MaxSegments are the maximum length of a body that the gateway accepts. Calls
	// is the maximum number of calls of a batch. 0 means no limit. In plain campaigns all three
	// are 0, because the body was checked before and BatchSize limits the batches.
	MaxChars    int `json:"mc,omitempty"`
	MaxSegments int `json:"mx,omitempty"`
	Calls       int `json:"k,omitempty"`
	// Held is true if the account had been held for long when planning started. A route skips this
	// account if the route also names another account.
	Held bool `json:"h,omitempty"`
}

// CountryHours are the sending hours for recipients of a country. The zero value allows any hour.
type CountryHours struct {
	Country string // ISO code of the country
	Hours   string // in the recipient's local time: "08:00-18:00"
}

// AcceptsBody reports whether body is short enough for the account's gateway.
func (a SnapshotAccount) AcceptsBody(body string) bool {
	return a.MaxChars == 0 && a.MaxSegments == 0 || sms.Measure(body).Fits(a.MaxChars, a.MaxSegments)
}

// CallSize returns the maximum number of recipients of a call through the account.
func (a SnapshotAccount) CallSize() int { return max(1, min(a.MaxRecipients, a.BatchSize)) }

// Fill makes a batch for a stream of the account. It takes the first of the given calls: as many as
// fit into the batch, but at least one. It returns the batch and the number of calls taken.
func (a SnapshotAccount) Fill(stream int, calls []Call) (b PlannedBatch, n int) {
	b.Stream = stream
	text := 0
	for _, c := range calls {
		text += len(c.Body)
		if n > 0 && (len(b.To)+len(c.To) > a.BatchSize || a.Calls > 0 && n == a.Calls || text+4*(n+2) > MaxBodies) {
			break
		}
		if n++; n == 1 {
			b.To = c.To[:len(c.To):len(c.To)] // usually the batch has only this call
		} else {
			b.To = append(b.To, c.To...)
		}
		b.Calls = append(b.Calls, len(c.To))
		if c.Body != "" {
			b.Bodies = append(b.Bodies, c.Body)
		}
	}
	return b, n
}
