package moment

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Moment is a time that Parse has read.
type Moment struct {
	// At is the time, in the time zone of the text. For a text such as "in 2h", it is the sum of In and
	// the time that the caller passed to Parse as "now".
	At time.Time
	// In is the duration of a text such as "in 2h". It is 0 for every other text. If a program runs the
	// same command twice, In is the same, but At differs.
	In time.Duration
	// Now reports whether the text was "now".
	Now bool
	// Missed is set if the text has a time of day without a date, and this time has passed today.
	// Missed is then this time today, and At is this time tomorrow.
	Missed time.Time
}

// Parse reads a text as a time. The parameter "now" is the current time. The parameter "zone" applies to
// dates and times of day without a time zone. A time in the past is not an error. Parse accepts
//
//	2026-11-29T08:00:00+03:00   RFC 3339, also with a space, without seconds, or with UTC
//	2026-11-29 08:00            a date and a time of day, in either order
//	29 Nov 2026 8:30pm
//	tomorrow at 08:00           also today, or a day of the week
//	08:00                       the next time that the clock shows it
//	08:00 Africa/Nairobi        a time zone after the time of day
//	in 2h                       also 90 minutes, 1h 30m, 3 days, 2 weeks
//	now
//
// The error names the mistake and a correct form. If the clocks skip a time of day, or show it twice,
// that time is an error.
func Parse(text string, now time.Time, zone *time.Location) (Moment, error) {
	if len(text) > maxText {
		return Moment{}, errForm
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return Moment{}, errors.New("must not be empty")
	}
	switch first := strings.ToLower(words[0]); {
	case first == "now" && len(words) == 1:
		return Moment{At: now.In(zone), Now: true}, nil
	case first == "in":
		d, err := parseSpan(strings.ToLower(strings.Join(words[1:], " ")))
		if err != nil {
			return Moment{}, err
		}
		return Moment{At: now.Add(d).In(zone), In: d}, nil
	}
	r := reading{now: now.In(zone), zone: zone}
	for len(words) > 0 {
		n, err := r.take(words)
		if err != nil {
			return Moment{}, err
		}
		words = words[n:]
	}
	return r.moment()
}

// maxText is the maximum length of a text in bytes.
const maxText = 100

var (
	errForm = errors.New("must be a time, e.g. tomorrow 08:00, 2026-11-29 08:00, 08:00, in 2h or 2026-11-29T08:00:00+03:00")
	errSpan = errors.New(`must be a duration after the word "in", e.g. in 90m, in 2h or in 3 days`)
	errTwo  = errors.New("must have one date and one time of day")
)

// maxSpan is the maximum duration after the word "in".
const maxSpan = 10 * 366 * 24 * time.Hour

var (
	spanPart  = regexp.MustCompile(`^(\d{1,6}(?:\.\d{1,3})?) ?([a-z]+)(?:,| and)? ?`)
	spanUnits = unitsByName()
)

// unitsByName maps each name of a unit of time to the length of the unit.
func unitsByName() map[string]time.Duration {
	out := map[string]time.Duration{}
	for unit, names := range map[time.Duration]string{
		time.Second: "s sec secs second seconds", time.Minute: "m min mins minute minutes", time.Hour: "h hr hrs hour hours",
		24 * time.Hour: "d day days", 7 * 24 * time.Hour: "w week weeks",
	} {
		for name := range strings.FieldsSeq(names) {
			out[name] = unit
		}
	}
	return out
}

// parseSpan reads a duration such as "2h", "1h 30m" or "3 days". A duration below one second is an
// error.
func parseSpan(s string) (sum time.Duration, err error) {
	for s != "" {
		part := spanPart.FindStringSubmatch(s)
		if part == nil || spanUnits[part[2]] == 0 {
			return 0, errSpan
		}
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil || n*float64(spanUnits[part[2]]) > float64(maxSpan) {
			return 0, errors.New("must be at most 10 years from now")
		}
		sum += time.Duration(n * float64(spanUnits[part[2]]))
		s = s[len(part[0]):]
	}
	switch {
	case sum > maxSpan:
		return 0, errors.New("must be at most 10 years from now")
	case sum < time.Second:
		return 0, errSpan
	}
	return sum.Truncate(time.Second), nil
}

// date is a day of the calendar.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

// The method "plus" returns the day that is n days later.
func (d date) plus(n int) date {
	return dateOf(time.Date(d.year, d.month, d.day+n, 0, 0, 0, 0, time.UTC))
}

// String returns the date in the form 2026-11-29.
func (d date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day) }

// clock is a time of day.
type clock struct{ hour, minute, second int }

// String returns the time of day in the form 08:00.
func (c clock) String() string {
	if c.second != 0 {
		return fmt.Sprintf("%02d:%02d:%02d", c.hour, c.minute, c.second)
	}
	return fmt.Sprintf("%02d:%02d", c.hour, c.minute)
}

// zoneName returns the name of a time zone for a message.
func zoneName(zone *time.Location) string {
	if zone == time.Local {
		return "the time zone of this machine"
	}
	return zone.String()
}

// resolve returns the time at which the clocks in the zone show the time of day c on the day d.
func resolve(d date, c clock, zone *time.Location) (time.Time, error) {
	wall := time.Date(d.year, d.month, d.day, c.hour, c.minute, c.second, 0, time.UTC)
	var found []time.Time
	for _, near := range []time.Duration{-26 * time.Hour, 26 * time.Hour} { // the offsets before and after a change of the clocks
		_, offset := wall.Add(near).In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, own := t.Zone(); own == offset && (len(found) == 0 || !found[0].Equal(t)) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return time.Time{}, fmt.Errorf("%s does not exist on %s in %s, because the clocks go forward: choose another time", c, d, zoneName(zone))
	case 2:
		return time.Time{}, fmt.Errorf("%s comes twice on %s in %s, because the clocks go back: write %s or %s", c, d, zoneName(zone),
			found[0].Format(time.RFC3339), found[1].Format(time.RFC3339))
	}
	return found[0], nil
}
