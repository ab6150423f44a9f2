package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Unreadable is a record of a campaign that no release could have written. What needs
// it cannot go on; everything else does. Its bytes stay where they are.
type Unreadable struct { //nolint:errname // it is the record first, and travels as an error
	Campaign string
	// Record is the record's field in the ledger hash (layout.go), "spec", or what a
	// script was about when it met something it could not name.
	Record string
	Bytes  []byte
	Err    error
}

// specRecord is the name of the spec, which has a key of its own.
const specRecord = "spec"

// Error names the record and what is wrong with it, without its bytes.
func (u *Unreadable) Error() string {
	return fmt.Sprintf("campaign %s, record %s: %v", u.Campaign, u.Record, u.Err)
}

// Unwrap gives what is wrong with it.
func (u *Unreadable) Unwrap() error { return u.Err }

// AsideKey is the key of Redis in which the bytes are kept of what a campaign has set
// aside, or, for an empty id, of tasks that name no campaign.
func QuarantineKey(id string) string {
	if id == "" {
		return payloadsKey
	}
	return quarantineKey(id)
}

// AsUnreadable finds what cannot be read in an error; nil: it is about something else.
func AsUnreadable(err error) *Unreadable {
	u, _ := errors.AsType[*Unreadable](err)
	return u
}

// unreadable says which record an error of reading is about. One that a newer release
// wrote is not for this one to judge.
func unreadable(id, record, bytes string, err error) error {
	if err == nil || errors.Is(err, ErrNewer) {
		return err
	}
	return &Unreadable{Campaign: id, Record: record, Bytes: []byte(bytes), Err: err}
}

// poison recognises a script's error that comes of what a campaign's keys hold, and
// would come again each time; the scripts' own name the field.
var unreadablePattern = regexp.MustCompile(`UNREADABLE (\S+)|^WRONGTYPE|user_script.*(attempt to |bad argument|is not an integer|would overflow)` +
	`|(is not an integer|would overflow).*user_script`)

// scriptFault gives a script's error on a record as an Unreadable, any other as it is.
func scriptFault(id, script string, args []any, err error) error {
	if err == nil || strings.Contains(err.Error(), "compiling") {
		return err
	}
	m := unreadablePattern.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	record := m[1]
	if record == "" {
		record = script
		if len(args) > 1 { // its first argument is the caller's token
			record = fmt.Sprintf("%s:%.40v", script, args[1])
		}
	}
	return &Unreadable{Campaign: id, Record: record, Err: fmt.Errorf("%w: %w", errRecord, err)}
}

// setAsideBytes is how many bytes of a record its entry keeps.
const quarantineBytes = 1024

// setAsideEntry is what is kept of a record that was set aside, after the time.
type quarantineEntry struct {
	Work  string `json:"w,omitempty"`
	Why   string `json:"y"`
	Size  int    `json:"n"`
	Bytes []byte `json:"b,omitempty"`
}

// SetAside enters a record in the campaign's list of what cannot be read: the first
// hundred with up to 1 KB of their bytes, a thousand by name, all in the count.
// With leave, the work that needs it, a batch or PlanWork, leaves the open set too,
// and its place in the window of so many batches goes to the wakes that are returned;
// its recipients stay pending. first: it was not on the list. Once resumed, the campaign
// has a new list.
func (l *Ledger) Quarantine(ctx context.Context, u *Unreadable, work string, leave bool, openBatchLimit int) (wakes []Wake, first bool, err error) {
	e := quarantineEntry{Work: work, Why: strings.ToValidUTF8(fmt.Sprintf("%.200s", u.Err), "?"), Size: len(u.Bytes)}
	short, err := json.Marshal(e)
	if err != nil {
		return nil, false, fmt.Errorf("set aside %s of %s: %w", u.Record, u.Campaign, err)
	}
	e.Bytes = u.Bytes[:min(len(u.Bytes), quarantineBytes)]
	full, err := json.Marshal(e)
	if err != nil {
		return nil, false, fmt.Errorf("set aside %s of %s: %w", u.Record, u.Campaign, err)
	}
	out, err := l.run(ctx, quarantineScript, u.Campaign, []string{quarantineKey(u.Campaign), quarantineWorkKey(u.Campaign)},
		NewToken(), u.Record, full, short, work, boolArg(leave), openBatchLimit)
	if err != nil {
		return nil, false, err
	}
	wakes, first, err = answerWakes(out)
	return wakes, first, err
}

