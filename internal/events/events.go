// Package events keeps the event stream in Redis. The stream contains what happened to campaigns,
// accounts, the inbox and the suppression lists, in order. It has a limited number of events and keeps
// them for a limited time.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

const streamKey = script.KeyPrefix + "events"

// The limits of the stream. Redis removes whole blocks of about 100 entries. So the stream can have a
// few more events than Max, and a few events that are older than Keep.
const (
	// Keep is how long an event is kept.
	Keep = 7 * 24 * time.Hour
	// Max is the maximum number of events that are kept.
	Max = 100_000
)

// The kinds of events.
const (
	CampaignState    = "campaign.state"
	CampaignProgress = "campaign.progress"
	AccountHeld      = "account.held"
	AccountReleased  = "account.released"
	InboundReceived  = "inbound.received"
	OptOutAdded      = "optout.added"
	MessageStatus    = "message.status"
)

// Kinds are all kinds of events.
var Kinds = []string{CampaignState, CampaignProgress, AccountHeld, AccountReleased, InboundReceived, OptOutAdded, MessageStatus}

// Event is an event of one of the kinds above. It has no message body and no secret.
type Event struct {
	Kind string `json:"k"`
	// Campaign is the ID of the campaign. State and Counts are the state and the counts of the campaign.
	Campaign string  `json:"c,omitempty"`
	State    string  `json:"s,omitempty"`
	Counts   *Counts `json:"n,omitempty"`
	// Account is the account that was held or released, or at which a message arrived. Reason is the
	// reason for the hold. By is the name of the person or program that made the hold. For a paused
	// campaign, Reason is the name of the operator or the reason of the pause.
	Account string `json:"a,omitempty"`
	Reason  string `json:"r,omitempty"`
	By      string `json:"b,omitempty"`
	// ID is the gateway's ID of an incoming message; From and To are its sender and its receiver.
	ID   string `json:"i,omitempty"`
	From string `json:"f,omitempty"`
	To   string `json:"t,omitempty"`
	Word string `json:"w,omitempty"`
	// List is the suppression list to which numbers were added. Added is how many numbers were
	// added. If only one number was added, Number is this number.
	List   string `json:"l,omitempty"`
	Added  int    `json:"d,omitempty"`
	Number string `json:"m,omitempty"`
	// Places lists the calls and the single recipients that got a new status. A call has the form batch.call,
	// and a recipient has the form batch.call:position. Missed is how many recipients got a new status without
	// an event.
	Places []string `json:"p,omitempty"`
	Missed int      `json:"z,omitempty"`
}

// Counts are the counts of a campaign at the time of an event.
type Counts struct {
	Total       int `json:"t"`
	Pending     int `json:"p"`
	Accepted    int `json:"a"`
	Delivered   int `json:"d"`
	Undelivered int `json:"u"`
	Rejected    int `json:"r"`
	Unknown     int `json:"x"`
	Skipped     int `json:"s"`
}

// Stored is an event in the stream.
type Stored struct {
	Event
	// Cursor is the position of the event. Cursors grow in the order of the stream.
	Cursor string
	// At is when the event was stored, by Redis' clock.
	At time.Time
}

// Stream reads and writes the event stream in one Redis. It is safe for concurrent use.
type Stream struct {
	rdb redis.UniversalClient
	max int64
}

// New returns the Stream in the Redis of a Runner. If the stream has more events than the
// parameter "limit", Add removes the oldest events. A limit of 0 means Max.
func New(r *script.Runner, limit int) *Stream {
	if limit <= 0 {
		limit = Max
	}
	return &Stream{rdb: r.Redis(), max: int64(limit)}
}

// Add appends an event, and removes events that are beyond the limits. It takes one round trip. If
// Add returns nil, the event is stored, but a crash of Redis may still lose the last writes.
func (s *Stream) Add(ctx context.Context, e Event) error { return s.AddAll(ctx, []Event{e}) }

// AddAll adds one or more events as Add does, in one round trip. After an error, some of the events may
// be in the stream.
func (s *Stream) AddAll(ctx context.Context, list []Event) error {
	texts := make([][]byte, len(list))
	for i, e := range list {
		text, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("store event %s: %w", e.Kind, err)
		}
		texts[i] = text
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, text := range texts {
			p.XAdd(ctx, &redis.XAddArgs{Stream: streamKey, MaxLen: s.max, Approx: true, Values: []any{"e", text}})
		}
		p.XTrimMinIDApprox(ctx, streamKey, strconv.FormatInt(time.Now().Add(-Keep).UnixMilli(), 10), 0)
		return nil
	})
	if err != nil {
		return fmt.Errorf("store event %s: %w", list[0].Kind, err)
	}
	return nil
}

