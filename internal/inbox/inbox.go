// Package inbox stores incoming messages (MO) in Redis. It stores each message once, in the
// order of arrival. It keeps a limited number of messages for a limited time.
package inbox

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// The inbox shares the hash tag of the suppression lists, because one step stores a message with
// an opt-in word and changes a list.
const (
	keyPrefix = script.KeyPrefix + "{optout}:inbox"
	streamKey = keyPrefix
	seenKey   = keyPrefix + ":seen"
	metaKey   = keyPrefix + ":m"
)

// The defaults of New.
const (
	// DefaultKeep is how long a message is kept.
	DefaultKeep = 30 * 24 * time.Hour
	// DefaultMax is the maximum number of messages that are kept. A message takes about 300 bytes.
	DefaultMax = 200_000
)

// Message is an incoming message.
type Message struct {
	// Account is the account at whose gateway the message arrived.
	Account string `json:"a"`
	// ID is the gateway's ID; it may be empty.
	ID string `json:"i,omitempty"`
	// From is the sender. A phone number has digits without a plus sign. For any other sender,
	// From is the gateway's text. To is the number or short code to which the message was sent.
	From string `json:"f"`
	To   string `json:"t,omitempty"`
	Text string `json:"x"`
	// LinkID is set if the message belongs to an on-demand service. It is the gateway's ID that
	// links an answer to this message.
	LinkID string `json:"l,omitempty"`
	// At is the time at which the gateway received the message, or zero if the time is not known. If
	// Tuma cannot read the gateway's text for this time, UnreadTime has the text.
	At         time.Time `json:"d,omitzero"`
	UnreadTime string    `json:"u,omitempty"`
	// Word is "stop" or "start" if the text is an opt-out or opt-in word, and otherwise empty.
	Word string `json:"w,omitempty"`
	// Fields are the gateway's other fields.
	Fields map[string]string `json:"o,omitempty"`
}

// Stored is a message in the inbox.
type Stored struct {
	Message
	// Cursor is the position of the message. Cursors grow in the order of arrival.
	Cursor string
	// StoredAt is the time at which the message arrived, by Redis' clock.
	StoredAt time.Time
}

// Inbox reads and writes the inbox in one Redis. It is safe for concurrent use.
type Inbox struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
	keep    time.Duration
	max     int
}

// New returns the Inbox in the Redis of a Runner. Take removes messages that are older than the
// parameter "keep". If the inbox has more messages than the parameter "limit", Take also removes
// the oldest messages. If "keep" or "limit" is zero, the default applies.
func New(r *script.Runner, keep time.Duration, limit int) *Inbox {
	if keep <= 0 {
		keep = DefaultKeep
	}
	if limit <= 0 {
		limit = DefaultMax
	}
	return &Inbox{rdb: r.Redis(), scripts: r, keep: keep, max: limit}
}

// Keep returns how long messages are kept.
func (b *Inbox) Keep() time.Duration { return b.keep }

//go:embed *.lua
var luaFiles embed.FS

var takeScript = script.Binding(script.New("take", mustSource("take")))

func mustSource(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("inbox: " + err.Error())
	}
	return string(b)
}

// ErrCursor means that a text is not a cursor.
var ErrCursor = errors.New("not a cursor of the inbox: must be the cursor of a message, or empty for the beginning")

// ErrCut means that messages after a cursor were removed before they were read.
var ErrCut = errors.New("messages after the cursor were removed, because they were too old or too many")

var cursorPattern = regexp.MustCompile(`^[0-9]{1,15}-[0-9]{1,15}$`)

// CheckCursor returns ErrCursor if the parameter "after" is neither empty nor a cursor.
func CheckCursor(after string) error {
	if after != "" && !cursorPattern.MatchString(after) {
		return fmt.Errorf("%.40q: %w", after, ErrCursor)
	}
	return nil
}

// Page returns up to limit messages after the cursor, the oldest first. An empty cursor means the
// beginning of the inbox. If messages after the cursor were removed, Page returns ErrCut and no
// messages. A message that cannot be read has only Cursor and StoredAt.
func (b *Inbox) Page(ctx context.Context, after string, limit int) ([]Stored, error) {
	if err := CheckCursor(after); err != nil {
		return nil, err
	}
	start := "-"
	if after != "" {
		start = "(" + after
	}
	pipe := b.rdb.Pipeline()
	entries := pipe.XRangeN(ctx, streamKey, start, "+", int64(limit))
	// The cut is the position of the last message that was removed. It must be read after the entries.
	// Otherwise a removal between the two reads would not be noticed.
	cut := pipe.HGet(ctx, metaKey, "cut")
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read inbox: %w", err)
	}
	if after != "" && script.CursorBefore(after, cut.Val()) {
		return nil, fmt.Errorf("read inbox after %s: %w", after, ErrCut)
	}
	out := make([]Stored, 0, len(entries.Val()))
	for _, x := range entries.Val() {
		ms, _, _ := strings.Cut(x.ID, "-")
		s := Stored{Cursor: x.ID, StoredAt: script.Milli(ms)}
		if err := json.Unmarshal([]byte(script.Text(x.Values["m"])), &s.Message); err != nil {
			s.Message = Message{}
		}
		out = append(out, s)
	}
	return out, nil
}
