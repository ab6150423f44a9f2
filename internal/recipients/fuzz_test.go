package recipients

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// readListOrError reads a whole list and returns the number of its rows. It fails the test if the
// list ends with an error that is not an *Error, or if the list has neither rows nor an error.
func readListOrError(t *testing.T, l *List) (rows int) {
	t.Helper()
	var last error
	for _, err := range l.All() {
		if last != nil {
			t.Fatal("All yielded a value after an error")
		}
		if last = err; err == nil {
			rows++
		}
	}
	if _, ok := errors.AsType[*Error](last); last != nil && !ok {
		t.Fatalf("error %v is a %T; want *Error", last, last)
	}
	if rows == 0 && last == nil {
		t.Fatal("All yielded no recipients and no error; want one of them")
	}
	return rows
}

func FuzzWorkbookParts(f *testing.F) {
	f.Add(`<row r="1"><c r="A1" t="s"><v>0</v></c><c t="inlineStr"><is><t>name</t></is></c></row><row><c><v>254712345678</v></c><c s="1"><v>45991</v></c></row>`,
		`<si><t>phone</t></si>`, `<numFmts><numFmt numFmtId="170" formatCode="yyyy"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs>`)
	f.Add(`<row><c><v>712345678</v></c></row>`, `<si><r><t>a</t></r><rPh><t>b</t></rPh></si>`, ``)
	f.Add(`<row r="9999999"/>`, `<si>`, `<cellXfs><xf numFmtId="99999999999999999999"/>`)
	f.Fuzz(func(t *testing.T, rows, shared, styles string) {
		text := func(s string) func(io.Writer) {
			return func(w io.Writer) { _, _ = io.WriteString(w, "<x>"+s+"</x>") } // writes to a Buffer do not fail
		}
		file := partsOf(t, map[string]func(io.Writer){"xl/sheet.xml": text(rows), "xl/texts.xml": text(shared), "xl/styles.xml": text(styles)})
		for _, fields := range [][]string{nil, {"name"}} {
			if n := readListOrError(t, inBytes(file, Options{Name: "f", Fields: fields})); n > strings.Count(rows, "row") {
				t.Fatalf("got %d recipients; want at most %d, the number of rows", n, strings.Count(rows, "row"))
			}
		}
	})
}

func FuzzWorkbookFile(f *testing.F) {
	f.Add(workbookOf(f, func(x *excelize.File) { fillRows(f, x, "Sheet1", []any{"phone", "name"}, []any{254712345678, "A"}) }))
	f.Add(sheetOf(f, repeated(sheetHead, "<row><c><v>1</v></c></row>", "", 3)))
	f.Fuzz(func(t *testing.T, file []byte) {
		readListOrError(t, inBytes(file, Options{Name: "f.xlsx", Fields: []string{"name"}}))
	})
}

func FuzzWorkbookWrittenByExcelize(f *testing.F) {
	f.Add("0712345678", "Wanjirũ <&> \"x\"", int64(254712345678))
	f.Add("", " ", int64(-1))
	f.Fuzz(func(t *testing.T, number, name string, other int64) {
		// The test skips text that a workbook stores in another form. Excel writes a character that XML
		// forbids as _xHHHH_. A line end may be read back as another line end.
		bad := func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == 0xfffe || r == 0xffff }
		if !utf8.ValidString(number+"|"+name) || strings.ContainsFunc(number+name, bad) || strings.Contains(number+name, "_x") ||
			len(name) > MaxField || len(number) > MaxField || other >= 1e15 || other <= -1e15 {
			return
		}
		file := workbookOf(t, func(x *excelize.File) {
			fillRows(t, x, "Sheet1", []any{"Phone", "Name"}, []any{number, name}, []any{other, "x"})
		})
		got, _, err := readAll(inBytes(file, Options{Name: "f", Fields: []string{"name"}}))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(number+name) != "" {
			if want := number + "|" + strings.TrimSpace(name); got[0] != want {
				t.Fatalf("got %q, want %q", got[0], want)
			}
			got = got[1:]
		}
		if want, _ := json.Marshal(other); len(got) != 1 || got[0] != string(want)+"|x" {
			t.Fatalf("got %q, want %s", got, want)
		}
	})
}

func FuzzJSONL(f *testing.F) {
	f.Add(`{"phone":1}`+"\n"+`{"phone":"2","x":{}}`, "1", 1.5)
	f.Add("{\"to\":1e5}\n\n[]", "0712", 2e300)
	f.Fuzz(func(t *testing.T, text, number string, other float64) {
		o := Options{Name: "f.jsonl", Format: JSONL}
		if n := readListOrError(t, listOf(text, o)); n > strings.Count(text, "\n")+1 {
			t.Fatalf("got %d recipients; want at most %d, the number of lines", n, strings.Count(text, "\n")+1)
		}
		line, err := json.Marshal(map[string]any{"Phone": number, "First name": other})
		if err != nil || !utf8.ValidString(number) || strings.Contains(number, "\x00") || len(line) >= MaxLine {
			return
		}
		o.Fields = []string{"firstname"}
		got, _, err := readAll(inBytes(append(bytes.Clone(line), '\n'), o))
		if err != nil || len(got) != 1 {
			t.Fatalf("got %q, error %v; want one recipient", got, err)
		}
		back, value, _ := strings.Cut(got[0], "|")
		if strings.Contains(number, "|") {
			return
		}
		var same float64
		if err := json.Unmarshal([]byte(value), &same); err != nil || back != number || same != other {
			t.Fatalf("got %q from %s, error %v; want the number and name of the line", got, line, err)
		}
	})
}
