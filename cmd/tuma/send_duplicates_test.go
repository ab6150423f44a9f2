package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// invoices lists two invoices of one household and one invoice of another household. One of the
// two invoices of the first household is listed twice.
const invoices = "invoice,phone,due\nA1,0712345678,100\nA2,+254712345678,200\nA1,254712345678,100\nB1,0733445566,100\n,0733445566,100\n"

func TestSend_DuplicatesWithAnotherText(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("invoices.csv", invoices)
	send := func(more ...string) []string {
		return append([]string{"send", "--via", "kobo-main", "--body", "Invoice {{invoice}}: {{due}}", "--on-missing", "skip", "--file", file}, more...)
	}
	for _, tt := range []struct {
		choice                                     string
		sent, duplicates, missing, otherText, exit int
		note, codes                                string
	}{
		{"skip", 2, 3, 0, 1, exitNotAll, "1 recipient is skipped as a duplicate: it has the number of an earlier recipient, but another text", "duplicate,other_text duplicate, duplicate,"},
		{"each", 3, 1, 1, 0, exitNotAll, "", "duplicate, missing_field,invoice"},
	} {
		out, _ := h.mustRun(send("--duplicates", tt.choice, "--dry-run", "--json")...)
		var f struct {
			producer.Forecast
			Notes []string `json:"notes"`
		}
		if err := json.Unmarshal([]byte(out), &f); err != nil {
			t.Fatal(err)
		}
		if f.Sent != tt.sent || f.Reasons["duplicate"] != tt.duplicates || f.Reasons["missing_field"] != tt.missing || f.OtherText != tt.otherText {
			t.Errorf("%s: dry run %+v, want %+v", tt.choice, f.Forecast, tt)
		}
		if notes := strings.Join(f.Notes, "\n"); (tt.note != "") != strings.Contains(notes, "--duplicates each") || !strings.Contains(notes, tt.note) {
			t.Errorf("%s: notes of the dry run %q, want %q", tt.choice, notes, tt.note)
		}
		before := h.gateway.Accepted(254712345678)
		_, errOut, exit := h.run(send("--duplicates", tt.choice, "--id", tt.choice, "--wait")...)
		if exit != tt.exit || !strings.Contains(errOut, tt.note) || (tt.note != "") != strings.Contains(errOut, "--duplicates each") {
			t.Errorf("%s: exit %d and %s, want exit %d and %q", tt.choice, exit, errOut, tt.exit, tt.note)
		}
		st := h.status(tt.choice)
		if st.Accepted != tt.sent || st.Reasons["duplicate"] != tt.duplicates || st.Reasons["missing_field"] != tt.missing || st.OtherText != tt.otherText {
			t.Errorf("%s: status %+v, want %+v", tt.choice, st, tt)
		}
		if got := h.gateway.Accepted(254712345678) - before; got != tt.sent-1 {
			t.Errorf("%s: %d messages to the household, want %d", tt.choice, got, tt.sent-1)
		}
		var codes []string
		out, _ = h.mustRun("results", tt.choice, "--status", "skipped", "--format", "jsonl")
		for line := range strings.Lines(out) {
			var r producer.Result
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			codes = append(codes, r.Reason+","+r.Code)
		}
		if got := strings.Join(codes, " "); got != tt.codes {
			t.Errorf("%s: skipped %q, want %q", tt.choice, got, tt.codes)
		}
	}
	if n := h.gateway.Duplicates(); n != 0 {
		t.Errorf("the gateway saw %d duplicates, want none", n)
	}
}

// The value of --duplicates is part of the content of a campaign, unless its text has no merge
// fields.
func TestSend_DuplicatesAreContent(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("invoices.csv", invoices)
	id := func(body string, more ...string) string {
		out, _ := h.mustRun(append([]string{"send", "--via", "kobo-main", "--on-missing", "skip", "--body", body, "--file", file}, more...)...)
		return strings.TrimSpace(out)
	}
	const own = "Invoice {{invoice}}"
	first := id(own)
	if got := id(own, "--duplicates", "skip"); got != first {
		t.Errorf("--duplicates skip, the default, made another campaign: %s, want %s", got, first)
	}
	if got := id(own, "--duplicates", "each"); got == first {
		t.Error("--duplicates each made the same campaign, want another one")
	}
	if plain := id("Hello"); id("Hello", "--duplicates", "each") != plain {
		t.Error("--duplicates each made another campaign of a text without merge fields, want the same one")
	}
	if _, errOut, exit := h.run("send", "--via", "kobo-main", "--body", own, "--file", file, "--duplicates", "all"); exit != exitMisuse || !strings.Contains(errOut, `must be "skip" or "each"`) {
		t.Errorf("--duplicates all: exit %d and %s, want exit 2 and the valid values", exit, errOut)
	}
}
