// Package hours knows when messages may be handed over: between two times of day,
// local to the recipient. It judges by the wall clock of each time zone of the
// recipient's country, also where clocks are put forward and back.
package hours

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// day is the length of a day on the wall clock.
const day = 24 * time.Hour

// Hours are a part of each day, from one time since midnight until just before
// another. If To is not after From they go over midnight.
type Hours struct{ From, To time.Duration }

// Parse reads "08:00-18:00"; seconds may be given too. "20:00-06:00" goes over
// midnight, and "24:00" is the end of a day.
func Parse(s string) (Hours, error) {
	before, after, _ := strings.Cut(s, "-")
	from, err1 := parseClock(before)
	to, err2 := parseClock(after)
	if err := errors.Join(err1, err2); err != nil {
		return Hours{}, fmt.Errorf("parse hours %.40q: %w", s, err)
	}
	if from == day || from == to || from == 0 && to == 0 {
		return Hours{}, fmt.Errorf("parse hours %.40q: they begin when they end", s)
	}
	return Hours{from, to}, nil
}

func parseClock(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "24:00" {
		return day, nil
	}
	t, err := time.Parse("15:04:05", s)
	if err != nil {
		t, err = time.Parse("15:04", s)
	}
	if err != nil {
		return 0, err
	}
	return sinceMidnight(t), nil
}

// String writes the hours as Parse reads them.
func (h Hours) String() string { return clock(h.From) + "-" + clock(h.To) }

func clock(d time.Duration) string {
	out := fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
	if s := int(d.Seconds()) % 60; s > 0 {
		out += fmt.Sprintf(":%02d", s)
	}
	return out
}

// has says whether a time of day is among the hours.
func (h Hours) contains(t time.Duration) bool {
	if h.From < h.To {
		return h.From <= t && t < h.To
	}
	return t >= h.From || t < h.To
}

// next is the first instant after t, which is in its zone, at which has may change.
func (h Hours) nextChange(t time.Time) time.Time {
	now := sinceMidnight(t)
	_, first := t.ZoneBounds() // until then the wall clock runs evenly
	for _, mark := range []time.Duration{h.From, h.To} {
		wait := (mark - now) % day
		if wait <= 0 {
			wait += day
		}
		if at := t.Add(wait); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// sinceMidnight is what the wall clock shows.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}
