// Package audit records changes and their callers in a bounded stream in Redis. `tuma audit` and the HTTP
// API read this stream.
package audit

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// streamKey is the stream of the entries.
const streamKey = script.KeyPrefix + "audit"

const (
	// maxEntries is the approximate number of entries that the stream keeps.
	maxEntries = 100_000
	readAtOnce = 500
)

// Entry is one change. It contains no phone number, message text or secret.
type Entry struct {
	// Cursor is the position of the entry. A later read can continue after this position.
	Cursor string    `json:"cursor"`
	At     time.Time `json:"at"`
	// Who names the caller: the name and ID of a key, or the user and the host of a command.
	Who string `json:"who"`
	// The field What is the verb, such as "campaign.pause". Object is the thing that was changed, such as
	// the ID of a campaign.
	What   string `json:"what"`
	Object string `json:"object"`
	// Detail is a further fact about the change, such as a new rate. It may be empty.
	Detail string `json:"detail,omitempty"`
}

// Log writes and reads entries. It is safe for concurrent use.
type Log struct{ rdb redis.UniversalClient }

// New returns the Log in a Redis. The caller must close the client.
func New(rdb redis.UniversalClient) *Log { return &Log{rdb} }

// Add records a change.
func (l *Log) Add(ctx context.Context, e Entry) error {
	err := l.rdb.XAdd(ctx, &redis.XAddArgs{Stream: streamKey, MaxLen: maxEntries, Approx: true,
		Values: []any{"who", e.Who, "what", e.What, "object", e.Object, "detail", e.Detail}}).Err()
	if err != nil {
		return fmt.Errorf("record %s in the audit log: %w", e.What, err)
	}
	return nil
}

// Entries yields the entries after a cursor, the oldest first. With an empty cursor it begins with the
// oldest entry.
func (l *Log) Entries(ctx context.Context, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			from := "-"
			if after != "" {
				from = "(" + after
			}
			list, err := l.rdb.XRangeN(ctx, streamKey, from, "+", readAtOnce).Result()
			if err != nil {
				yield(Entry{}, fmt.Errorf("read the audit log: %w", err))
				return
			}
			for _, m := range list {
				text := func(field string) string { return script.Text(m.Values[field]) }
				ms, _, _ := strings.Cut(m.ID, "-")
				e := Entry{Cursor: m.ID, At: script.Milli(ms).UTC(), Who: text("who"), What: text("what"), Object: text("object"), Detail: text("detail")}
				if after = m.ID; !yield(e, nil) {
					return
				}
			}
			if len(list) < readAtOnce {
				return
			}
		}
	}
}
