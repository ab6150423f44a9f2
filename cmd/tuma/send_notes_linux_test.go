package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// The notes of `tuma send` show local times on a terminal, and times in UTC elsewhere. runOnTerminal sets the
// time zone Africa/Nairobi.
func TestSend_NotesHaveLocalTimesOnATerminal(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("notes.csv", "phone\n0712345678\n")
	args := []string{"send", "--id", "later", "--via", "kobo-main", "--body", "Hi", "--file", list, "--start-at", "2099-11-29 08:00", "--zone", "UTC", "--yes"}
	const local, utc = "sending starts at 2099-11-29 11:00:00 EAT", "2099-11-29T08:00:00Z"
	lines, exit := h.runOnTerminal(200, args...)
	if shown := strings.Join(lines, "\n"); exit != exitDone || !strings.Contains(shown, local) {
		t.Errorf("got exit %d and screen\n%s\nwant %q", exit, shown, local)
	}
	lines, exit = h.runOnTerminal(200, args...)
	if shown := strings.Join(lines, "\n"); exit != exitDone || !strings.Contains(shown, "already exists") || !strings.Contains(shown, " EAT); nothing changed") {
		t.Errorf("again: got exit %d and screen\n%s\nwant the local time of the first run", exit, shown)
	}
	args[2] = "program"
	if _, errOut, exit := h.run(args...); exit != exitDone || !strings.Contains(errOut, "sending starts at "+utc) {
		t.Errorf("without a terminal: got exit %d and standard error\n%s\nwant %q", exit, errOut, utc)
	}
}
