package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// runAt is like run, with the given time as the command's clock.
func (c *cli) runAt(now time.Time, args ...string) (out, errOut string, exit int) {
	c.t.Helper()
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e, env: map[string]string{}, now: func() time.Time { return now }}
	for _, pair := range c.env {
		name, value, _ := strings.Cut(pair, "=")
		a.env[name] = value
	}
	root := newRoot(a) //nolint:contextcheck // cobra passes the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(context.WithoutCancel(c.t.Context()))
	a.printError(err)
	return o.String(), e.String(), exitStatus(err)
}

// evening is today at 18:40 in Nairobi.
func evening() time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(15*time.Hour + 40*time.Minute)
}

func TestSendTimes_ReadInTheRightZone(t *testing.T) {
	t.Parallel()
	c := newDryRunCLI(t)
	now := evening()
	list := c.file("times.csv", "phone\n0712345678\n")
	day := now.Add(24 * time.Hour).Format("2006-01-02")
	for _, tt := range []struct {
		name, start string
		env         string
		more        []string
		want        string // in UTC
		note        string
	}{
		{"default_country", "tomorrow 08:00", "", nil, day + "T05:00:00Z", "08:00 (EAT), tomorrow, in 13h 20m = " + day + "T05:00:00Z"},
		{"--country", "tomorrow 08:00", "", []string{"--country", "ng"}, day + "T07:00:00Z", "08:00 (WAT), tomorrow"},
		{"--zone", day + " 08:00", "", []string{"--zone", "UTC", "--country", "NG"}, day + "T08:00:00Z", "08:00 (UTC), tomorrow, in 16h 20m"},
		{"a country with several zones", "tomorrow 08:00", "TZ=Asia/Kolkata", []string{"--country", "US"}, day + "T02:30:00Z", "08:00 (IST), tomorrow"},
		{"an offset", day + "T08:00:00+02:00", "", nil, day + "T06:00:00Z", "09:00 (EAT), tomorrow"},
		{"a duration", "in 2h", "", nil, now.Add(2*time.Hour).Format("2006-01-02") + "T17:40:00Z", "20:40 (EAT), today, in 2h 00m"},
		{"the next 08:00", "08:00", "", nil, day + "T05:00:00Z", "08:00 (EAT), tomorrow"},
	} {
		one := *c
		if tt.env != "" {
			one.env = append([]string{tt.env}, c.env...)
		}
		args := append([]string{"send", "--via", "k", "--body", "x", "--class", "transactional", "--file", list, "--dry-run", "--start-at", tt.start}, tt.more...)
		out, errOut, exit := one.runAt(now, append(args, "--json")...)
		var f struct {
			producer.Forecast
			Notes []string `json:"notes"`
		}
		if err := json.Unmarshal([]byte(out), &f); exit != exitDone || err != nil {
			t.Errorf("%s: got exit %d, error %v and standard error %s, want exit 0 and JSON", tt.name, exit, err, errOut)
			continue
		}
		if got := f.Schedule.From.Format(time.RFC3339); got != tt.want || !strings.Contains(strings.Join(f.Notes, "\n"), tt.note) {
			t.Errorf("%s: %q starts at %s with the notes %q; want %s and a note with %q", tt.name, tt.start, got, f.Notes, tt.want, tt.note)
		}
		if _, errOut, exit = one.runAt(now, args...); exit != exitDone || !strings.Contains(errOut, tt.note) {
			t.Errorf("%s: got exit %d and standard error %s; want exit 0 and a note with %q", tt.name, exit, errOut, tt.note)
		}
	}
}

// TestSendTimes_SecondRunSendsNothing runs the same command twice. The campaign ID that the command
// derives must not depend on the time of the run. Otherwise the second run would send to the list
// again.
func TestSendTimes_SecondRunSendsNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("twice.csv", "phone\n0712345678\n0712345679\n")
	at := evening().Add(24 * time.Hour) // The time is tomorrow, so that the start is also in the future by the clock of Redis.
	for start, later := range map[string]time.Duration{
		"in 2h": time.Minute,
		"20:00": 2 * time.Hour, // the second run is at 20:40, after the start time
		at.Add(3 * time.Hour).Format("2006-01-02 15:04"): time.Minute,
	} {
		send := []string{"send", "--via", "kobo-main", "--body", "Starts " + start, "--file", list, "--zone", "Africa/Nairobi", "--start-at", start, "--json"}
		first, errOut, exit := h.runAt(at, send...)
		if exit != exitDone || !strings.Contains(errOut, "the campaign starts ") {
			t.Fatalf("%s: got exit %d and standard error %s, want exit 0 and the start", start, exit, errOut)
		}
		second, errOut, exit := h.runAt(at.Add(later), send...)
		var a, b producer.Receipt
		if err := json.Unmarshal([]byte(first), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(second), &b); err != nil || exit != exitDone || !b.Again || a.ID != b.ID {
			t.Errorf("%s: the second run got exit %d and receipt %+v, want exit 0 and the first receipt %+v again\n%s", start, exit, b, a, errOut)
		}
		if st := h.status(a.ID); st.State != producer.Scheduled || st.StartAt.Nanosecond() != 0 && start != "in 2h" {
			t.Errorf("%s: got state %s and start %v, want scheduled", start, st.State, st.StartAt)
		}
		if _, errOut, exit := h.runAt(at, append(send, "--again")...); exit != exitDone || strings.Contains(errOut, "already sent") {
			t.Errorf("%s with --again: got exit %d and standard error %s, want another campaign", start, exit, errOut)
		}
	}
	if n := len(h.campaigns()); n != 6 {
		t.Errorf("got %d campaigns, want 6: each list once, and once with --again", n)
	}
}
