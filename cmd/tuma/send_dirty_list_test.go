package main

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/dirtylist"
)

// TestSend_DirtyListRowsEndAsIntended sends a generated list with many invalid and odd numbers.
// Every row must be in the results with the status and the reason that the generator expects.
// `make bench-file` does the same with 1,000,000 rows.
func TestSend_DirtyListRowsEndAsIntended(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	var list bytes.Buffer
	if err := dirtylist.Write(&list, rows); err != nil {
		t.Fatal(err)
	}
	_, errOut, exit := h.run("send", "--id", "dirty", "--via", "kobo-main", "--body", "Hello", "--wait", "--file", h.file("list.csv", list.String()))
	if exit != exitNotAll || !strings.Contains(errOut, "enqueued 20,000 recipients") {
		t.Fatalf("got exit %d and output\n%s\nwant exit 3 and 20,000 recipients", exit, errOut)
	}
	out, _ := h.mustRun("results", "dirty")
	got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(got) != rows+1 {
		t.Fatalf("results: got error %v and %d rows, want one row for each recipient", err, len(got)-1)
	}
	accepted, wrong := 0, 0
	for i, row := range got[1:] {
		want := dirtylist.At(i)
		status, msisdn := "accepted", ""
		if want.Reason != "" {
			status = "skipped"
		} else {
			accepted++
		}
		if want.MSISDN != 0 {
			msisdn = strconv.FormatUint(want.MSISDN, 10)
		}
		// The columns are those of resultHeader: row, msisdn, status, reason … code … input.
		if row[0] != strconv.Itoa(i+1) || row[1] != msisdn || row[2] != status || row[3] != want.Reason || want.Code != "" && row[7] != want.Code ||
			strings.TrimPrefix(row[12], "'") != want.Number {
			if wrong++; wrong < 10 {
				t.Errorf("row %d: got %q, want %+v", i+1, row, want)
			}
		}
	}
	if n := h.gateway.AllAccepted(); accepted == 0 || len(keysOf(n)) != accepted {
		t.Errorf("the gateway accepted %d numbers, want %d", len(keysOf(n)), accepted)
	}
}

func keysOf(all func(func(uint64, int) bool)) (keys []uint64) {
	for k := range all {
		keys = append(keys, k)
	}
	return keys
}
