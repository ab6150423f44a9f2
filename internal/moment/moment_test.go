package moment_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // so that the tests use the same time zone rules on every machine

	"github.com/tuma-sms/tuma/internal/moment"
)

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// now is Saturday 28 November 2026, 18:40 in Nairobi.
var now = time.Date(2026, 11, 28, 15, 40, 0, 0, time.UTC)

func TestParse_Forms(t *testing.T) {
	t.Parallel()
	nairobi := zoneOf(t, "Africa/Nairobi")
	for text, want := range map[string]string{
		"tomorrow 08:00":              "2026-11-29T08:00:00+03:00",
		"Tomorrow at 8am":             "2026-11-29T08:00:00+03:00",
		"08:00 tomorrow":              "2026-11-29T08:00:00+03:00",
		"tomorrow, 8:30 pm":           "2026-11-29T20:30:00+03:00",
		"tomorrow 8.30 p.m.":          "2026-11-29T20:30:00+03:00",
		"tomorrow noon":               "2026-11-29T12:00:00+03:00",
		"  tomorrow   08h00 ":         "2026-11-29T08:00:00+03:00",
		"today 20:00":                 "2026-11-28T20:00:00+03:00",
		"today 07:00":                 "2026-11-28T07:00:00+03:00",
		"2026-11-29 08:00":            "2026-11-29T08:00:00+03:00",
		"2026-11-29T08:00":            "2026-11-29T08:00:00+03:00",
		"2026-11-29 08:00:30":         "2026-11-29T08:00:30+03:00",
		"08:00 2026-11-29":            "2026-11-29T08:00:00+03:00",
		"29 Nov 2026 08:00":           "2026-11-29T08:00:00+03:00",
		"29th of November 2026":       "",
		"Nov 29, 2026 at 8pm":         "2026-11-29T20:00:00+03:00",
		"2026-11-29T08:00:00+03:00":   "2026-11-29T08:00:00+03:00",
		"2026-11-29T08:00:00Z":        "2026-11-29T08:00:00Z",
		"2026-11-29T08:00:00.000Z":    "2026-11-29T08:00:00Z",
		"2026-11-29 08:00Z":           "2026-11-29T08:00:00Z",
		"2026-11-29 08:00 +0100":      "2026-11-29T08:00:00+01:00",
		"2026-11-29 08:00-05:30":      "2026-11-29T08:00:00-05:30",
		"2026-11-29 08:00 UTC":        "2026-11-29T08:00:00Z",
		"2026-11-29 08:00 EAT":        "2026-11-29T08:00:00+03:00",
		"tomorrow 08:00 Africa/Lagos": "2026-11-29T08:00:00+01:00",
		"20:00":                       "2026-11-28T20:00:00+03:00",
		"08:00":                       "2026-11-29T08:00:00+03:00",
		"18:40":                       "2026-11-29T18:40:00+03:00",
		"8pm":                         "2026-11-28T20:00:00+03:00",
		"16:00Z":                      "2026-11-28T16:00:00Z",
		"monday 08:00":                "2026-11-30T08:00:00+03:00",
		"on Fri at 17:00":             "2026-12-04T17:00:00+03:00",
		"2020-01-01T00:00:00Z":        "2020-01-01T00:00:00Z",
		"in 2h":                       "2026-11-28T20:40:00+03:00",
		"in 90 minutes":               "2026-11-28T20:10:00+03:00",
		"in 1h 30m":                   "2026-11-28T20:10:00+03:00",
		"In 1 hour and 30 minutes":    "2026-11-28T20:10:00+03:00",
		"in 1.5h":                     "2026-11-28T20:10:00+03:00",
		"in 3 days":                   "2026-12-01T18:40:00+03:00",
		"in 2w":                       "2026-12-12T18:40:00+03:00",
		"now":                         "2026-11-28T18:40:00+03:00",
		"2028-02-29 08:00":            "2028-02-29T08:00:00+03:00",
	} {
		m, err := moment.Parse(text, now, nairobi)
		if want == "" {
			if err == nil {
				t.Errorf("Parse(%q) = %s, want an error", text, m.At.Format(time.RFC3339))
			}
			continue
		}
		if err != nil || m.At.Format(time.RFC3339) != want {
			t.Errorf("Parse(%q) = %s, %v; want %s", text, m.At.Format(time.RFC3339), err, want)
		}
	}
}

