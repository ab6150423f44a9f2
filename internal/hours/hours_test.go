package hours_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // so that the tests use the same time zone rules on every machine

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/sms"
)

func TestParse(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"08:00-18:00": "08:00-18:00", " 8:05 - 17:30 ": "08:05-17:30", "20:00-06:00": "20:00-06:00", "00:00-24:00": "00:00-24:00",
		"09:00:30-23:59:59": "09:00:30-23:59:59", "18:00-00:00": "18:00-00:00",
	}
	for s, want := range good {
		h, err := hours.Parse(s)
		if err != nil || h.String() != want {
			t.Errorf("Parse(%q) = %s, %v; want %s", s, h, err, want)
		}
	}
	for _, s := range []string{"", "off", "8-18", "08:00", "08:00-", "08:00-08:00", "24:00-08:00", "08:00-25:00", "08:00-18:60", "00:00-00:00", "08:00-18:00-20:00"} {
		if h, err := hours.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", s, h)
		}
	}
}

func window(t testing.TB, country, span string) *hours.Window {
	t.Helper()
	h, err := hours.Parse(span)
	if err != nil {
		t.Fatal(err)
	}
	w, err := hours.In(country, h)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSpans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, country, hours, from string
		want                       []string // alternating times of opening and closing, in UTC
	}{
		{"Kenya by day", "KE", "08:00-18:00", "2026-11-22T17:00:00Z", []string{"2026-11-23T05:00:00Z", "2026-11-23T15:00:00Z", "2026-11-24T05:00:00Z", "2026-11-24T15:00:00Z"}},
		{"Kenya, open now", "KE", "08:00-18:00", "2026-11-22T14:59:59Z", []string{"2026-11-22T14:59:59Z", "2026-11-22T15:00:00Z"}},
		{"Kenya, closed to the second", "KE", "08:00-18:00", "2026-11-22T15:00:00Z", []string{"2026-11-23T05:00:00Z", "2026-11-23T15:00:00Z"}},
		{"Nigeria, open to the second", "NG", "08:00-20:00", "2026-11-22T07:00:00Z", []string{"2026-11-22T07:00:00Z", "2026-11-22T19:00:00Z"}},
		{"over midnight", "KE", "20:00-06:00", "2026-11-22T22:30:00Z", []string{"2026-11-22T22:30:00Z", "2026-11-23T03:00:00Z", "2026-11-23T17:00:00Z", "2026-11-24T03:00:00Z"}},
		// On 29 March 2026 the clocks go forward from 01:00 to 02:00.
		{"London in spring", "GB", "08:00-20:00", "2026-03-28T20:00:00Z", []string{"2026-03-29T07:00:00Z", "2026-03-29T19:00:00Z"}},
		{"London, begins in the skipped hour", "GB", "01:30-20:00", "2026-03-28T20:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T19:00:00Z"}},
		{"London, ends in the skipped hour", "GB", "20:00-01:30", "2026-03-28T21:00:00Z", []string{"2026-03-28T21:00:00Z", "2026-03-29T01:00:00Z"}},
		{"London, lies in the skipped hour", "GB", "01:10-01:50", "2026-03-28T12:00:00Z", []string{"2026-03-30T00:10:00Z", "2026-03-30T00:50:00Z"}},
		// On 25 October 2026 the clocks go back from 02:00 to 01:00.
		{"London in autumn", "GB", "08:00-20:00", "2026-10-24T20:00:00Z", []string{"2026-10-25T08:00:00Z", "2026-10-25T20:00:00Z"}},
		{"London, ends in the repeated hour", "GB", "00:30-01:30", "2026-10-24T20:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"}},
		{"London, begins in the repeated hour", "GB", "01:30-03:00", "2026-10-24T20:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"}},
		{"America: Honolulu and Adak wake last, New York ends first", "US", "08:00-20:00", "2026-07-01T06:00:00Z",
			[]string{"2026-07-01T18:00:00Z", "2026-07-02T00:00:00Z"}},
		{"America in winter", "US", "08:00-20:00", "2026-01-05T06:00:00Z", []string{"2026-01-05T18:00:00Z", "2026-01-06T01:00:00Z"}},
		{"half-hour offset", "IN", "09:00-21:00", "2026-01-05T20:00:00Z", []string{"2026-01-06T03:30:00Z", "2026-01-06T15:30:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range window(t, tt.country, tt.hours).Spans(at(t, tt.from), len(tt.want)/2) {
				got = append(got, s.From.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestOpen_BermudaHasTheRulesOfNewYork(t *testing.T) {
	t.Parallel()
	w := window(t, "BM", "08:00-20:00")
	for from, want := range map[string]string{
		"2026-03-07T12:00:00Z": "2026-03-08T00:00:00Z", "2026-03-08T12:00:00Z": "2026-03-08T23:00:00Z", // the clocks go forward on 8 March
		"2026-10-31T12:00:00Z": "2026-10-31T23:00:00Z", "2026-11-01T12:30:00Z": "2026-11-02T00:00:00Z", // the clocks go back on 1 November
	} {
		if open, until := w.Open(at(t, from)); !open || !until.Equal(at(t, want)) {
			t.Errorf("at %s: got open %t until %s, want %s", from, open, until.UTC(), want)
		}
	}
}

func TestIn_RefusesAWindowThatNeverOpens(t *testing.T) {
	t.Parallel()
	for country, span := range map[string]string{"RU": "08:00-12:00", "XX": "08:00-18:00", "": "08:00-18:00", "#": "08:00-18:00"} {
		h, err := hours.Parse(span)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := hours.In(country, h); err == nil {
			t.Errorf("In(%q) = %s, want an error", country, w)
		}
	}
	if open, until := window(t, "KE", "00:00-24:00").Open(at(t, "2026-01-01T00:00:00Z")); !open || !until.IsZero() {
		t.Errorf("whole day: got open %t until %s, want open for ever", open, until)
	}
}

func TestIn_KnowsEveryCountryOfNumbers(t *testing.T) {
	t.Parallel()
	h := hours.Hours{From: 0, To: 24 * time.Hour}
	known := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if country := string(a) + string(b); sms.ValidCountry(country) {
				known++
				if _, err := hours.In(country, h); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if known < 200 {
		t.Errorf("got %d countries, want at least 200", known)
	}
}

// referenceOpen reports whether the time t is within the hours in all of the given zones. It reads
// the wall clock of each zone.
func referenceOpen(h hours.Hours, zones []*time.Location, t time.Time) bool {
	for _, z := range zones {
		hour, minute, _ := t.In(z).Clock()
		of := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
		in := h.From <= of && of < h.To
		if h.To <= h.From {
			in = of >= h.From || of < h.To
		}
		if !in {
			return false
		}
	}
	return true
}

func FuzzSpans(f *testing.F) {
	places := map[string]string{"KE": "Africa/Nairobi", "GB": "Europe/London", "BM": "Atlantic/Bermuda", "IN": "Asia/Kolkata", "NP": "Asia/Kathmandu",
		"EG": "Africa/Cairo", "PY": "America/Asuncion", "MA": "Africa/Casablanca",
		"CL": "America/Punta_Arenas America/Santiago Pacific/Easter America/Coyhaique"}
	countries := []string{"KE", "GB", "BM", "IN", "NP", "EG", "PY", "MA", "CL"}
	for i := range 40 {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		f.Add(byte(i), r.Int64N(1440), r.Int64N(1440), int64(1767225600/60)+r.Int64N(365*1440))
	}
	// The clocks change on the day after each of these instants.
	for _, day := range []string{"2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"} {
		for m := range int64(12) {
			f.Add(byte(1), m*10, m*10+70, at(f, day).Unix()/60)
		}
	}
	f.Fuzz(func(t *testing.T, place byte, from, to, minute int64) {
		country := countries[int(place)%len(countries)]
		from, to = ((from%1440)+1440)%1440, ((to%1440)+1440)%1440
		minute = ((minute % (400 * 365 * 1440)) + 400*365*1440) % (100 * 365 * 1440)
		if from == to {
			return
		}
		h := hours.Hours{From: time.Duration(from) * time.Minute, To: time.Duration(to) * time.Minute}
		w, err := hours.In(country, h)
		if err != nil {
			return // the time zones of the country are never all within the hours at the same moment
		}
		var zones []*time.Location
		for name := range strings.FieldsSeq(places[country]) {
			z, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			zones = append(zones, z)
		}
		start := time.Unix(minute*60, 0)
		// Before 1972 the offsets of some zones were not whole minutes.
		if start.Year() < 1973 {
			return
		}
		spans := w.Spans(start, 4)
		for x := start; x.Sub(start) < 3*24*time.Hour; x = x.Add(time.Minute) {
			in := slices.ContainsFunc(spans, func(s hours.Span) bool { return !x.Before(s.From) && x.Before(s.Until) })
			if len(spans) == 4 && !x.Before(spans[3].Until) {
				break
			}
			if want := referenceOpen(h, zones, x); in != want {
				t.Fatalf("%s at %s (%s): open %t, want %t; spans %v", w, x.UTC(), x.In(zones[0]), in, want, spans)
			}
		}
	})
}
