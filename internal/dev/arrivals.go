package dev

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/simulator"
)

const (
	// shownPerBurst is how many messages of a burst are shown. Further messages are only counted.
	shownPerBurst = 10
	// The constant "quiet" is the length of a pause between two messages that ends a burst.
	quiet = time.Second
	// countEvery is how often the count is shown during a burst.
	countEvery = 5 * time.Second
)

// arrivals shows the messages that the sandbox accepts. A burst is a series of messages whose
// pauses are shorter than the constant "quiet". The first messages of a burst are shown one by
// one. At the end of the burst, the number of its messages is shown.
type arrivals struct {
	out io.Writer
	now func() time.Time

	mu      sync.Mutex
	pending []string // lines that are not printed yet
	shown   int      // the number of messages of this burst that were printed
	burst   int      // messages of this burst
	calls   int      // calls of this burst
	last    time.Time
	counted time.Time // when the count of this burst was last printed, or when the burst began

	total      int
	duplicates int64
}

func newArrivals(out io.Writer, now func() time.Time) *arrivals {
	return &arrivals{out: out, now: now}
}

// The method "add" counts an accepted call and its messages. The sandbox calls it for each accepted call.
func (a *arrivals) add(gateway string, call simulator.AcceptedCall, duplicates int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.burst == 0 {
		a.counted = now
	}
	a.last = now
	a.calls++
	a.burst += len(call.Numbers)
	a.total += len(call.Numbers)
	a.duplicates = duplicates
	for _, number := range call.Numbers {
		if a.shown == shownPerBurst {
			return
		}
		a.shown++
		line := fmt.Sprintf("%s %s %d %s: %s", now.Format(time.TimeOnly), gateway, number, call.From, call.Body)
		a.pending = append(a.pending, strings.Clone(console.WithoutControls(line, columns)))
	}
}

// The method "show" prints the messages that have arrived since its last call. If the parameter
// "end" is true, it also ends a burst that is not over.
func (a *arrivals) show(end bool) {
	a.mu.Lock()
	lines, now := a.pending, a.now()
	a.pending = nil
	if a.burst > 0 {
		over := end || now.Sub(a.last) >= quiet
		if over || now.Sub(a.counted) >= countEvery {
			lines = append(lines, a.count(now))
			a.counted = now
		}
		if over {
			a.burst, a.calls, a.shown = 0, 0, 0
		}
	}
	a.mu.Unlock()
	for _, line := range lines {
		_, _ = fmt.Fprintln(a.out, line) // an error means that the terminal is closed, so it is ignored
	}
}

// The method "count" returns the line with the counts. The caller holds a.mu.
func (a *arrivals) count(now time.Time) string {
	return fmt.Sprintf("%s = %s in %s; %s since the start, %s", now.Format(time.TimeOnly),
		console.Plural(a.burst, "message"), console.Plural(a.calls, "call"),
		console.FormatInt(a.total), console.Plural(int(a.duplicates), "duplicate"))
}
