package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// TestSend_NotesOnTheList checks that a dry run, its JSON and a campaign report what Tuma guessed of a
// list, and text that looks like a merge field of another system.
func TestSend_NotesOnTheList(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	send := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}, [Town], {none}", "--file", h.file("list.csv", "phone,name,town\n0712345678,Ren\x8ee,Kisumu\n")}
	want := []string{
		`the text contains [Town], which is not a merge field: write {{Town}}`,
		`the encoding is a guess, windows-1252: line 2 reads "RenŽe" (choose another with --encoding)`,
	}
	for _, more := range []string{"--dry-run", "--wait"} {
		_, errOut, exit := h.run(append(send, more)...)
		for _, note := range want {
			if !strings.Contains(errOut, "tuma: note: "+note+"\n") || exit != exitDone {
				t.Errorf("%s: got exit %d and output %s; want the note %q", more, exit, errOut, note)
			}
		}
	}
	out, _, exit := h.run(append(send, "--dry-run", "--json")...)
	var got struct {
		Total int
		Notes []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || exit != exitDone || got.Total != 1 || !slices.ContainsFunc(got.Notes, func(s string) bool { return s == want[1] }) {
		t.Errorf("--json: got exit %d, error %v and output %s; want the forecast of one recipient and the notes %q", exit, err, out, want)
	}
}
