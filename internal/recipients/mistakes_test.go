package recipients

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// All mistakes of the rows are reported together. Their line numbers are the numbers that an editor
// or a spreadsheet shows. The valid rows are read.
func TestList_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxField+1)
	for name, tt := range map[string]struct {
		text, want string
		rows       int
	}{
		"csv with a sep= line, a blank line and a record of three lines": {
			"sep=,\nphone,note\n0712345678,a\n\n0712345679,a,b\n\"0712345680\",\"b\nc\nd\"\n0712345681,a,b\n0712345682," + long + "\n0712345683,x\n",
			"list.csv: 2 rows, 5, 9: the row has 3 fields, but the header has 2: put a field that contains ',' in quotes\n" +
				"list.csv:10: the field note has 4097 bytes: shorten it to at most 4096", 3},
		"csv with many rows of one mistake": {
			"phone,note\n" + strings.Repeat("0712345678,a,b\n", 500) + "0712345678,ok\n",
			"list.csv: 500 rows, first 2, 3, 4: the row has 3 fields, but the header has 2: put a field that contains ',' in quotes", 1},
		"csv with a mistake that ends the reading": {
			"phone,note\n0712345678,a,b\n0712345678,ok\n0712345678,\"a\"b\n0712345678,never read\n",
			"list.csv:2: the row has 3 fields, but the header has 2: put a field that contains ',' in quotes\n" +
				"list.csv:4: there is text after the quote (\") that closes a field: write a field that holds quotes as \"say \"\"hello\"\"\"", 1},
		"csv in two encodings": {
			"phone,note\n0712345678,Ren\u00e9\n0712345678,Ren\xe9\n0712345678,ok\n0712345678,Ren\xe9\n",
			"list.csv: 2 rows, 3, 5: the field note is not valid UTF-8, but the encoding of the file is UTF-8 (since line 2): save the list as CSV UTF-8, or set its encoding with --encoding", 2},
		"json lines": {
			`{"phone":"0712345678","note":"a"}` + "\n\n" + `{"phone":"0712345678","note":["a"]}` + "\n" + `{"phone":"0712345678","note":"a","Note":"b"}` + "\n" +
				`{"phone":"0712345678","note":"b"}` + "\n" + `{"phone":{},"note":"b"}` + "\n" + `{"phone":"0712345678","note":["a"]}` + "\n",
			"list.csv: 2 rows, 3, 7: \"note\" must be a string or a number\n" +
				"list.csv:4: the object has two members of one name, \"note\" and \"Note\": remove one\n" +
				"list.csv:6: \"phone\" must be a string or a number", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			format := Auto
			if strings.HasPrefix(name, "json") {
				format = JSONL
			}
			l := New(strings.NewReader(tt.text), int64(len(tt.text)), Options{Name: "list.csv", Format: format, Fields: []string{"note"}})
			rows := 0
			var got error
			for r, err := range l.All() {
				if got = err; err == nil {
					rows++
					if r.Line != l.Line() || r.Line == 0 {
						t.Errorf("recipient %d has line %d, want %d", rows, r.Line, l.Line())
					}
				}
			}
			if _, ok := errors.AsType[*Error](got); !ok || rows != tt.rows {
				t.Fatalf("read %d rows and %v, want %d rows and an Error", rows, got, tt.rows)
			}
			if diff := cmp.Diff(tt.want, got.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A row may have several mistakes. One error reports all of them.
func TestList_AllMistakesOfARow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxField+1)
	for name, tt := range map[string]struct{ file, text, want string }{
		"CSV": {"f.csv", "phone,a,b\n1,\xe9," + long + "\n2,Z\xe9,y\n3,\x81," + long + "\n",
			"f.csv: 2 rows, 2, 4: the field b has 4097 bytes: shorten it to at most 4096\n" +
				"f.csv:4: the field a has a byte that is not valid in Windows-1252 (since line 2): save the list as CSV UTF-8, or set its encoding with --encoding"},
		"JSON": {"f.jsonl", `{"phone":{},"a":[],"b":"x"}` + "\n" + `{"phone":"1","a":[],"b":{}}` + "\n",
			"f.jsonl:1: \"phone\" must be a string or a number\n" +
				"f.jsonl: 2 rows, 1, 2: \"a\" must be a string or a number\n" +
				"f.jsonl:2: \"b\" must be a string or a number"},
	} {
		_, _, err := readAll(inBytes([]byte(tt.text), Options{Name: tt.file, Fields: []string{"a", "b"}}))
		if err == nil {
			t.Fatalf("%s: no error; want all mistakes", name)
		}
		if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The list has more different mistakes than an error names. The error must end with a line that
// counts the further mistakes.
func TestList_MistakesAreBounded(t *testing.T) {
	t.Parallel()
	text := "phone,note\n"
	for i := range 50 {
		text += "0712345678,a" + strings.Repeat(",b", i+1) + "\n"
	}
	_, _, err := readAll(inBytes([]byte(text), Options{Name: "list.csv"}))
	if err == nil {
		t.Fatal("no error, want one")
	}
	lines := strings.Split(err.Error(), "\n")
	if want := fmt.Sprintf("list.csv has further mistakes in %d rows", 50-maxMistakes); len(lines) != maxMistakes+1 || lines[maxMistakes] != want {
		t.Errorf("%d lines, the last %q; want %d, the last %q", len(lines), lines[len(lines)-1], maxMistakes+1, want)
	}
}
