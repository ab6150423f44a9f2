package polling

import (
	"strconv"
	"strings"
	"time"
)

// Some gateways list the delivery reports of all messages of a span of time in one answer (providers.SpanPoller). If
// calls to such a gateway were claimed in the same span, they wait together. A span waits in the queue like a call. So
// only one process at a time requests the reports of a span, and these requests use the budget of the login. A request
// serves all campaigns of the span. The queue names the campaign of each call. For a span it has spanCampaign instead.

const (
	// spanCampaign takes the place of the campaign's name in the queue. No campaign has this name,
	// because every name of a campaign in the queue contains a colon.
	spanCampaign = "span"
	// spanLength is the length of a span.
	spanLength = time.Minute
	// spanSlack is the default of Config.Slack. The clocks of Redis and of the gateway may differ by up to two
	// minutes, and a call takes some time. Reconciliation uses the same value.
	spanSlack = 2 * time.Minute
	// shortestSpan is the shortest time range for which a Poller requests a list.
	shortestSpan = time.Second
)

// Span is a span of time. The zero value stands for a missing span.
type Span struct {
	Start  time.Time
	Length time.Duration
}

// spanOf returns the span of the given length that contains the given time.
func spanOf(at time.Time, length time.Duration) Span {
	ms := at.UnixMilli()
	return Span{time.UnixMilli(ms - ms%length.Milliseconds()), length}
}

func (s Span) end() time.Time { return s.Start.Add(s.Length) }

// The method "name" returns the name of a span in a queue.
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

// The method "asked" returns the time range that is requested for a span. The range begins before the span by the
// duration "early". It ends after the span by the duration "late", but at the latest now.
func (s Span) asked(early, late time.Duration, now time.Time) (from, to time.Time) {
	from, to = s.Start.Add(-early), s.end().Add(late)
	if to.After(now) {
		to = now
	}
	return from, to
}

// The method "reported" returns the time of a report. The parameter "at" is the time in the gateway's list. If this
// time is after now, or more than spanSlack before the span, the result is now.
func (s Span) reported(at, now time.Time) time.Time {
	if at.Before(s.Start.Add(-spanSlack)) || at.After(now) {
		return now
	}
	return at
}
