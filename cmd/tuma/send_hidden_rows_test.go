package main

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// TestSend_NoteCountsHiddenSpreadsheetRows checks that rows hidden by a filter of the spreadsheet are
// included, and that a note counts them.
func TestSend_NoteCountsHiddenSpreadsheetRows(t *testing.T) {
	t.Parallel()
	var book bytes.Buffer
	z := zip.NewWriter(&book)
	for name, text := range map[string]string{
		"xl/workbook.xml":            `<workbook><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="sheet.xml"/></Relationships>`,
		"xl/sheet.xml": `<worksheet><sheetData><row><c t="str"><v>phone</v></c></row><row><c><v>254712345678</v></c></row>` +
			`<row hidden="1"><c><v>254712345679</v></c></row><row hidden="true"><c><v>254712345680</v></c></row></sheetData></worksheet>`,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--file", h.file("list.xlsx", book.String())}
	const note = "tuma: note: the recipients include 2 hidden rows of the sheet\n"
	for _, more := range []string{"--dry-run", "--wait"} {
		if _, errOut, exit := h.run(append(send, more)...); exit != exitDone || !strings.Contains(errOut, note) {
			t.Errorf("%s: got exit %d and standard error %s, want exit 0 and the note on 2 hidden rows", more, exit, errOut)
		}
	}
	if got := h.acceptedCounts(); got != [2]int{0, 3} {
		t.Errorf("accepted: got %v, want 0 tests and 3 messages", got)
	}
}
