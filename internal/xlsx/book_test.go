package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// Tests of hostile files and of whole lists are in internal/recipients.

// bookOf returns a workbook of two sheets that excelize has written. Row 3 of its first sheet is
// blank, and row 4 is hidden.
func bookOf(t *testing.T) *bytes.Reader {
	t.Helper()
	f := excelize.NewFile()
	for i, row := range [][]any{{"name", "phone", "note"}, {"Ada", 254712345678, "x"}, {" "}, {"Bo", "0712 345 679"}} {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.NewSheet("Other")
	var out bytes.Buffer
	if err := errors.Join(err, f.SetRowVisible("Sheet1", 4, false), f.Write(&out), f.Close()); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out.Bytes())
}

func TestRows(t *testing.T) {
	t.Parallel()
	src := bookOf(t)
	b, err := Open(src, src.Size(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	want := []string{"Sheet1 1 true false name phone", "Sheet1 2 true false Ada 254712345678", "Sheet1 3 false false  ", "Sheet1 4 true true Bo 0712 345 679"}
	for range 2 { // a book can be read again
		var got []string
		for r, err := range b.Rows(func(column int) bool { return column < 2 }) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Cell(2) != nil {
				t.Errorf("row %d has column 2, which is not wanted", r.Number)
			}
			name, err := r.Text(r.Cell(0))
			line := fmt.Sprintln(b.Sheet(), r.Number, r.Filled, r.Hidden, strings.TrimSpace(string(name)))
			phone, err2 := r.Digits(r.Cell(1))
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSuffix(line, "\n")+" "+string(phone))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for r, err := range b.Rows(func(int) bool { return true }) {
		if err != nil || r.Number != 1 {
			t.Errorf("first row: number %d, error %v; want number 1 and no error", r.Number, err)
		}
		break // the loop may end early
	}
}

func TestOpen_NamesTheMistake(t *testing.T) {
	t.Parallel()
	src := bookOf(t)
	for name, tt := range map[string]struct {
		size  int64
		sheet string
		want  string
	}{
		"no such sheet": {src.Size(), "May", `the file has no sheet "May": choose one of ["Sheet1" "Other"]`},
		"cut in half":   {src.Size() / 2, "", "the file is a damaged workbook: save it in Excel again"},
		"too large":     {MaxFile + 1, "", "the file has 256 MB, but a workbook may have at most 256 MB: save it as CSV UTF-8"},
	} {
		_, err := Open(src, tt.size, tt.sheet)
		if _, ok := errors.AsType[*Error](err); !ok || err.Error() != tt.want {
			t.Errorf("%s: got error %v, want %s", name, err, tt.want)
		}
	}
}
