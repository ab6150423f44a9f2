package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// PlanSnapshot is everything besides the spec that planning depends on. It is stored when planning
// starts, so that a restart with another configuration continues the same plan.
type PlanSnapshot struct {
	Country  string            `json:"cc,omitempty"`
	Accounts []SnapshotAccount `json:"a"`
	Routes   []Route           `json:"r,omitempty"` // empty: all recipients go to account 0
	// SendingHours are the sending hours of the campaign by country. They have a separate field in
	// Redis: a field of more than 64 bytes keeps the hash of a small campaign from being stored
	// compactly.
	SendingHours []CountryHours `json:"-"`
}

// SnapshotAccount is one account that a campaign may use.
type SnapshotAccount struct {
	Name          string `json:"n"`
	MaxRecipients int    `json:"m"` // most recipients of a call
	// BatchSize is the most recipients of a batch: a multiple of MaxRecipients, or less than it. In
	// Redis, 0 stands for MaxRecipients.
	BatchSize int `json:"b,omitempty"`
	// Resend: recipients with an unknown outcome are submitted once more, because the gateway has
	// no idempotency keys and the campaign or account asks for it.
	Resend bool `json:"r,omitempty"`
	// MaxChars and MaxSegments are the longest body that the gateway accepts, and Calls the most
	// calls of a batch; 0: no limit. All three are 0 in plain campaigns: their body was checked
	// before, and BatchSize bounds their batches.
	MaxChars    int `json:"mc,omitempty"`
	MaxSegments int `json:"mx,omitempty"`
	Calls       int `json:"k,omitempty"`
	// Held: the account had been held for long when planning started. A route that also names
	// another account skips this account.
	Held bool `json:"h,omitempty"`
}

// CountryHours are the sending hours for recipients of a country. The zero value allows any hour.
type CountryHours struct {
	Country string // ISO code
	Hours   string // in the recipient's local time: "08:00-18:00"
}

// encodeSendingHours encodes sending hours as "KE 08:00-18:00 NG 08:00-20:00".
func encodeSendingHours(hours []CountryHours) string {
	var words []string
	for _, h := range hours {
		words = append(words, h.Country, h.Hours)
	}
	return strings.Join(words, " ")
}

func decodeSendingHours(s string) (out []CountryHours, err error) {
	words := strings.Fields(s)
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("decode sending hours: %w", errRecord)
	}
	for w := range slices.Chunk(words, 2) {
		out = append(out, CountryHours{Country: w[0], Hours: w[1]})
	}
	return out, nil
}

func (f PlanSnapshot) encode() ([]byte, error) {
	f.Accounts = slices.Clone(f.Accounts)
	for i, a := range f.Accounts {
		if a.BatchSize == a.MaxRecipients {
			f.Accounts[i].BatchSize = 0 // 0 stands for MaxRecipients, and keeps the record of a one-message campaign short
		}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode planning snapshot: %w", err)
	}
	return b, nil
}

func decodeSnapshot(s, hours string) (PlanSnapshot, error) {
	var f PlanSnapshot
	err := json.Unmarshal([]byte(s), &f)
	if err == nil {
		f.SendingHours, err = decodeSendingHours(hours)
	}
	if err != nil {
		return f, fmt.Errorf("decode planning snapshot: %w", err)
	}
	for i, a := range f.Accounts {
		if a.BatchSize == 0 {
			f.Accounts[i].BatchSize = a.MaxRecipients
		}
	}
	return f, nil
}

// Snapshot reads the planning snapshot of a campaign, and the number of its recipients. Before
// planning the snapshot is the zero value.
func (l *Ledger) Snapshot(ctx context.Context, id string) (PlanSnapshot, int, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), "frozen", "total", "win").Result()
	if err != nil {
		return PlanSnapshot{}, 0, fmt.Errorf("read campaign %s: %w", id, err)
	}
	if got[0] == nil {
		return PlanSnapshot{}, fieldInt(got[1]), nil
	}
	f, err := decodeSnapshot(fieldString(got[0]), fieldString(got[2]))
	if err != nil {
		return f, 0, unreadable(id, "frozen", fieldString(got[0]), err)
	}
	return f, fieldInt(got[1]), nil
}
