package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// debts is a list with a `sep=` line above its header, a record of two lines and a blank line. It
// has an invalid number, a column without a name, a column with the name of a results column, and
// cells that a spreadsheet would run as formulas.
const debts = "sep=,\nFirst Name,Phone,status,Due,\n\"Ada\",0712345678,=1+1,007,\n\n\"B\nC\",+254 712 345 679,+SUM(A1),1,\nDan,0712,gold,\"2,000\",x\n"

// newDebts returns a fixture that has sent the list in the constant "debts" as the campaign "debts". It also returns
// the path of the list.
func newDebts(t *testing.T) (*fixture, string) {
	t.Helper()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("debts.csv", debts)
	if _, errOut, exit := h.run("send", "--id", "debts", "--via", "kobo-main", "--body", "Hi {{first name}}", "--file", file, "--wait"); exit != exitNotAll {
		t.Fatalf("got exit %d and %s, want exit 3", exit, errOut)
	}
	return h, file
}

// pick returns the cells of some columns of a table, found by their names in its first row.
func pick(t *testing.T, table [][]string, names ...string) (out [][]string) {
	t.Helper()
	for _, row := range table {
		var cells []string
		for _, name := range names {
			cell := ""
			for i, header := range table[0] {
				if header == name && i < len(row) {
					cell = row[i]
				}
			}
			cells = append(cells, cell)
		}
		out = append(out, cells)
	}
	return out
}

func TestSend_RefColumn(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("orders.csv", "Phone,Order\n0712345678,A-1\n0712345679,\n")
	h.mustRun("send", "--id", "orders", "--via", "kobo-main", "--body", "Ready", "--file", file, "--ref-column", "order", "--wait")
	out, _ := h.mustRun("results", "orders")
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"row", "status", "ref"}, {"1", "accepted", "A-1"}, {"2", "accepted", ""}}, pick(t, table, "row", "status", "ref")); diff != "" {
		t.Error(diff)
	}
	if out, _ := h.mustRun("find", "+254712345678"); !strings.Contains(out, "A-1") {
		t.Errorf("find prints %s, want the reference", out)
	}
}

func TestResults_ColumnsOfTheFile(t *testing.T) {
	t.Parallel()
	h, file := newDebts(t)
	names := []string{"row", "msisdn", "status", "reason", "line", "First Name", "Phone", "status 2", "Due"}
	want := [][]string{names,
		{"1", "254712345678", "accepted", "", "3", "Ada", "0712345678", "'=1+1", "007"},
		{"2", "254712345679", "accepted", "", "5", "B\nC", "+254 712 345 679", "'+SUM(A1)", "1"},
		{"3", "", "skipped", "invalid_number", "7", "Dan", "0712", "gold", "2,000"}}
	out, _ := h.mustRun("results", "debts", "--columns", "all", "--file", file)
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table[0]) != len(resultHeader)+5 {
		t.Fatalf("got the error %v, want a table with the results and 5 columns of the list:\n%s", err, out)
	}
	if diff := cmp.Diff(want, pick(t, table, names...)); diff != "" {
		t.Error(diff)
	}

	// A workbook has the same cells as CSV, all as text, so that a spreadsheet computes nothing and
	// drops no digit.
	book := filepath.Join(t.TempDir(), "results.XLSX")
	h.mustRun("results", "debts", "--columns", "all", "--file", file, "-o", book)
	x, err := excelize.OpenFile(book)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close() //nolint:errcheck // only removes temporary files
	rows, err := x.GetRows(x.GetSheetName(0))
	if err != nil {
		t.Fatal(err)
	}
	want[1][7], want[2][7] = "=1+1", "+SUM(A1)"
	if diff := cmp.Diff(want, pick(t, rows, names...)); diff != "" {
		t.Error(diff)
	}
	for _, cell := range []string{"B2", "R2", "Q2"} {
		kind, err := x.GetCellType(x.GetSheetName(0), cell)
		formula, err2 := x.GetCellFormula(x.GetSheetName(0), cell)
		if err != nil || err2 != nil || formula != "" || kind != excelize.CellTypeInlineString {
			t.Errorf("cell %s has the type %v and the formula %q (%v, %v), want text", cell, kind, formula, err, err2)
		}
	}

	// The results are printed as JSON, with chosen columns and only some rows.
	out, _ = h.mustRun("results", "debts", "--columns", "due,FIRST_NAME", "--file", file, "--status", "skipped", "--format", "jsonl")
	var r struct {
		Row, Line int
		Columns   map[string]string
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Row != 3 || r.Line != 7 || !cmp.Equal(r.Columns, map[string]string{"Due": "2,000", "First Name": "Dan"}) {
		t.Errorf("got %+v (%v) from %s, want row 3 of line 7 with the columns Due 2,000 and First Name Dan", r, err, out)
	}
	if rest, _ := h.mustRun("results", "debts", "--columns", "Due", "--file", file, "--after", "2"); !strings.HasPrefix(rest, "3,") || !strings.HasSuffix(rest, ",7,\"2,000\"\n") {
		t.Errorf("after row 2: %q", rest)
	}
}

