package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestReschedule_UntilTheCampaignHasBegun(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("later.csv", "phone\n0712345678\n0712345679\n")
	h.mustRun("send", "--id", "sale", "--via", "kobo-main", "--body", "Hello", "--class", "transactional", "--file", list, "--start-at", "in 2h", "--expires-in", "1h")
	out, _ := h.mustRun("reschedule", "sale", "2099-11-29 08:00", "--zone", "Africa/Nairobi")
	st := h.status("sale")
	want := time.Date(2099, 11, 29, 5, 0, 0, 0, time.UTC)
	if !strings.Contains(out, "sale starts Sunday 29 November 2099 08:00 (EAT)") || st.State != producer.Scheduled || !st.StartAt.Equal(want) || !st.ExpiresAt.Equal(want.Add(time.Hour)) {
		t.Errorf("got output %q, state %s, start %v and expiry %v; want a start at %v and an expiry an hour later", out, st.State, st.StartAt, st.ExpiresAt, want)
	}
	for text, exit := range map[string]int{"yesterday": exitMisuse, "2020-01-01 08:00": exitMisuse, "tomorrow": exitMisuse} {
		if _, errOut, got := h.run("reschedule", "sale", text); got != exit || strings.Count(errOut, "\n") != 1 || !h.status("sale").StartAt.Equal(want) {
			t.Errorf("reschedule to %q: got exit %d, start %v and standard error %s; want exit %d, one line and an unchanged start", text, got, h.status("sale").StartAt, errOut, exit)
		}
	}
	if h.gateway.Stats().Accepted != 0 {
		t.Fatalf("the gateway has accepted %d messages before the start", h.gateway.Stats().Accepted)
	}
	h.mustRun("reschedule", "sale", "now")
	eventually(t, "the campaign to be done", func() bool { return h.status("sale").State == producer.Done })
	if n := h.gateway.Stats().Accepted; n != 2 {
		t.Errorf("the gateway has accepted %d messages, want 2", n)
	}
	if _, errOut, exit := h.run("reschedule", "sale", "tomorrow 08:00"); exit != exitFailed || !strings.Contains(errOut, "the campaign is done") {
		t.Errorf("after the end: got exit %d and standard error %s, want exit 1", exit, errOut)
	}
	if _, errOut, exit := h.run("reschedule", "absent", "tomorrow 08:00"); exit != exitMisuse || !strings.Contains(errOut, "absent") {
		t.Errorf("no such campaign: got exit %d and standard error %s, want exit 2", exit, errOut)
	}
}
