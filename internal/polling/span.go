package polling

import (
	"strconv"
	"strings"
	"time"
)

// Some gateways list the delivery reports of all messages of a span of time in one answer (providers.SpanPoller). The calls
// to such a gateway wait together, by the span in which they were claimed. A span waits in the queue as a call does, under
// the name of a campaign that no campaign can have. So one process at a time asks about a span, and its requests use the
// budget of the login. A request serves all campaigns of the span.

const (
	// spanCampaign takes the place of the campaign's name in the queue. No campaign has this name,
	// because the name of a campaign in the queue has a colon.
	spanCampaign = "span"
	// spanLength is the length of a span.
	spanLength = time.Minute
	// spanSlack extends the requested time at each end: the clocks of Redis and the gateway may differ by that much, and a
	// call takes some time. Reconciliation uses the same extension.
	spanSlack = 2 * time.Minute
	// shortestSpan is the shortest time that is requested.
	shortestSpan = time.Second
)

// Span is a span of time. The zero value stands for no span.
type Span struct {
	Start  time.Time
	Length time.Duration
}

// spanOf returns the span of a length that contains a time.
func spanOf(at time.Time, length time.Duration) Span {
	ms := at.UnixMilli()
	return Span{time.UnixMilli(ms - ms%length.Milliseconds()), length}
}

func (s Span) end() time.Time { return s.Start.Add(s.Length) }

// name names a span in a queue.
func (s Span) name() string {
	return strconv.FormatInt(s.Start.UnixMilli(), 10) + "+" + strconv.FormatInt(s.Length.Milliseconds(), 10)
}

// parseSpan parses the name of a span.
func parseSpan(name string) (Span, bool) {
	start, length, _ := strings.Cut(name, "+")
	from, err := strconv.ParseInt(start, 10, 64)
	ms, err2 := strconv.ParseInt(length, 10, 32)
	return Span{time.UnixMilli(from), time.Duration(ms) * time.Millisecond}, err == nil && err2 == nil && ms > 0
}

// asked returns the time that is requested for a span. It begins before the span by the duration early, and ends after the
// span by the duration late, but not after now.
func (s Span) asked(early, late time.Duration, now time.Time) (from, to time.Time) {
	from, to = s.Start.Add(-early), s.end().Add(late)
	if to.After(now) {
		to = now
	}
	return from, to
}

// reported returns the time of a report. The gateway's list names the time in the parameter at. If that time is
// before the span by more than spanSlack, or is after now, reported returns now.
func (s Span) reported(at, now time.Time) time.Time {
	if at.Before(s.Start.Add(-spanSlack)) || at.After(now) {
		return now
	}
	return at
}
