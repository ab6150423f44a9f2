package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

const guestList = "First Name;Phone;Points\r\nAmina;0712345678;7\r\nJuma;0712345679;7\r\n;0712345680;7\r\nZuri;0712345681;\r\n"

// newGuests returns a fixture, and the function "send" that sends guestList and waits for the
// campaign's end.
func newGuests(t *testing.T) (h *fixture, send func(id, body string, more ...string) (out, errOut string, exit int)) {
	t.Helper()
	h = newFixture(t, simulator.Options{Texts: true})
	h.startWorker()
	file := h.file("guests.csv", guestList)
	return h, func(id, body string, more ...string) (out, errOut string, exit int) {
		return h.run(append([]string{"send", "--id", id, "--via", "kobo-main", "--body", body, "--file", file, "--wait"}, more...)...)
	}
}

func TestSend_MergeFieldsThatAreRefused(t *testing.T) {
	t.Parallel()
	h, send := newGuests(t)
	for body, want := range map[string]string{
		"Habari {{name}}":                       "{{name}}, but the header has no column of that name",
		"Habari {{first name}}":                 "guests.csv:4: field firstname is blank",
		"Habari {{first name|you}}, {{points}}": "guests.csv:5: field points is blank",
		"Habari {{first name":                   "not closed",
		"Habari {{first name:shout}}":           "unknown filter",
	} {
		if out, errOut, exit := send("never", body); exit != exitMisuse || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s: got exit %d and output %s%s, want exit 2 and the reason on standard error", body, exit, out, errOut)
		}
	}
	if _, errOut, exit := send("never", "Habari {{points}}", "--on-missing", "guess"); exit != exitMisuse || !strings.Contains(errOut, "fail, skip or default") {
		t.Errorf("--on-missing guess: got exit %d and standard error %s, want exit 2 and the valid values", exit, errOut)
	}
	if len(h.campaigns()) != 0 {
		t.Fatalf("got campaigns %+v after refused commands, want none", h.campaigns())
	}
}

func TestSend_OnMissingSkip(t *testing.T) {
	t.Parallel()
	h, send := newGuests(t)
	text := func(number uint64) string { return h.gateway.Gateway("kobo").Text(number) }
	if _, errOut, exit := send("skip", "Habari {{FIRST-NAME:upper}}, {{points}} points", "--on-missing", "skip"); exit != exitNotAll {
		t.Fatalf("got exit %d and standard error %s, want exit 3", exit, errOut)
	}
	if st := h.status("skip"); st.Accepted != 2 || st.Reasons["missing_field"] != 2 || st.Calls != 2 {
		t.Errorf("got status %+v, want 2 accepted and 2 with missing_field in 2 calls", st)
	}
	if got := text(254712345678) + text(254712345680) + text(254712345681); got != "Habari AMINA, 7 points" {
		t.Errorf("got texts %q, want one text: Habari AMINA, 7 points", got)
	}
	out, _ := h.mustRun("results", "skip", "--status", "skipped", "--format", "jsonl")
	if !strings.Contains(out, `"reason":"missing_field"`) || !strings.Contains(out, `"code":"firstname"`) || !strings.Contains(out, `"code":"points"`) {
		t.Errorf("got results %s, want two skipped with missing_field, for firstname and points", out)
	}
}

func TestSend_OnMissingDefault(t *testing.T) {
	t.Parallel()
	h, send := newGuests(t)
	text := func(number uint64) string { return h.gateway.Gateway("kobo").Text(number) }
	if _, errOut, exit := send("default", "Points: {{points}}", "--on-missing", "default"); exit != 0 {
		t.Fatalf("got exit %d and standard error %s, want exit 0", exit, errOut)
	}
	if st := h.status("default"); st.Accepted != 4 || st.Calls != 2 || st.Segments != 4 {
		t.Errorf("got status %+v, want 4 accepted with 4 segments in 2 calls", st)
	}
	if got := text(254712345679) + "|" + text(254712345681); got != "Points: 7|Points: " {
		t.Errorf("got texts %q, want \"Points: 7\" and \"Points: \"", got)
	}
}

func TestSend_UsedMergeFieldsAreTheID(t *testing.T) {
	t.Parallel()
	h, _ := newGuests(t)
	enqueue := func(content string) (out, errOut string) {
		return h.mustRun("send", "--via", "kobo-main", "--body", "Habari {{first name|there}}", "--file", h.file("more.csv", content))
	}
	first, _ := enqueue(guestList)
	if again, errOut := enqueue(guestList); again != first || !strings.Contains(errOut, "already sent") {
		t.Errorf("the same content again: got ID %s, want %s: %s", again, first, errOut)
	}
	if other, _ := enqueue(strings.Replace(guestList, "Amina", "Amani", 1)); other == first {
		t.Errorf("with another name: got the same ID %s, want another one", other)
	}
	if same, _ := enqueue(strings.ReplaceAll(guestList, ";7", ";8")); same != first {
		t.Errorf("with other points, which the text does not use: got ID %s, want %s", same, first)
	}
}
