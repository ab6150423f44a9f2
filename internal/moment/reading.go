package moment

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// reading has the parts of a time that Parse has found in a text so far.
type reading struct {
	now   time.Time // in zone
	zone  *time.Location
	date  *date
	clock *clock
	// offset is set if the text has a UTC offset or names a time zone.
	offset *time.Location
	// abbreviation is a short name of a time zone in the text, such as EAT. The time zone must
	// have this name at the given time.
	abbreviation string
}

var (
	isoDate   = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})$`)
	isoBoth   = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[Tt](\d.*)$`)
	withZone  = regexp.MustCompile(`^(\d{1,2}[:.]\d{2}.*?)([Zz]|[+-]\d.*)$`)
	clockText = regexp.MustCompile(`^(\d{1,2})(?:[:.h](\d{2})(?::(\d{2})(?:\.0{1,9})?)?)?(am|pm|a\.m\.|p\.m\.)?$`)
	utcOffset = regexp.MustCompile(`^([+-])(\d{2})(?::?(\d{2}))?$`)
	dayNumber = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th)?$`)
	slashed   = regexp.MustCompile(`^\d{1,4}([/.])\d{1,2}[/.]\d{1,4}$`)
	shortZone = regexp.MustCompile(`^[A-Z]{3,5}$`)
)

var (
	weekdays = names(7, func(i int) string { return time.Weekday(i).String() })
	months   = names(12, func(i int) string { return time.Month(i + 1).String() })
)

// The function "names" maps the names of the seven days or twelve months to their index, from 0.
// The parameter n is the number of names, and name(i) returns the name with the index i. The map
// has each name in lower case, in full and in its short forms.
func names(n int, name func(int) string) map[string]int {
	out := map[string]int{"tues": 2, "thur": 4, "thurs": 4}
	if n == 12 {
		out = map[string]int{"sept": 8}
	}
	for i := range n {
		full := strings.ToLower(name(i))
		out[full], out[full[:3]] = i, i
	}
	return out
}

// The function "vague" returns a message about a word that names no exact time. For any other
// word it returns "".
func vague(word string) string {
	switch word {
	case "midnight":
		return "midnight may be the start or the end of a day: write the date and 00:00"
	case "next":
		return `"next" may mean this week or the week after: write the date, e.g. 2026-11-29 08:00`
	case "tonight":
		return "tonight is not an exact time: write e.g. today 20:00"
	case "morning", "afternoon", "evening", "night", "later", "soon", "this", "weekend", "yesterday", "week", "month":
		return word + " is not an exact time: write e.g. tomorrow 08:00"
	}
	return ""
}

// The method "take" reads the first words of a text, and returns how many words it has read.
func (r *reading) take(words []string) (int, error) {
	original := strings.TrimSuffix(words[0], ",")
	word := strings.ToLower(original)
	if why := vague(word); why != "" {
		return 0, errors.New(why)
	}
	if both := isoBoth.FindStringSubmatch(word); both != nil {
		if _, err := r.take([]string{both[1]}); err != nil {
			return 0, err
		}
		return r.take([]string{both[2]})
	}
	switch day, isWeekday := weekdays[word]; {
	case word == "at" || word == "on" || word == "of":
		return 1, nil
	case word == "today":
		return 1, r.setDate(dateOf(r.now))
	case word == "tomorrow":
		return 1, r.setDate(dateOf(r.now).plus(1))
	case word == "noon":
		return 1, r.setClock(clock{hour: 12})
	case isWeekday:
		return r.takeWeekday(time.Weekday(day), word)
	case slashed.MatchString(word):
		return 0, errors.New("the order of day and month is not clear: write the date as 2026-11-29")
	}
	if n, err := r.takeDate(words); n > 0 || err != nil {
		return n, err
	}
	if n, err := r.takeZone(original); n > 0 || err != nil {
		return n, err
	}
	return r.takeClock(words)
}

// takeWeekday reads a day of the week, which means the next date after today with this day of the week. If today is the
// same day of the week, takeWeekday returns an error.
func (r *reading) takeWeekday(day time.Weekday, word string) (int, error) {
	ahead := (int(day) - int(r.now.Weekday()) + 7) % 7
	if ahead == 0 {
		return 0, fmt.Errorf("%s may be today or in a week: write today, or the date", word)
	}
	return 1, r.setDate(dateOf(r.now).plus(ahead))
}

// takeDate reads 2026-11-29, "29 Nov 2026" or "Nov 29, 2026".
func (r *reading) takeDate(words []string) (int, error) {
	word := func(i int) string {
		if i >= len(words) {
			return ""
		}
		return strings.ToLower(strings.TrimSuffix(words[i], ","))
	}
	if x := isoDate.FindStringSubmatch(word(0)); x != nil {
		return 1, r.setNumbers(x[1], number(x[2]), x[3])
	}
	month, first := months[word(0)]
	day := dayNumber.FindStringSubmatch(word(1))
	if !first {
		var second bool
		if month, second = months[word(1)]; !second {
			return 0, nil
		}
		day = dayNumber.FindStringSubmatch(word(0))
	}
	if day == nil {
		return 0, errForm
	}
	if len(word(2)) != 4 || number(word(2)) < 1 {
		return 0, errors.New("the year is missing: write the date as 2026-11-29")
	}
	return 3, r.setNumbers(word(2), month+1, day[1])
}

// takeZone reads a time zone: an offset such as +03:00, UTC, a name such as Africa/Nairobi, or an
// abbreviation.
func (r *reading) takeZone(word string) (int, error) {
	switch {
	case strings.EqualFold(word, "z") || strings.EqualFold(word, "utc") || strings.EqualFold(word, "gmt"):
		return 1, r.setOffset(time.UTC)
	case strings.Contains(word, "/"):
		zone, err := time.LoadLocation(word)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time zone: write a name such as Africa/Nairobi", word)
		}
		return 1, r.setOffset(zone)
	case shortZone.MatchString(word) && word != "AM" && word != "PM":
		r.abbreviation = word
		return 1, nil
	}
	x := utcOffset.FindStringSubmatch(word)
	if x == nil {
		return 0, nil
	}
	hours, minutes := number(x[2]), 0
	if x[3] != "" {
		minutes = number(x[3])
	}
	if hours > 14 || minutes > 59 {
		return 0, errors.New("the offset from UTC must be between -14:00 and +14:00")
	}
	seconds := hours*3600 + minutes*60
	if x[1] == "-" {
		seconds = -seconds
	}
	return 1, r.setOffset(time.FixedZone("UTC"+x[1]+x[2]+":"+fmt.Sprintf("%02d", minutes), seconds))
}

// takeClock reads a time of day. It also reads a UTC offset that follows without a space.
func (r *reading) takeClock(words []string) (int, error) {
	word, n := strings.ToLower(strings.TrimSuffix(words[0], ",")), 1
	if x := withZone.FindStringSubmatch(word); x != nil {
		taken, err := r.takeZone(x[2])
		if err == nil && taken == 0 {
			err = errForm
		}
		if err != nil {
			return 0, err
		}
		word = x[1]
	}
	if len(words) > 1 {
		if half := strings.ToLower(words[1]); half == "am" || half == "pm" || half == "a.m." || half == "p.m." {
			word, n = word+half, 2
		}
	}
	x := clockText.FindStringSubmatch(word)
	if x == nil {
		return 0, errForm
	}
	c := clock{hour: number(x[1]), minute: max(number(x[2]), 0), second: max(number(x[3]), 0)}
	half := strings.ReplaceAll(x[4], ".", "")
	switch {
	case half == "" && x[2] == "":
		return 0, fmt.Errorf("%s may be in the morning or in the evening: write the minutes too, e.g. 08:00 or 20:00", x[1])
	case half != "" && c.hour == 12:
		return 0, errors.New("12am and 12pm are easily confused: write 00:00 or 12:00")
	case half != "" && (c.hour < 1 || c.hour > 12):
		return 0, errors.New("with am or pm, the hour must be from 1 to 11: write e.g. 11:30pm or 23:30")
	case c.hour == 24:
		return 0, errors.New("24:00 is the start of the next day: write 00:00 and the date of the next day")
	case c.hour > 23 || c.minute > 59 || c.second > 59:
		return 0, errors.New("the time of day must be between 00:00 and 23:59")
	}
	if half == "pm" {
		c.hour += 12
	}
	return n, r.setClock(c)
}

// The function "number" returns the value of a text of digits. It returns -1 if s is not such a
// text.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func (r *reading) setNumbers(year string, month int, day string) error {
	d := date{number(year), time.Month(month), number(day)}
	if d.year < 1 || d != d.plus(0) {
		return fmt.Errorf("%s is not a day of the calendar", d)
	}
	return r.setDate(d)
}

func (r *reading) setDate(d date) error {
	if r.date != nil {
		return errTwo
	}
	r.date = &d
	return nil
}

func (r *reading) setClock(c clock) error {
	if r.clock != nil {
		return errTwo
	}
	r.clock = &c
	return nil
}

func (r *reading) setOffset(zone *time.Location) error {
	if r.offset != nil || r.clock != nil && r.abbreviation != "" {
		return errors.New("must have only one time zone")
	}
	r.offset = zone
	return nil
}

// The method "moment" returns the time that the text means, after all words have been read.
func (r *reading) moment() (Moment, error) {
	if r.clock == nil {
		return Moment{}, errors.New("must have a time of day, e.g. tomorrow 08:00")
	}
	zone := r.zone
	if r.offset != nil {
		zone = r.offset
	}
	d := dateOf(r.now)
	if r.date != nil {
		d = *r.date
	} else if r.offset != nil {
		d = dateOf(r.now.In(zone))
	}
	t, err := resolve(d, *r.clock, zone)
	if err != nil {
		return Moment{}, err
	}
	m := Moment{At: t}
	if r.date == nil && !t.After(r.now) {
		m.Missed = t
		if m.At, err = resolve(d.plus(1), *r.clock, zone); err != nil {
			return Moment{}, err
		}
	}
	if name := m.At.Format("MST"); r.abbreviation != "" && !strings.EqualFold(name, r.abbreviation) {
		return Moment{}, fmt.Errorf("%s is not the abbreviation of %s: write a name such as Africa/Nairobi, or an offset such as +03:00", r.abbreviation, zoneName(zone))
	}
	return m, nil
}
