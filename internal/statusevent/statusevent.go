// Package statusevent writes events about recipients with a new status to the event stream. It never delays a settle:
// the caller only notes where the recipients are, and another goroutine writes the events.
package statusevent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/wake"
)

const (
	// MaxRows is the maximum number of rows of one event.
	MaxRows = 500
	// maxNoted is the maximum number of noted rows that are not written yet. Further rows are counted
	// as missed.
	maxNoted = 50_000
	// maxCampaigns is the maximum number of campaigns with noted or missed rows.
	maxCampaigns = 10_000
	// eventsAtOnce is the maximum number of events in one round trip.
	eventsAtOnce = 100
)

// Writer collects the recipients that have a new status, and writes them to the event stream. It
// ignores recipients of campaigns without Spec.StatusEvents. Make it with New. It is safe for
// concurrent use. The methods of a nil *Writer do nothing.
type Writer struct {
	stream    *events.Stream
	campaigns *wake.Campaigns

	mu    sync.Mutex
	noted map[string]*noted
	rows  int // rows in noted
	// The lock "writing" is held while events are written, so that the events are in order.
	writing sync.Mutex
}

// noted has the places of the recipients of one campaign for which no event is written yet.
type noted struct {
	places []place
	missed int
}

// place stands for all recipients of one call, or for one recipient of the call.
type place struct {
	batch          string
	call, position int // position is the recipient's place in the call; -1 stands for all recipients of the call
	rows           int
}

// String returns the place in the form of an event: batch.call, or batch.call:position.
func (p place) String() string {
	s := p.batch + "." + strconv.Itoa(p.call)
	if p.position >= 0 {
		s += ":" + strconv.Itoa(p.position)
	}
	return s
}

// New returns a Writer. The parameter "campaigns" shows the Writer which campaigns want events.
func New(r *script.Runner, campaigns *wake.Campaigns) *Writer {
	return &Writer{stream: events.New(r, 0), campaigns: campaigns, noted: map[string]*noted{}}
}

// Call notes that the n recipients of a call may have a new status.
func (w *Writer) Call(c *wake.Campaign, id, batch string, call, n int) {
	if w != nil && c.Spec.StatusEvents {
		w.note(id, place{batch: batch, call: call, position: -1, rows: n})
	}
}

// Reports notes recipients with a final delivery report. If a campaign cannot be read, it gets no
// events, and Reports logs nothing.
func (w *Writer) Reports(ctx context.Context, list []tracking.Applied) {
	if w == nil {
		return
	}
	for _, r := range list {
		if c, err := w.campaigns.Get(ctx, r.Campaign); err == nil && c.Upload == r.Upload && c.Spec.StatusEvents {
			w.note(r.Campaign, place{batch: r.Batch, call: r.Call, position: r.Position, rows: 1})
		}
	}
}

func (w *Writer) note(id string, p place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.noted[id]
	if n == nil {
		if len(w.noted) >= maxCampaigns {
			return
		}
		n = &noted{}
		w.noted[id] = n
	}
	if w.rows+p.rows > maxNoted {
		n.missed += p.rows
		return
	}
	n.places, w.rows = append(n.places, p), w.rows+p.rows
}

// The method "take" returns the noted places of all campaigns, and removes these places from the
// Writer.
func (w *Writer) take() map[string]*noted {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.noted) == 0 {
		return nil
	}
	out := w.noted
	w.noted, w.rows = map[string]*noted{}, 0
	return out
}

// Flush writes events about the noted places. One event has up to MaxRows recipients of a campaign, and one round
// trip has up to eventsAtOnce events. After an error, Flush keeps the places that it has not written. If the Redis
// user lacks the right to write the stream, Flush drops the events.
func (w *Writer) Flush(ctx context.Context) error {
	if w == nil {
		return nil
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	all := w.take()
	var list []events.Event
	var held [][]place
	for _, id := range slices.Sorted(maps.Keys(all)) {
		of, places := eventsOf(id, all[id])
		list, held = append(list, of...), append(held, places...)
	}
	for at := 0; at < len(list); at += eventsAtOnce {
		end := min(at+eventsAtOnce, len(list))
		err := w.stream.AddAll(ctx, list[at:end])
		if redis.IsPermissionError(err) {
			return nil
		}
		if err != nil {
			w.putBack(list[at:], held[at:])
			return fmt.Errorf("write status events: %w", err)
		}
	}
	return nil
}

// putBack notes again the places of events that were not written.
func (w *Writer) putBack(list []events.Event, held [][]place) {
	for i, e := range list {
		for _, p := range held[i] {
			w.note(e.Campaign, p)
		}
		w.mu.Lock()
		if n := w.noted[e.Campaign]; n != nil {
			n.missed += e.Missed
		}
		w.mu.Unlock()
	}
}

// eventsOf returns the events of a campaign. For each event, the result "held" lists the places
// in the event.
func eventsOf(id string, n *noted) (list []events.Event, held [][]place) {
	rows := MaxRows
	for _, p := range n.places {
		if rows+p.rows > MaxRows || len(list) == 0 {
			list, held, rows = append(list, events.Event{Kind: events.MessageStatus, Campaign: id}), append(held, nil), 0
		}
		last := len(list) - 1
		list[last].Places, held[last], rows = append(list[last].Places, p.String()), append(held[last], p), rows+p.rows
	}
	if n.missed > 0 {
		if len(list) == 0 {
			list, held = append(list, events.Event{Kind: events.MessageStatus, Campaign: id}), append(held, nil)
		}
		list[0].Missed = n.missed
	}
	return list, held
}