// ErrCursor means that a text is not a cursor.
var ErrCursor = errors.New("not a cursor of the event stream: must be the cursor of an event, or empty for the beginning")

// LostError means that events after a cursor were removed before they were read, or that Redis has
// lost them. Next is the cursor from which the remaining events can be read.
type LostError struct{ After, Next string }

// Error returns a message that contains both cursors.
func (e *LostError) Error() string {
	return fmt.Sprintf("events after cursor %s were removed before they were read; to read the remaining events, continue after cursor %s", e.After, e.Next)
}

// beginning is a cursor before every event.
const beginning = "0-0"

var cursorPattern = regexp.MustCompile(`^[0-9]{1,15}-[0-9]{1,20}$`)

// CheckCursor returns ErrCursor if the parameter "after" is neither empty nor a cursor.
func CheckCursor(after string) error {
	if after == "" {
		return nil
	}
	_, seq, _ := strings.Cut(after, "-")
	if _, err := strconv.ParseUint(seq, 10, 64); err != nil || !cursorPattern.MatchString(after) {
		return fmt.Errorf("%.40q: %w", after, ErrCursor)
	}
	return nil
}

// Last returns the cursor of the newest event. If the stream has no events, it returns a cursor
// before every event.
func (s *Stream) Last(ctx context.Context) (string, error) {
	entries, err := s.rdb.XRevRangeN(ctx, streamKey, "+", "-", 1).Result()
	if err != nil {
		return "", fmt.Errorf("read the newest event: %w", err)
	}
	if len(entries) == 0 {
		return beginning, nil
	}
	return entries[0].ID, nil
}

// Page returns up to limit events after the cursor, the oldest first. An empty cursor means the
// beginning of the stream. If events after the cursor may have been removed, Page returns a
// LostError and no events. An event that cannot be read has only Cursor and At.
func (s *Stream) Page(ctx context.Context, after string, limit int) ([]Stored, error) {
	if err := CheckCursor(after); err != nil {
		return nil, err
	}
	start := "-"
	if after != "" {
		start = "(" + after
	}
	pipe := s.rdb.Pipeline()
	entries := pipe.XRangeN(ctx, streamKey, start, "+", int64(limit))
	// The oldest event must be read after the page. Otherwise a removal between the two reads would
	// not be noticed.
	oldest := pipe.XRangeN(ctx, streamKey, "-", "+", 1)
	newest := pipe.XRevRangeN(ctx, streamKey, "+", "-", 1)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if err := lost(after, oldest.Val(), newest.Val()); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	out := make([]Stored, 0, len(entries.Val()))
	for _, x := range entries.Val() {
		out = append(out, decode(x.ID, script.Text(x.Values["e"])))
	}
	return out, nil
}

func decode(id, text string) Stored {
	ms, _, _ := strings.Cut(id, "-")
	s := Stored{Cursor: id, At: script.Milli(ms)}
	if err := json.Unmarshal([]byte(text), &s.Event); err != nil {
		s.Event = Event{}
	}
	return s
}

// The function "lost" returns a LostError if events after the cursor may be missing. They may be
// missing if the stream is empty, or if the cursor is before the oldest event. If the cursor is after
// the newest event, Redis was restored from an older copy, and events may also be missing.
func lost(after string, oldest, newest []redis.XMessage) error {
	if after == "" || after == beginning {
		return nil
	}
	if len(oldest) == 0 || len(newest) == 0 {
		return &LostError{After: after, Next: beginning}
	}
	next := previous(oldest[0].ID)
	if script.CursorBefore(after, next) || script.CursorBefore(newest[0].ID, after) {
		return &LostError{After: after, Next: next}
	}
	return nil
}

// The function "previous" returns the greatest cursor that is less than the given cursor. The given
// cursor must not be the beginning.
func previous(cursor string) string {
	ms, seq := script.CursorNumbers(cursor)
	if seq > 0 {
		return fmt.Sprintf("%d-%d", ms, seq-1)
	}
	return fmt.Sprintf("%d-%d", ms-1, uint64(math.MaxUint64))
}
