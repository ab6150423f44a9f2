package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// TestSend_NotesOnTheList checks the notes of a dry run, of its JSON and of a sent campaign. The notes
// name what Tuma guessed about the list, and text that looks like a merge field of another system.
func TestSend_NotesOnTheList(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	send := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}, [Town], {none}", "--file", h.file("list.csv", "phone,name,town\n0712345678,Ren\x8ee,Kisumu\n")}
	want := []string{
		`the text contains [Town], which is not a merge field: write {{Town}}`,
		`the encoding windows-1252 is a guess: line 2 reads "RenŽe" (choose another with --encoding)`,
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

// If `tuma send` has --id and does not ask for a confirmation, it reads the last row of the list only during the
// upload. This test checks that notes on this row are still printed, written to the JSON and stored with the campaign.
func TestSend_NotesAreKnownWithAnIDToo(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	const note = `the encoding windows-1252 is a guess: line 4 reads "RenŽe" (choose another with --encoding)`
	list := h.file("list.csv", "phone,name\n0712345678,A\n0712345679,B\n0712345680,Ren\x8ee\n")
	plain := h.file("plain.csv", "phone,name\n0712345678,A\n")
	notesOf := func(out string) (notes *[]string) {
		var got struct{ Notes *[]string }
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("the output is not JSON: %v\n%s", err, out)
		}
		return got.Notes
	}
	for _, tt := range []struct {
		id, file string
		want     []string
	}{{"guessed", list, []string{note}}, {"ascii", plain, []string{}}} {
		args := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}", "--file", tt.file, "--id", tt.id, "--json"}
		dry, _ := h.mustRun(append(args, "--dry-run")...)
		sent, errOut := h.mustRun(args...)
		status, _ := h.mustRun("status", tt.id, "--json")
		report, _ := h.mustRun("report", tt.id, "--json")
		for name, out := range map[string]string{"send --dry-run": dry, "send": sent, "status": status, "report": report} {
			if got := notesOf(out); got == nil || !slices.Equal(*got, tt.want) {
				t.Errorf("%s: %s --json has notes %v; want %q", tt.id, name, got, tt.want)
			}
		}
		if strings.Contains(errOut, note) != (len(tt.want) > 0) {
			t.Errorf("%s: standard error %s; want the note only if there is one", tt.id, errOut)
		}
	}
}
