package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

// eventsCommand is one run of `tuma events`, with its flags.
type eventsCommand struct {
	*app
	after        string
	follow, json bool
}

func newEvents(a *app) *cobra.Command {
	e := &eventsCommand{app: a}
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to campaigns and accounts",
		Long: `Events prints what happened, the oldest first: campaigns that start, pause and
end, their progress, holds of accounts, incoming messages and opt-outs.

With --follow it also prints each event that follows, until you stop it. A
program that reads the events stores the cursor of its last event, and later
continues with --after and this cursor. Tuma keeps about 100,000 events, for 7
days. If Tuma has removed events after the cursor, the first event is
events.lost. Then read the state again with 'tuma status' and 'tuma list'.`,
		Example: `  tuma events --follow
  tuma events --json --after 1764323173000-0 | jq -r .event`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error { return e.run(ctx) }),
	}
	f := c.Flags()
	f.StringVar(&e.after, "after", "", "only events after the event with this `cursor`")
	f.BoolVar(&e.follow, "follow", false, "wait for further events")
	f.BoolVar(&e.json, "json", false, "print JSON, one object a line")
	return c
}

func (e *eventsCommand) run(ctx context.Context) error {
	return e.withBackend(ctx, func(b *backend) error {
		p, sequence := e.screen(), b.PastEvents
		if e.follow {
			sequence = b.Events
		}
		for ev, err := range sequence(ctx, e.after) {
			switch {
			case errors.Is(err, producer.ErrInvalid):
				return misuse("--after: %.40q must be the cursor of an event, such as 1764323173000-0", e.after)
			case err != nil:
				return ignoreCancelled(ctx, err)
			}
			at := ""
			if !ev.At.IsZero() {
				at = p.Time(ev.At)
			}
			if e.json {
				err = json.NewEncoder(e.out).Encode(ev)
			} else {
				_, err = fmt.Fprintln(e.out, eventLine(at, ev))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// eventLine returns an event as one line, without control characters.
func eventLine(at string, e producer.Event) string {
	parts := []string{at, string(e.Kind), e.Campaign, string(e.State), e.Account, e.Reason, e.From}
	if n := e.Counts; n != nil {
		parts = append(parts, fmt.Sprintf("%d of %d pending", n.Pending, n.Total))
	}
	if e.To != "" {
		parts = append(parts, "> "+e.To)
	}
	if e.Kind == producer.MessageStatusChanged {
		parts = append(parts, statusCounts(e.Rows))
	}
	if e.Word != "" {
		parts = append(parts, "["+e.Word+"]")
	}
	if e.Added > 0 {
		parts = append(parts, fmt.Sprintf("list %s: %d added", e.List, e.Added), e.Number)
	}
	if e.Kind == producer.EventsLost {
		parts = append(parts, "events were removed before they were read: read the state again with 'tuma status'")
	}
	var words []string
	for _, part := range parts {
		if part != "" {
			words = append(words, part)
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.Join(words, "  "))
}

// statusCounts returns how many rows have each status, such as "498 accepted, 2 rejected".
func statusCounts(rows []producer.EventRow) string {
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Status]++
	}
	var out []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%d %s", counts[status], status))
	}
	return strings.Join(out, ", ")
}
