package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
func (s Spec) Personal() bool { return len(s.Fields) > 0 }

// ShortBody is the body, or one that no recipient's is much shorter than: to see whether
// an account can carry any of it.
func (s Spec) ShortBody() string {
	if !s.Personal() {
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
		if value == "x" || sms.Units(body) < sms.Units(short) {
			short = body
		}
	}
	return short
}

// Cap is how many messages of a plain campaign may be planned; 0: any number. A cap on
// segments counts every message with the segments of the body.
func (s Spec) Cap() int {
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
func (s Spec) Capped(n int) bool { return (s.MaxMessages > 0 || s.MaxSegments > 0) && n >= s.Cap() }

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

// Frozen is what planning depends on besides the spec, fixed when it starts, so
// that a restart with another configuration plans on as it began.
type Frozen struct {
	Country  string          `json:"cc,omitempty"`
	Accounts []FrozenAccount `json:"a"`
	Routes   []Route         `json:"r,omitempty"` // empty: all to account 0
	// Windows are the sending hours it keeps to, a country each. They stand in a field of
	// their own: what has more than 64 bytes keeps a small campaign from being compact.
	Windows []FrozenWindow `json:"-"`
}

// FrozenAccount is one account a campaign may go through.
type FrozenAccount struct {
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
type FrozenWindow struct {
	Country string // ISO code
	Hours   string // local to the recipient: "08:00-18:00"
}

// encodeWindows writes "KE 08:00-18:00 NG 08:00-20:00".
func encodeWindows(windows []FrozenWindow) string {
	var words []string
	for _, w := range windows {
		words = append(words, w.Country, w.Hours)
	}
	return strings.Join(words, " ")
}

func decodeWindows(s string) (out []FrozenWindow, err error) {
	words := strings.Fields(s)
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("windows: %w", errRecord)
	}
	for w := range slices.Chunk(words, 2) {
		out = append(out, FrozenWindow{Country: w[0], Hours: w[1]})
	}
	return out, nil
}

// MaxLanes is how many lanes a campaign has at most; the scripts look no further.
const MaxLanes = 1024

// Lane is what batches are numbered by, and the window of batches counted by: an
// account, and the sending hours of its recipients. So a batch is open or closed as
// a whole, and one that is closed takes no place from others.
type Lane struct {
	Number  int
	Account FrozenAccount
	Window  FrozenWindow
}

// Lanes is how many lanes a campaign has: first one an account for recipients who
// may be sent to at any hour, then as many for each of the windows.
func (f Frozen) Lanes() int { return len(f.Accounts) * (1 + len(f.Windows)) }

// Lane describes a lane by its number, which must be from 0 to less than Lanes.
func (f Frozen) Lane(n int) Lane {
	l := Lane{Number: n, Account: f.Accounts[n%len(f.Accounts)]}
	if w := n / len(f.Accounts); w > 0 {
		l.Window = f.Windows[w-1]
	}
	return l
}

// Beside is the number of the lane of an account, by its number, for the same sending
// hours as a lane's.
func (f Frozen) Beside(lane, account int) int { return lane - lane%len(f.Accounts) + account }

// counted is how many lanes the scripts count the recipients of, each by itself: none, where
// the campaign's own counts say it all.
func (f Frozen) counted() int {
	if len(f.Accounts) < 2 {
		return 0
	}
	return f.Lanes()
}

// LaneOf describes the lane of a batch.
func (f Frozen) LaneOf(batch string) (Lane, error) {
	n, err := BatchLane(batch)
	if err != nil {
		return Lane{}, err
	}
	if n >= f.Lanes() {
		return Lane{}, fmt.Errorf("batch %s has lane %d of %d: %w", batch, n, f.Lanes(), errRecord)
	}
	return f.Lane(n), nil
}

// Route sends the numbers with a prefix through accounts, in order of preference.
type Route struct {
	Match string   `json:"match" yaml:"match"`
	Via   []string `json:"via" yaml:"via"`
}

func (f Frozen) encode() ([]byte, error) {
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

func decodeFrozen(s, windows string) (Frozen, error) {
	var f Frozen
	err := json.Unmarshal([]byte(s), &f)
	if err == nil {
		f.Windows, err = decodeWindows(windows)
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
func (l *Ledger) Frozen(ctx context.Context, id string) (Frozen, int, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), "frozen", "total", "win").Result()
	if err != nil {
		return Frozen{}, 0, fmt.Errorf("read campaign %s: %w", id, err)
	}
	if got[0] == nil {
		return Frozen{}, fieldInt(got[1]), nil
	}
	f, err := decodeFrozen(fieldString(got[0]), fieldString(got[2]))
	if err != nil {
		return f, 0, unreadable(id, "frozen", fieldString(got[0]), err)
	}
	return f, fieldInt(got[1]), nil
}
