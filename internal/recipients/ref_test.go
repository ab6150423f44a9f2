package recipients

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// refsIn reads a list and returns the reference of each recipient.
func refsIn(l *List) (refs []string, err error) {
	for r, err := range l.All() {
		if err != nil {
			return refs, err
		}
		refs = append(refs, r.Ref)
	}
	return refs, nil
}

func TestRefColumn_InEveryFormat(t *testing.T) {
	t.Parallel()
	book := workbookOf(t, func(f *excelize.File) {
		fillRows(t, f, "Sheet1", []any{"Order", "Phone"}, []any{"A-1", "0712345678"}, []any{nil, "0712345679"}, []any{1007, "0712345680"})
	})
	want := []string{"A-1", "", "1007"}
	for name, l := range map[string]*List{
		"csv":      listOf("phone,order\n0712345678, A-1 \n0712345679\n0712345680,\"1007\"\n", Options{Name: "list.csv", RefColumn: "Order "}),
		"jsonl":    listOf(`{"phone":"0712345678","order":"A-1"}`+"\n"+`{"phone":"0712345679"}`+"\n"+`{"order":1007,"phone":"0712345680"}`+"\n", Options{Name: "list.jsonl", RefColumn: "order"}),
		"workbook": inBytes(book, Options{Name: "list.xlsx", RefColumn: "order"}),
	} {
		got, err := refsIn(l)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// Without Options.RefColumn, a column named "ref" is an ordinary column.
	got, err := refsIn(listOf("phone,ref\n0712345678,A-1\n", Options{Name: "list.csv"}))
	if diff := cmp.Diff([]string{""}, got); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}

func TestRefColumn_MistakesNameTheirLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"unknown":    {"Name,Phone\nA,1\n", `list.csv:1: the header has no column "order" for the references; it has "Name", "Phone"`},
		"twice":      {"order,Phone,Order\nA,1,B\n", `list.csv:1: the header has two columns "order" for the references`},
		"plain list": {"0712345678\n", `list.csv:1: a plain list of numbers has no column "order"`},
		"too long":   {"order,phone\nA,1\n" + strings.Repeat("x", 65) + ",2\n", `list.csv:3: the reference in the column "order" has 65 bytes: shorten it to at most 64`},
		"line break": {"order,phone\n\"A\nB\",1\n", "has a control character"},
	} {
		if _, err := refsIn(listOf(tt.text, Options{Name: "list.csv", RefColumn: "order"})); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error = %v; want it to contain %s", name, err, tt.want)
		}
	}
	if _, err := refsIn(listOf(`{"phone":"1","order":["A"]}`+"\n", Options{Name: "list.jsonl", RefColumn: "order"})); err == nil || !strings.Contains(err.Error(), `"order" must be a string or a number`) {
		t.Errorf("an array as a reference: %v", err)
	}
}
