package xlsx

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Writer writes a workbook, and this package reads it. Every text must stay unchanged, even if it
// looks like a number, a formula or an escape.
func TestWriter_KeepsText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]string{{"phone", "note"}, {"254712345678", "007"}, {"+254712345678", "=1+1"}, {"", "_x000D_"}, {"0712345678", " a <b>\nc "}, {"1e5", "9/12/2026"}}
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(true); err != nil {
		t.Fatal(err)
	}
	b, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()), "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var got [][]string
	for r, err := range b.Rows(func(int) bool { return true }) {
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		for column := range 2 {
			text, err := r.Text(r.Cell(column))
			if err != nil {
				t.Fatal(err)
			}
			cells = append(cells, string(text))
		}
		got = append(got, cells)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
}

func TestWriter_EndsAtTheLastRow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.n = MaxRows - 1
	if err := w.Row("last"); err != nil {
		t.Errorf("the last row: %v", err)
	}
	if err := w.Row("one more"); err == nil || !strings.Contains(err.Error(), "at most 1048576 rows") {
		t.Errorf("one row more: %v, want an error that names the limit", err)
	}
	if err := w.Close(false); err != nil || out.Len() > 0 {
		t.Errorf("an incomplete workbook has %d bytes, %v; want none", out.Len(), err)
	}
}
