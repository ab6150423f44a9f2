package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Frozen is what planning depends on besides the spec, fixed when it starts, so
// that a restart with another configuration plans on as it began.
type PlanSnapshot struct {
	Country  string            `json:"cc,omitempty"`
	Accounts []SnapshotAccount `json:"a"`
	Routes   []Route           `json:"r,omitempty"` // empty: all to account 0
	// Windows are the sending hours it keeps to, a country each. They stand in a field of
	// their own: what has more than 64 bytes keeps a small campaign from being compact.
	SendingHours []CountryHours `json:"-"`
}

// FrozenAccount is one account a campaign may go through.
type SnapshotAccount struct {
	Name          string `json:"n"`
	MaxRecipients int    `json:"m"` // a call
	// BatchSize is recipients a batch, a multiple of MaxRecipients or less than it; 0: MaxRecipients.
	BatchSize int `json:"b,omitempty"`
	// Resend: whose outcome is unknown is submitted once more; its gateway has no keys.
	Resend bool `json:"r,omitempty"`
	// MaxChars and MaxSegments are what its gateway takes of a body, and Calls how many calls
	// a batch has at most; 0: any number, and in plain campaigns, where the body was looked
	// at before and BatchSize says it all.
	MaxChars    int `json:"mc,omitempty"`
	MaxSegments int `json:"mx,omitempty"`
	Calls       int `json:"k,omitempty"`
	// Held: it had been held for long when planning began, and routes that name another
	// account beside it do without it.
	Held bool `json:"h,omitempty"`
}

// FrozenWindow is when recipients of a country may be sent to. The zero value: at
// any hour.
type CountryHours struct {
	Country string // ISO code
	Hours   string // local to the recipient: "08:00-18:00"
}

// encodeWindows writes "KE 08:00-18:00 NG 08:00-20:00".
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
		return nil, fmt.Errorf("windows: %w", errRecord)
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
			f.Accounts[i].BatchSize = 0 // every campaign of one carries it
		}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("frozen record: %w", err)
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
		return f, fmt.Errorf("frozen record: %w", err)
	}
	for i, a := range f.Accounts {
		if a.BatchSize == 0 {
			f.Accounts[i].BatchSize = a.MaxRecipients
		}
	}
	return f, nil
}

// Frozen reads what planning of a campaign froze, and the number of its
// recipients. Before planning it is the zero value.
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
