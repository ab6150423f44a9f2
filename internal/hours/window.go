package hours

import (
	"fmt"
	"time"
)

// Window holds the sending hours of one country. It is open at a time that is within the hours in
// all time zones of the country. A Window is immutable and safe for concurrent use.
type Window struct {
	Country string
	Hours   Hours
	zones   []*time.Location
}

// Span is a period in which a window is open. It begins at the time From, and ends just before the
// time Until.
type Span struct{ From, Until time.Time }

// horizon is how far into the future nextChange searches for a change. It covers all seasons of a
// year.
const horizon = 400 * day

// In returns the window of the country with the given ISO code, in capitals. It returns an error if
// the country or its time zones are unknown. It also returns an error if no moment is within the
// hours in all time zones of the country.
func In(country string, h Hours) (*Window, error) {
	names := zonesOf(country)
	if len(names) == 0 {
		return nil, fmt.Errorf("hours in %.20q: the time zones of this country are unknown: use an ISO country code such as KE", country)
	}
	w := &Window{Country: country, Hours: h}
	for _, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, fmt.Errorf("hours in %s: %w", country, err)
		}
		w.zones = append(w.zones, zone)
	}
	// The result of this check is the same in every year.
	if len(w.Spans(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), 1)) == 0 {
		return nil, fmt.Errorf("hours in %s: no moment is within %s in all time zones of this country: set longer hours", country, h)
	}
	return w, nil
}

// String returns the country and the hours, such as "KE 08:00-18:00".
func (w *Window) String() string { return w.Country + " " + w.Hours.String() }

// Open reports whether the window is open at t. The result "until" is the next time at which the
// window opens or closes. It is zero if the window never changes.
func (w *Window) Open(t time.Time) (open bool, until time.Time) { return w.open(t), w.nextChange(t) }

// Spans returns the first n periods after t in which the window is open. If the window is open at
// t, the first period begins at t. If the window never closes, this period ends at t plus horizon.
func (w *Window) Spans(t time.Time, n int) []Span {
	var out []Span
	for len(out) < n {
		if !w.open(t) {
			if t = w.nextChange(t); t.IsZero() {
				return out
			}
		}
		end := w.nextChange(t)
		if end.IsZero() {
			return append(out, Span{t, t.Add(horizon)})
		}
		out = append(out, Span{t, end})
		t = end
	}
	return out
}

func (w *Window) open(t time.Time) bool {
	for _, zone := range w.zones {
		if !w.Hours.contains(sinceMidnight(t.In(zone))) {
			return false
		}
	}
	return true
}

// nextChange returns the first time after t at which the window opens or closes. It returns zero if
// the window does not change within horizon.
func (w *Window) nextChange(t time.Time) time.Time {
	was := w.open(t)
	for at := w.nextMark(t); at.Sub(t) < horizon; at = w.nextMark(at) {
		if w.open(at) != was {
			return at
		}
	}
	return time.Time{}
}

func (w *Window) nextMark(t time.Time) time.Time {
	var first time.Time
	for _, zone := range w.zones {
		if at := w.Hours.nextChange(t.In(zone)); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
