package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Unreadable is a record of a campaign that cannot be read, and that no release can have written.
// Work that needs the record cannot continue; all other work continues. The record itself stays
// in Redis unchanged.
type Unreadable struct { //nolint:errname // it describes a record, and is also returned as an error
	Campaign string
	// Record is the record's field in the ledger hash (layout.go), or "spec". If a script failed on
	// a record and could not name it, Record is the name of the script and the script's first
	// argument after the token.
	Record string
	Bytes  []byte
	Err    error
}

// specRecord is the name of the spec in an Unreadable. The spec is not a field of the ledger hash:
// it has a separate key.
const specRecord = "spec"

// Error returns the record and what is wrong with it, without its bytes.
func (u *Unreadable) Error() string {
	return fmt.Sprintf("campaign %s, record %s: %v", u.Campaign, u.Record, u.Err)
}

// Unwrap returns the cause.
func (u *Unreadable) Unwrap() error { return u.Err }

// QuarantineKey returns the Redis key that holds the quarantined records of a campaign. For an
// empty id it is the key of the quarantined payloads of tasks that name no campaign.
func QuarantineKey(id string) string {
	if id == "" {
		return payloadsKey
	}
	return quarantineKey(id)
}

// AsUnreadable returns the Unreadable in an error's chain, or nil if the chain has no Unreadable.
func AsUnreadable(err error) *Unreadable {
	u, _ := errors.AsType[*Unreadable](err)
	return u
}

// The function "unreadable" turns an error of reading a record into an Unreadable. It returns ErrNewer unchanged,
// because this release cannot judge a newer record.
func unreadable(id, record, bytes string, err error) error {
	if err == nil || errors.Is(err, ErrNewer) {
		return err
	}
	return &Unreadable{Campaign: id, Record: record, Bytes: []byte(bytes), Err: err}
}

// unreadablePattern matches script errors that are caused by the contents of a campaign's keys.
// Such an error would occur again in every run. Errors raised by the scripts themselves name the
// field.
var unreadablePattern = regexp.MustCompile(`UNREADABLE (\S+)|^WRONGTYPE|user_script.*(attempt to |bad argument|is not an integer|would overflow)` +
	`|(is not an integer|would overflow).*user_script`)

// scriptFault turns a script's error about a record into an Unreadable. It returns any other error
// unchanged.
func scriptFault(id, name string, args []any, err error) error {
	if err == nil || strings.Contains(err.Error(), "compiling") {
		return err
	}
	m := unreadablePattern.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	record := m[1]
	if record == "" {
		record = name
		if len(args) > 1 { // the first argument is the caller's token
			record = fmt.Sprintf("%s:%.40v", name, args[1])
		}
	}
	return &Unreadable{Campaign: id, Record: record, Err: fmt.Errorf("%w: %w", campaign.ErrRecord, err)}
}

// quarantineBytes is how many bytes of a record are kept in its quarantine entry.
const quarantineBytes = 1024

// quarantineEntry is the JSON of a quarantined record, stored after the time of the quarantine.
type quarantineEntry struct {
	Work  string `json:"w,omitempty"`
	Why   string `json:"y"`
	Size  int    `json:"n"`
	Bytes []byte `json:"b,omitempty"`
}

// Quarantine enters a record in the campaign's quarantine list. The first hundred entries keep up to
// 1 KB of the record's bytes. The list has at most a thousand entries; further records are only
// counted.
//
// If removeWork is true, the work that needs the record (a batch or PlanWork) is also removed from
// the open set. Its recipients stay pending. Other batches take the place of this work, within
// openBatchLimit, and Quarantine returns their wakes. The result "first" is true if the record is
// new in the list. A resume of the campaign empties the list.
func (l *Ledger) Quarantine(ctx context.Context, u *Unreadable, work string, removeWork bool, openBatchLimit int) (wakes []Wake, first bool, err error) {
	e := quarantineEntry{Work: work, Why: strings.ToValidUTF8(fmt.Sprintf("%.200s", u.Err), "?"), Size: len(u.Bytes)}
	short, err := json.Marshal(e)
	if err != nil {
		return nil, false, fmt.Errorf("quarantine %s of %s: %w", u.Record, u.Campaign, err)
	}
	e.Bytes = u.Bytes[:min(len(u.Bytes), quarantineBytes)]
	full, err := json.Marshal(e)
	if err != nil {
		return nil, false, fmt.Errorf("quarantine %s of %s: %w", u.Record, u.Campaign, err)
	}
	out, err := l.run(ctx, quarantineScript, u.Campaign, []string{quarantineKey(u.Campaign), quarantineWorkKey(u.Campaign)},
		script.Args(quarantineArgs{Token: script.NewToken(), Name: u.Record, Entry: full, ShortEntry: short, Work: work, Remove: removeWork, OpenBatchLimit: openBatchLimit})...)
	if err != nil {
		return nil, false, err
	}
	wakes, first, err = answerWakes(out)
	return wakes, first, err
}

// QuarantinedRecord is an entry of the quarantine list.
type QuarantinedRecord struct {
	Record string
	// Work is the work that needs the record: a batch, PlanWork, or empty.
	Work string
	Why  string
	At   time.Time
	// Size is the record's size in bytes. Bytes are the record's first bytes; Bytes is nil if
	// the list already had a hundred entries.
	Size  int
	Bytes []byte
}

// QuarantinedRecords returns the quarantine list of a campaign, sorted by record.
func (l *Ledger) QuarantinedRecords(ctx context.Context, id string) ([]QuarantinedRecord, error) {
	all, err := l.rdb.HGetAll(ctx, quarantineKey(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read quarantined records of %s: %w", id, err)
	}
	out := make([]QuarantinedRecord, 0, len(all))
	for name, v := range all {
		head, text, _ := strings.Cut(v, "\n")
		at, _, _ := strings.Cut(head, " ")
		r := QuarantinedRecord{Record: name, At: script.Milli(at), Why: "the quarantine entry of this record cannot be read"}
		var e quarantineEntry
		if json.Unmarshal([]byte(text), &e) == nil {
			r.Work, r.Why, r.Size, r.Bytes = e.Work, e.Why, e.Size, e.Bytes
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b QuarantinedRecord) int { return cmp.Compare(a.Record, b.Record) })
	return out, nil
}

// quarantineArgs are the arguments of quarantine.lua.
type quarantineArgs struct {
	Token, Name       string
	Entry, ShortEntry []byte
	Work              string
	Remove            bool
	OpenBatchLimit    int
}
