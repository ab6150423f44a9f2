package optout

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/script"
)

// Add adds numbers to a list, and returns how many of them are new on the list. If a number is
// already on the list, Add keeps the first entry. If both entries have the origin OriginKeyword,
// Add keeps the later entry. If At in an entry is zero, Add sets it to the current time. The
// parameter "last" is true if no more chunks follow. Add waits until the entries are durable only
// if last is true.
func (l *Lists) Add(ctx context.Context, list string, entries []Entry, last bool) (added int, err error) {
	origins := map[string]int{}
	var now time.Time
	for i, e := range entries {
		if _, ok := origins[e.Origin]; !ok {
			if origins[e.Origin], err = l.originNumber(ctx, e.Origin); err != nil {
				return 0, err
			}
		}
		if e.At.IsZero() {
			if now.IsZero() {
				if now, err = l.scripts.Now(ctx); err != nil {
					return 0, err
				}
			}
			entries[i].At = now
		}
	}
	for at := 0; at == 0 || at < len(entries); at += Chunk {
		part := entries[at:min(at+Chunk, len(entries))]
		keys, args := []string{metaKey}, script.Args(changeArgs{Token: script.NewToken(), List: list})
		for _, e := range part {
			key, field := place(list, e.MSISDN)
			keys, args = append(keys, key), append(args, field, valueOf(origins[e.Origin], e.At))
		}
		run := loadScript
		if last && at+len(part) == len(entries) {
			run = addScript
		}
		out, err := l.scripts.Run(ctx, run, keys, args...)
		if err != nil {
			return added, fmt.Errorf("add opt-outs: %w", err)
		}
		if len(out) < 2 {
			return added, fmt.Errorf("add opt-outs: %w", script.ErrAnswer)
		}
		n, err := strconv.Atoi(out[1])
		if err != nil {
			return added, fmt.Errorf("add opt-outs: %w", script.ErrAnswer)
		}
		added += n
	}
	if added > 0 {
		e := events.Event{Kind: events.OptOutAdded, List: list, Added: added}
		if len(entries) == 1 {
			e.Number = entries[0].MSISDN.String()
		}
		// The numbers are already stored, so an error about the event must not be an error of Add.
		_ = events.New(l.scripts, 0).Add(ctx, e)
	}
	return added, nil
}

// changeArgs are the first arguments of add.lua and remove.lua.
type changeArgs struct{ Token, List string }
