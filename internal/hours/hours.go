// Package hours computes when messages may be sent. They may be sent between two times of day,
// in the recipient's local time. If the recipient's country has several time zones, the local time
// in each of these zones must be between the two times of day. Clock changes are taken into account.
package hours

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// day is the length of a day on the wall clock.
const day = 24 * time.Hour

// Hours are a part of each day. They begin at the time From, and end just before the time To. Both
// times are measured from midnight. If To is not after From, the hours continue past midnight.
type Hours struct{ From, To time.Duration }

// Parse parses hours such as "08:00-18:00" or "08:00:30-18:00". "20:00-06:00" continues past
// midnight, and "24:00" is the end of a day. Parse returns an error if both times are the same.
func Parse(s string) (Hours, error) {
	before, after, _ := strings.Cut(s, "-")
	from, err1 := parseClock(before)
	to, err2 := parseClock(after)
	if err := errors.Join(err1, err2); err != nil {
		return Hours{}, fmt.Errorf("parse hours %.40q: %w", s, err)
	}
	if from == day || from == to || from == 0 && to == 0 {
		return Hours{}, fmt.Errorf("parse hours %.40q: the start and the end must differ", s)
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

// String returns the hours in the form that Parse parses.
func (h Hours) String() string { return clock(h.From) + "-" + clock(h.To) }

func clock(d time.Duration) string {
	out := fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
	if s := int(d.Seconds()) % 60; s > 0 {
		out += fmt.Sprintf(":%02d", s)
	}
	return out
}

// The method "contains" reports whether the time of day t is within the hours.
func (h Hours) contains(t time.Duration) bool {
	if h.From < h.To {
		return h.From <= t && t < h.To
	}
	return t >= h.From || t < h.To
}

// nextChange returns the first time after t at which the result of the method "contains" may
// change. It uses the time zone of t.
func (h Hours) nextChange(t time.Time) time.Time {
	now := sinceMidnight(t)
	_, first := t.ZoneBounds() // the wall clock runs without a jump until the time "first"
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

// sinceMidnight returns the time of day that the wall clock shows at the time t, in the time zone
// of t.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}
