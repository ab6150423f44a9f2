package reconcile

import (
	"maps"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

func TestReconcile_MatchesOnlyAnUnambiguousMessage(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)
	const one, two = sms.MSISDN(254_710_000_001), sms.MSISDN(254_710_000_002)
	row := func(id string, to sms.MSISDN, from string, at time.Duration) providers.TakenMessage {
		return providers.TakenMessage{ID: id, To: to, From: from, At: noon.Add(at)}
	}
	type rows = []providers.TakenMessage
	type finds = map[sms.MSISDN]string
	for name, tt := range map[string]struct {
		listed rows
		parts  int
		others map[sms.MSISDN]bool
		want   finds
	}{
		"nothing":                                   {want: finds{}},
		"both":                                      {listed: rows{row("1", one, "ACME", 0), row("2", two, "ACME", time.Minute)}, want: finds{one: "1", two: "2"}},
		"one of them":                               {listed: rows{row("2", two, "ACME", 0)}, want: finds{two: "2"}},
		"a number that is not in the call":          {listed: rows{row("1", 254_710_000_003, "ACME", 0)}, want: finds{}},
		"no number":                                 {listed: rows{row("1", 0, "ACME", 0)}, want: finds{}},
		"no ID":                                     {listed: rows{row("", one, "ACME", 0)}, want: finds{}},
		"another sender":                            {listed: rows{row("1", one, "OTHER", 0)}, want: finds{}},
		"the sender in another spelling":            {listed: rows{row("1", one, "+acme", 0)}, want: finds{one: "1"}},
		"another sender's message too":              {listed: rows{row("1", one, "OTHER", 0), row("2", one, "ACME", 0)}, want: finds{one: "2"}},
		"an ID that is known":                       {listed: rows{row("known", one, "ACME", 0)}, want: finds{}},
		"a known ID too":                            {listed: rows{row("known", one, "ACME", 0), row("2", one, "ACME", 0)}, want: finds{one: "2"}},
		"too early":                                 {listed: rows{row("1", one, "ACME", -3*time.Minute)}, want: finds{}},
		"too late":                                  {listed: rows{row("1", one, "ACME", 3*time.Minute)}, want: finds{}},
		"at both ends of the time":                  {listed: rows{row("1", one, "ACME", -2*time.Minute), row("2", two, "ACME", 2*time.Minute)}, want: finds{one: "1", two: "2"}},
		"without a time":                            {listed: rows{{ID: "1", To: one, From: "ACME"}}, want: finds{}},
		"without a time, after one with a time":     {listed: rows{row("2", one, "ACME", 0), {ID: "1", To: one, From: "ACME"}}, want: finds{}},
		"with a time, after one without":            {listed: rows{{ID: "1", To: one, From: "ACME"}, row("2", one, "ACME", 0)}, want: finds{}},
		"two candidates":                            {listed: rows{row("1", one, "ACME", 0), row("2", one, "ACME", time.Second)}, want: finds{}},
		"two rows of a message with two segments":   {listed: rows{row("1", one, "ACME", 0), row("2", one, "ACME", 0)}, parts: 2, want: finds{one: "1"}},
		"three rows of a message with two segments": {listed: rows{row("1", one, "ACME", 0), row("2", one, "ACME", 0), row("3", one, "ACME", 0)}, parts: 2, want: finds{}},
		"another call to the same":                  {listed: rows{row("1", one, "ACME", 0)}, others: map[sms.MSISDN]bool{one: true}, want: finds{}},
		"another call to another number":            {listed: rows{row("1", one, "ACME", 0)}, others: map[sms.MSISDN]bool{two: true}, want: finds{one: "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := matcher{from: noon.Add(-2 * time.Minute), to: noon.Add(2 * time.Minute), sender: "ACME", parts: max(1, tt.parts), others: tt.others,
				known: func(id string) bool { return id == "known" }}
			got := m.among(tt.listed, []campaign.Planned{{Row: 1, MSISDN: one}, {Row: 2, MSISDN: two}})
			if !maps.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReconcile_OldCallIsNotLookedUp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)
	// A lookup needs the records of all calls that were claimed since the time "first". The time "first"
	// is one call duration and two clock slacks before the call. From the time "forgotten" on, Redis may
	// have deleted these records.
	lasts := 33 * time.Second
	first := at.Add(-clockSlack).Add(-lasts - clockSlack)
	forgotten := first.Add(attempts.Life)
	for now, want := range map[time.Time]bool{at: false, at.Add(30 * time.Minute): false, forgotten: true, at.Add(2 * attempts.Life): true} {
		if got := tooOld(now, at, lasts); got != want {
			t.Errorf("tooOld %s after the claim: got %t, want %t", now.Sub(at), got, !got)
		}
	}
}