func TestResults_ColumnsThatTumaKeeps(t *testing.T) {
	t.Parallel()
	h, file := newDebts(t)
	out, _ := h.mustRun("results", "debts", "--columns", "all")
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"row", "firstname"}, {"1", "Ada"}, {"2", "B\nC"}, {"3", "Dan"}}
	if diff := cmp.Diff(want, pick(t, table, "row", "firstname")); diff != "" {
		t.Error(diff)
	}
	other := h.file("other.csv", strings.Replace(debts, "345 679", "345 670", 1))
	short := h.file("short.csv", "First Name,Phone\nAda,0712345678\n")
	existing := h.file("there.csv", "mine")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--columns", "due"}, "tuma keeps only the columns that the text of debts uses (firstname): to get \"due\", pass the list with --file"},
		{[]string{"--columns", "salary", "--file", file}, `debts.csv has no column "salary"; it has "First Name", "Phone", "status", "Due"`},
		{[]string{"--columns", "all", "--file", other}, `other.csv:5: the list has the number "+254 712 345 670", but the campaign has "+254 712 345 679"`},
		{[]string{"--columns", "all", "--file", short}, "short.csv has only 1 recipients: it is not the list of this campaign"},
		{[]string{"--file", file}, "--file requires --columns"},
		{[]string{"--format", "xls"}, "must be csv, jsonl or xlsx"},
		{[]string{"-o", existing}, "already exists"},
	} {
		if _, errOut, exit := h.run(append([]string{"results", "debts"}, tt.args...)...); exit != exitMisuse || !strings.Contains(errOut, tt.want) {
			t.Errorf("%v: exit %d and %s, want exit 2 and %s", tt.args, exit, errOut, tt.want)
		}
	}
	if text, err := os.ReadFile(existing); err != nil || string(text) != "mine" {
		t.Errorf("the existing file has %q, %v; want it unchanged", text, err)
	}
}

func TestSend_SkippedFileWithColumns(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	file := h.file("debts.csv", debts)
	book := filepath.Join(t.TempDir(), "skipped.xlsx")
	send := []string{"send", "--via", "kobo-main", "--body", "Hi", "--file", file, "--dry-run", "--columns", "due,status"}
	h.mustRun(append(send, "--skipped-file", book)...)
	x, err := excelize.OpenFile(book)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close() //nolint:errcheck // only removes temporary files
	rows, err := x.GetRows(x.GetSheetName(0))
	want := [][]string{{"row", "input", "reason", "code", "line", "Due", "status"}, {"3", "0712", "invalid_number", "too_short", "7", "2,000", "gold"}}
	if diff := cmp.Diff(want, rows); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, errOut, exit := h.run(send...); exit != exitMisuse || !strings.Contains(errOut, "--columns requires --skipped-file") {
		t.Errorf("exit %d and %s, want exit 2", exit, errOut)
	}
}