func TestParse_Errors(t *testing.T) {
	t.Parallel()
	nairobi := zoneOf(t, "Africa/Nairobi")
	for text, want := range map[string]string{
		"":                           "must not be empty",
		" ":                          "must not be empty",
		"tomorrow":                   "must have a time of day",
		"2026-11-29":                 "must have a time of day",
		"monday":                     "must have a time of day",
		"saturday 20:00":             "may be today or in a week",
		"next monday 08:00":          `"next" may mean this week or the week after`,
		"tomorrow morning":           "not an exact time",
		"yesterday 08:00":            "not an exact time",
		"tonight 20:00":              "today 20:00",
		"midnight":                   "00:00",
		"tomorrow 8":                 "08:00 or 20:00",
		"tomorrow 12am":              "00:00 or 12:00",
		"tomorrow 12:30 PM":          "00:00 or 12:00",
		"tomorrow 13pm":              "with am or pm",
		"tomorrow 0am":               "with am or pm",
		"tomorrow 24:00":             "00:00 and the date of the next day",
		"tomorrow 25:00":             "between 00:00 and 23:59",
		"tomorrow 08:60":             "between 00:00 and 23:59",
		"29/11/2026 08:00":           "2026-11-29",
		"03.04.2026 08:00":           "2026-11-29",
		"29 Nov 08:00":               "the year is missing",
		"2026-02-30 08:00":           "not a day of the calendar",
		"2026-13-01 08:00":           "not a day of the calendar",
		"0000-01-01 08:00":           "not a day of the calendar",
		"2026-11-29 08:00 09:00":     "one date and one time of day",
		"today tomorrow 08:00":       "one date and one time of day",
		"tomorrow 08:00 CST":         "CST is not the abbreviation of Africa/Nairobi",
		"tomorrow 08:00 Mars/Base":   "not a time zone",
		"tomorrow 08:00+15:00":       "between -14:00 and +14:00",
		"tomorrow 08:00Z UTC":        "one time zone",
		"2026-11-29T08:00:00+3":      "must be a time",
		"0800":                       "must be a time",
		"soonish":                    "must be a time",
		"1793779200":                 "must be a time",
		"2h":                         "in 2h",
		"in":                         "must be a duration",
		"in 2":                       "must be a duration",
		"in an hour":                 "must be a duration",
		"in -2h":                     "must be a duration",
		"in 0h":                      "must be a duration",
		"in 2 months":                "must be a duration",
		"in 999999w":                 "at most 10 years",
		"now 08:00":                  "must be a time",
		strings.Repeat("08:00 ", 50): "must be a time",
	} {
		m, err := moment.Parse(text, now, nairobi)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.40q) = %s, error %v; want an error with %q", text, m.At.Format(time.RFC3339), err, want)
		}
	}
}

func TestParse_TellsWhatDependsOnNow(t *testing.T) {
	t.Parallel()
	nairobi := zoneOf(t, "Africa/Nairobi")
	for text, want := range map[string]moment.Moment{
		"in 2h":          {At: now.Add(2 * time.Hour), In: 2 * time.Hour},
		"now":            {At: now, Now: true},
		"08:00":          {At: now.Add(13*time.Hour + 20*time.Minute), Missed: now.Add(-10*time.Hour - 40*time.Minute)},
		"20:00":          {At: now.Add(80 * time.Minute)},
		"tomorrow 08:00": {At: now.Add(13*time.Hour + 20*time.Minute)},
	} {
		m, err := moment.Parse(text, now, nairobi)
		if err != nil || !m.At.Equal(want.At) || m.In != want.In || m.Now != want.Now || !m.Missed.Equal(want.Missed) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", text, m, err, want)
		}
	}
}

