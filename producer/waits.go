package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
)

// The type "waits" wakes the callers of Wait when an event arrives. As long as Wait has callers, one
// goroutine of the client reads the stream for all of them, with one command in each poll interval.
type waits struct {
	stream *events.Stream
	poll   time.Duration

	mu      sync.Mutex
	waiters map[*waiter]struct{}
	// The function "stop" ends the reading goroutine. The channel "stopped" is closed when this goroutine has
	// ended. The two fields are nil while no such goroutine runs.
	stop    context.CancelFunc
	stopped chan struct{}
}

// longPolls is the number of poll intervals after which a Wait reads the status although no event has
// arrived. An event may have been lost, or its writer may lack the right to write events.
const longPolls = 8

// waiter is one Wait.
type waiter struct {
	waits *waits
	id    string
	// The channel "woken" has an element if the campaign may have changed since the last read of its status.
	woken chan struct{}
	// The channel "blind" is closed when the stream cannot be read. Then the waiter polls.
	blind     chan struct{}
	blindOnce sync.Once
}

// begin returns a waiter for a campaign. The caller must read the status after the call of begin, and must
// finally call the waiter's method "end".
func (w *waits) begin(ctx context.Context, id string) *waiter {
	x := &waiter{waits: w, id: id, woken: make(chan struct{}, 1), blind: make(chan struct{})}
	after, err := w.stream.Last(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		x.goBlind()
		return x
	}
	if w.waiters == nil {
		w.waiters = map[*waiter]struct{}{}
	}
	w.waiters[x] = struct{}{}
	if w.stop == nil {
		reading, stop := context.WithCancel(context.WithoutCancel(ctx))
		w.stop, w.stopped = stop, make(chan struct{})
		go w.read(reading, after, w.stopped)
	}
	return x
}

// The method "end" removes the waiter. If no other waiter exists, it waits until the reading goroutine has
// ended.
func (x *waiter) end() {
	w := x.waits
	w.mu.Lock()
	delete(w.waiters, x)
	var stopped chan struct{}
	if len(w.waiters) == 0 && w.stop != nil {
		w.stop()
		stopped = w.stopped
		w.stop, w.stopped = nil, nil
	}
	w.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

func (x *waiter) goBlind() { x.blindOnce.Do(func() { close(x.blind) }) }

// The method "wait" returns when the campaign may have changed, or when ctx ends. The parameter
// "announced" is true if workers write events about the campaign.
func (x *waiter) wait(ctx context.Context, announced bool) {
	poll := x.waits.poll
	short := time.NewTimer(poll)
	defer short.Stop()
	if announced {
		long := time.NewTimer(longPolls * poll)
		defer long.Stop()
		select {
		case <-ctx.Done():
			return
		case <-x.woken:
			return
		case <-long.C:
			return
		case <-x.blind:
		}
	}
	select {
	case <-ctx.Done():
	case <-x.woken:
	case <-short.C:
	}
}

// The method "read" reads the stream after a cursor, and wakes the waiters of the campaigns that the
// events name. If events were lost, it wakes all waiters. It returns when ctx ends, or if the stream
// cannot be read. In the second case all waiters poll, and the next Wait tries the stream again.
func (w *waits) read(ctx context.Context, after string, stopped chan struct{}) {
	defer close(stopped)
	tick := time.NewTicker(w.poll)
	defer tick.Stop()
	for {
		page, err := w.stream.Page(ctx, after, eventsPage)
		var lost *events.LostError
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &lost):
			after = lost.Next
			w.wake(nil)
			continue
		case err != nil:
			w.giveUp(stopped)
			return
		}
		changed := map[string]bool{}
		for _, e := range page {
			after = e.Cursor
			if e.Kind == events.CampaignState || e.Kind == events.MessageStatus {
				changed[e.Campaign] = true
			}
		}
		w.wake(changed)
		if len(page) == eventsPage {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// wake wakes the waiters of the campaigns in the map "changed". If this map is nil, it wakes all waiters.
func (w *waits) wake(changed map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.waiters {
		if changed != nil && !changed[x.id] {
			continue
		}
		select {
		case x.woken <- struct{}{}:
		default: // it is woken already
		}
	}
}

// giveUp makes all waiters poll. The reading goroutine calls it before this goroutine ends.
func (w *waits) giveUp(stopped chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != stopped {
		return // the last waiter has ended already, so this goroutine is no longer registered
	}
	for x := range w.waiters {
		x.goBlind()
	}
	clear(w.waiters)
	w.stop()
	w.stop, w.stopped = nil, nil
}
