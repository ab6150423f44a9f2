package hours

import (
	"fmt"
	"time"
)

// Window is when messages may be handed over to recipients of one country: it is
// open while its hours are on in every time zone the country has. It does not
// change, and is safe for concurrent use.
type Window struct {
	Country string
	Hours   Hours
	zones   []*time.Location
}

// Span is a stretch of time in which a window is open: from From until just
// before Until.
type Span struct{ From, Until time.Time }

// horizon is how far ahead a change is looked for: every season of a year, and more.
const horizon = 400 * day

// In returns the window for a country, by its ISO code in capitals. It errs if the
// country or its time zones are not known here, or if there is no moment at which
// the hours are on in all of them.
func In(country string, h Hours) (*Window, error) {
	names := zonesOf(country)
	if len(names) == 0 {
		return nil, fmt.Errorf("hours in %.20q: its time zones are not known", country)
	}
	w := &Window{Country: country, Hours: h}
	for _, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, fmt.Errorf("hours in %s: %w", country, err)
		}
		w.zones = append(w.zones, zone)
	}
	// Any year will do.
	if len(w.Spans(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), 1)) == 0 {
		return nil, fmt.Errorf("hours in %s: there is no moment at which it is %s in all of its time zones", country, h)
	}
	return w, nil
}

// String returns the country and the hours: "KE 08:00-18:00".
func (w *Window) String() string { return w.Country + " " + w.Hours.String() }

// Open says whether the window is open at an instant, and when that changes; until
// is zero if it does not.
func (w *Window) Open(t time.Time) (open bool, until time.Time) { return w.open(t), w.nextChange(t) }

// Spans lists the first n times the window is open from an instant on. The first
// begins at that instant if the window is open then.
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

// change is the first instant after t at which the window opens or closes; zero if
// there is none within the horizon.
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