func TestParse_ClocksThatChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, text, want, wrong string }{
		{"Europe/Berlin", "2026-03-29 02:30", "", "02:30 does not exist on 2026-03-29 in Europe/Berlin"},
		{"Europe/Berlin", "2026-03-29 01:59", "2026-03-29T01:59:00+01:00", ""},
		{"Europe/Berlin", "2026-03-29 03:00", "2026-03-29T03:00:00+02:00", ""},
		{"Europe/Berlin", "2026-10-25 02:30", "", "comes twice on 2026-10-25 in Europe/Berlin, because the clocks go back: write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
		{"Europe/Berlin", "2026-10-25 02:30 +01:00", "2026-10-25T02:30:00+01:00", ""},
		{"Europe/Berlin", "2026-10-25 03:00", "2026-10-25T03:00:00+01:00", ""},
		{"Europe/Berlin", "2026-10-25 01:59", "2026-10-25T01:59:00+02:00", ""},
		{"Australia/Lord_Howe", "2026-10-04 02:15", "", "does not exist"}, // the clocks go forward by half an hour
		{"Australia/Lord_Howe", "2026-04-05 01:45", "", "comes twice"},
		{"Africa/Cairo", "2026-04-24 00:30", "", "does not exist on 2026-04-24"}, // the clocks go forward at midnight
		{"Pacific/Apia", "2011-12-30 12:00", "", "does not exist"},               // this zone left out a whole day
		{"America/Sao_Paulo", "2026-10-18 00:30", "2026-10-18T00:30:00-03:00", ""},
	} {
		m, err := moment.Parse(tt.text, now, zoneOf(t, tt.zone))
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("Parse(%q) in %s = %v, error %v; want an error with %q", tt.text, tt.zone, m.At, err, tt.wrong)
			}
		} else if err != nil || m.At.Format(time.RFC3339) != tt.want {
			t.Errorf("Parse(%q) in %s = %s, %v; want %s", tt.text, tt.zone, m.At.Format(time.RFC3339), err, tt.want)
		}
	}
}

func TestParse_TomorrowIsADayOfTheZone(t *testing.T) {
	t.Parallel()
	late := time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC) // already the 29th in Nairobi
	for zone, want := range map[string]string{"Africa/Nairobi": "2026-11-30T08:00:00+03:00", "UTC": "2026-11-29T08:00:00Z", "America/New_York": "2026-11-29T08:00:00-05:00"} {
		m, err := moment.Parse("tomorrow 08:00", late, zoneOf(t, zone))
		if err != nil || m.At.Format(time.RFC3339) != want {
			t.Errorf("tomorrow 08:00 in %s = %s, %v; want %s", zone, m.At.Format(time.RFC3339), err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	nairobi := zoneOf(t, "Africa/Nairobi")
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(13*time.Hour + 20*time.Minute), "Sunday 29 November 2026 08:00 (EAT), tomorrow, in 13h 20m"},
		{now.Add(5*time.Minute + 10*time.Second), "Saturday 28 November 2026 18:45:10 (EAT), today, in 5m"},
		{now.Add(59 * time.Second), "Saturday 28 November 2026 18:40:59 (EAT), today, in 59s"},
		{now.Add(72 * time.Hour), "Tuesday 1 December 2026 18:40 (EAT), in 3 days 0h"},
		{now.Add(-24 * time.Hour), "Friday 27 November 2026 18:40 (EAT)"},
	} {
		if got := moment.Describe(tt.at, now, nairobi); got != tt.want {
			t.Errorf("Describe(%s) = %q, want %q", tt.at, got, tt.want)
		}
	}
}

// FuzzParse parses a text, describes the resulting time with date, time of day and zone, and parses
// this description. The second time must be equal to the first.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"tomorrow 08:00", "2026-11-29 08:00", "08:00", "in 2h", "2026-11-29T08:00:00+03:00", "29 Nov 2026 8pm", "monday 8:30 am", "now", "2026-10-25 02:30", "in 1.5h 3 days"} {
		f.Add(text, int64(0), uint8(0))
	}
	var zones []*time.Location
	for _, name := range []string{"Africa/Nairobi", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"} {
		zones = append(zones, zoneOf(f, name))
	}
	f.Fuzz(func(t *testing.T, text string, shift int64, z uint8) {
		at, zone := now.Add(time.Duration(shift%(400*24*3600))*time.Second), zones[int(z)%len(zones)]
		m, err := moment.Parse(text, at, zone)
		if err != nil {
			if !m.At.IsZero() {
				t.Errorf("Parse(%q) returned both %v and the error %v", text, m.At, err)
			}
			return
		}
		if m.In > 0 && !m.At.Equal(at.Add(m.In)) || m.In < 0 {
			t.Errorf("Parse(%q) = %+v, want now plus %s", text, m, m.In)
		}
		if !m.Missed.IsZero() && (m.Missed.After(at) || !m.At.After(at)) {
			t.Errorf("Parse(%q) at %s = %+v: Missed must have passed and At must not", text, at, m)
		}
		if m.At.Nanosecond() != 0 || m.At.Year() > 9999 || m.At.Year() < 1 {
			return
		}
		again, err := moment.Parse(m.At.Format(time.RFC3339), at, zone)
		if _, offset := m.At.Zone(); err != nil && offset%60 == 0 || err == nil && offset%60 == 0 && !again.At.Equal(m.At) {
			t.Errorf("Parse(%q) = %s, which is read as %s, %v", text, m.At, again.At, err)
		}
	})
}