// SetAsideRecord is an entry of that list.
type QuarantinedRecord struct {
	Record string
	// Work is what needs it: a batch, PlanWork, or empty.
	Work string
	Why  string
	At   time.Time
	// Size is the record's in bytes, of which Bytes are the first; nil where the list
	// was long already.
	Size  int
	Bytes []byte
}

// SetAsideRecords lists what of a campaign cannot be read, by name.
func (l *Ledger) QuarantinedRecords(ctx context.Context, id string) ([]QuarantinedRecord, error) {
	all, err := l.rdb.HGetAll(ctx, quarantineKey(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("set-aside records of %s: %w", id, err)
	}
	out := make([]QuarantinedRecord, 0, len(all))
	for name, v := range all {
		head, text, _ := strings.Cut(v, "\n")
		at, _, _ := strings.Cut(head, " ")
		r := QuarantinedRecord{Record: name, At: parseMilli(at), Why: "its entry cannot be read either"}
		var e quarantineEntry
		if json.Unmarshal([]byte(text), &e) == nil {
			r.Work, r.Why, r.Size, r.Bytes = e.Work, e.Why, e.Size, e.Bytes
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b QuarantinedRecord) int { return cmp.Compare(a.Record, b.Record) })
	return out, nil
}

// WriteOff ends a stopped campaign of which nothing is open but what was set aside
// while it was in flight: nobody can say what became of it, so it is unknown. It
// waits until nothing was set aside for as long as quiet, longer than a lease.
func (l *Ledger) WriteOff(ctx context.Context, id string, quiet time.Duration) (done bool, err error) {
	out, err := l.run(ctx, writeOffScript, id, []string{quarantineWorkKey(id)}, quiet.Milliseconds())
	return err == nil && out[0] == "done", err
}

const (
	// payloadsKept bounds the list of payloads that name no campaign.
	payloadsKept = 100
	// payloadBytes is how much of each is kept.
	payloadBytes = 4096
)

// SetPayloadAside keeps a task's payload that cannot be read and is of no campaign that
// is known, a hundred of them with up to 4 KB. first: it was not there.
func (l *Ledger) QuarantinePayload(ctx context.Context, task string, payload []byte, why error) (first bool, err error) {
	e, err := json.Marshal(quarantineEntry{Work: fmt.Sprintf("%.200s", task), Why: fmt.Sprintf("%.200s", why), Size: len(payload),
		Bytes: payload[:min(len(payload), payloadBytes)]})
	if err != nil {
		return false, fmt.Errorf("set a payload aside: %w", err)
	}
	sum := sha256.Sum256(payload)
	out, err := l.evalStrings(ctx, quarantinePayloadScript, []string{payloadsKey}, NewToken(), hex.EncodeToString(sum[:8])+" "+task, e, payloadsKept)
	if err != nil {
		return false, fmt.Errorf("set a payload aside: %w", err)
	}
	return out[0] == "1", nil
}

// PayloadsSetAside counts those payloads.
func (l *Ledger) QuarantinedPayloads(ctx context.Context) (int, error) {
	n, err := l.rdb.HLen(ctx, payloadsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("payloads set aside: %w", err)
	}
	more, err := l.rdb.HGet(ctx, payloadsKey, "+").Int()
	if errors.Is(err, redis.Nil) {
		return int(n), nil
	}
	if err != nil {
		return 0, fmt.Errorf("payloads set aside: %w", err)
	}
	return int(n) - 1 + more, nil
}
