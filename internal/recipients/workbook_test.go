package recipients

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// workbookOf returns a workbook that excelize has written.
func workbookOf(t testing.TB, fill func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	fill(f)
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func fillRows(t testing.TB, f *excelize.File, sheet string, rows ...[]any) {
	t.Helper()
	for i, row := range rows {
		if err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
}

func inBytes(b []byte, o Options) *List { return New(bytes.NewReader(b), int64(len(b)), o) }

// readAll reads a list. It returns each recipient as "number|field|field", and the place
// of each recipient.
func readAll(l *List) (out, where []string, err error) {
	for r, err := range l.All() {
		if err != nil {
			return out, where, err
		}
		parts := []string{r.Number}
		for _, key := range l.o.Fields {
			parts = append(parts, r.Fields[key])
		}
		out, where = append(out, strings.Join(parts, "|")), append(where, l.Where())
	}
	return out, where, nil
}

func TestWorkbook(t *testing.T) {
	t.Parallel()
	file := workbookOf(t, func(f *excelize.File) {
		fillRows(t, f, "Sheet1",
			[]any{"Name", "Phone Number", "Due", "Amount", "Paid"},
			[]any{"Wanjirũ", 254712345678, time.Date(2025, 11, 30, 0, 0, 0, 0, time.UTC), 1500.5, true},
			[]any{" Ọláníyì & <Söhne> ", "+254 712 345 679", time.Date(2025, 11, 30, 14, 5, 0, 0, time.UTC), 19.99, false},
			[]any{nil, nil, nil, nil, nil},
			[]any{"", 0.1 + 0.2, nil, 1e15, ""},
			[]any{"no number"},
		)
		if err := f.SetCellRichText("Sheet1", "A7", []excelize.RichTextRun{{Text: "A"}, {Text: "da", Font: &excelize.Font{Bold: true}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.NewSheet("Other"); err != nil {
			t.Fatal(err)
		}
		fillRows(t, f, "Other", []any{712345678}, []any{"0712 345 679"})
	})
	got, where, err := readAll(inBytes(file, Options{Name: "list.xlsx", Fields: []string{"name", "due", "amount", "paid"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"254712345678|Wanjirũ|30/11/2025|1500.5|TRUE",
		"+254 712 345 679|Ọláníyì & <Söhne>|30/11/2025 14:05|19.99|FALSE",
		"0.3|||1000000000000000|",
		"|no number|||",
		"|Ada|||",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if where[0] != `list.xlsx, sheet "Sheet1", row 2` || where[2] != `list.xlsx, sheet "Sheet1", row 5` {
		t.Error(where)
	}
	got, _, err = readAll(inBytes(file, Options{Name: "list", Sheet: "other"}))
	if diff := cmp.Diff([]string{"712345678", "0712 345 679"}, got); err != nil || diff != "" {
		t.Errorf("recipients: error %v %s", err, diff)
	}
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"no such sheet":  {Options{Sheet: "Others"}, ` has no sheet "Others": choose one of ["Sheet1" "Other"]`},
		"no such column": {Options{Column: "fax"}, `, sheet "Sheet1", row 1: the header has no column "fax"; it has "Name", "Phone Number"`},
		"no such field":  {Options{Fields: []string{"town"}}, `, sheet "Sheet1", row 1: the text has {{town}}, but the header has no column of that name`},
		"as CSV":         {Options{Format: CSV}, " is a workbook: omit --format"},
	} {
		tt.o.Name = "list.xlsx"
		if _, _, err := readAll(inBytes(file, tt.o)); err == nil || !strings.HasPrefix(err.Error(), "list.xlsx"+tt.want) {
			t.Errorf("%s: error = %v; want list.xlsx%s…", name, err, tt.want)
		}
	}
}

func TestWorkbook_CountsHiddenRows(t *testing.T) {
	t.Parallel()
	file := workbookOf(t, func(f *excelize.File) {
		fillRows(t, f, "Sheet1", []any{"phone"}, []any{1}, []any{2}, []any{3}, []any{4})
		for _, row := range []int{1, 3, 5} {
			if err := f.SetRowVisible("Sheet1", row, false); err != nil {
				t.Fatal(err)
			}
		}
	})
	l := inBytes(file, Options{Name: "list.xlsx"})
	for range 2 {
		if got, _, err := readAll(l); err != nil || len(got) != 4 || l.Hidden() != 2 {
			t.Errorf("got %q, error %v, %d hidden; want 2 hidden, without the header", got, err, l.Hidden())
		}
	}
}

// The stream writer of excelize stores texts in the cells, not in the shared strings. The reader
// must also find these texts.
func TestWorkbook_ReadsStreamedCells(t *testing.T) {
	t.Parallel()
	const rows = 3000
	file := workbookOf(t, func(f *excelize.File) {
		w, err := f.NewStreamWriter("Sheet1")
		if err != nil {
			t.Fatal(err)
		}
		_ = w.SetRow("A1", []any{"name", "mobile"}) // Flush returns the error
		for i := range rows {
			_ = w.SetRow(fmt.Sprintf("A%d", i+2), []any{fmt.Sprintf("N%d", i), fmt.Sprintf("07%08d", i)})
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	got, _, err := readAll(inBytes(file, Options{Name: "f", Fields: []string{"name"}}))
	if err != nil || len(got) != rows || got[rows-1] != "0700002999|N2999" {
		t.Errorf("error %v, %d rows, last row %v; want every row", err, len(got), got[max(0, len(got)-1):])
	}
}

func TestWorkbook_ReadsMoreTextThanFitsIntoMemory(t *testing.T) {
	t.Parallel()
	const rows = 3000
	long := strings.Repeat("x", 2000)
	file := workbookOf(t, func(f *excelize.File) {
		fillRows(t, f, "Sheet1", []any{"phone", "name"})
		for i := range rows {
			row := []any{fmt.Sprintf("07%08d", i), fmt.Sprintf("%d-%s", i, long)}
			if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", 2+(i*997)%rows), &row); err != nil {
				t.Fatal(err)
			}
		}
	})
	got, _, err := readAll(inBytes(file, Options{Name: "f", Fields: []string{"name"}}))
	if err != nil || len(got) != rows {
		t.Fatalf("error %v, %d rows; want all rows", err, len(got))
	}
	for i := range rows {
		if want := fmt.Sprintf("07%08d|%d-%s", i, i, long); got[(i*997)%rows] != want {
			t.Fatalf("row %d is %.40s; want another number and text", i, got[i])
		}
	}
}

func TestWrittenNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]string{
		{"254712345678", "n"}: "254712345678", {"2.54712345678e11", "n"}: "254712345678", {"2.54712E+11", "n"}: "2.54712E+11",
		{"254712345678.0", "n"}: "254712345678", {"2.54712E+11", ""}: "254712000000", {"0.50", ""}: "0.50", {"1.5e-3", ""}: "0.0015",
		{"-12e0", ""}: "-12", {"1e999999999", ""}: "1e999999999", {"12345678901234567890123", "n"}: "12345678901234567890123", {"0", "n"}: "0", {"-0.0", ""}: "-0",
	} {
		if got := written(in[0], in[1] == "n"); got != want {
			t.Errorf("written(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestJSONL_ReadsObjectsAndNamesMistakes(t *testing.T) {
	t.Parallel()
	text := `{"Name": "Jané", "phone": 254712345678, "n": 1.50}

{"phone": "0712 345 679", "name": null, "extra": {"a": [1]}}
{"PHONE":254712345680.0,"Name":"B"}
{"Name":"C"}
`
	got, where, err := readAll(listOf(text, Options{Name: "list.jsonl", Fields: []string{"name", "n"}}))
	if diff := cmp.Diff([]string{"254712345678|Jané|1.50", "0712 345 679||", "254712345680|B|", "|C|"}, got); err != nil || diff != "" {
		t.Errorf("recipients: error %v %s", err, diff)
	}
	if diff := cmp.Diff([]string{"list.jsonl:1", "list.jsonl:3", "list.jsonl:4", "list.jsonl:5"}, where); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"no number":        {`{"name":"A"}`, `list.jsonl:1: no column of numbers: the first object must have a column msisdn`},
		"two numbers":      {`{"phone":1,"mobile":2}`, `list.jsonl:1: the first object has two columns of numbers, mobile and phone`},
		"not an object":    {"{\"phone\":1}\n[1]\n", `list.jsonl:2: the line is not a JSON object: write one object per line`},
		"broken":           {"{\"phone\":1}\n{\"phone\":\n", `list.jsonl:2: the line is not a JSON object: unexpected end of JSON input`},
		"over many lines":  {"{\n\"phone\":1}\n", `list.jsonl:1: the line is not a JSON object: unexpected end of JSON input; an object must be on one line`},
		"an array":         {"[{\"phone\":1}]", `list.jsonl is one JSON array`},
		"a nested number":  {`{"phone":{"n":1}}`, `list.jsonl:1: "phone" must be a string or a number`},
		"not UTF-8":        {"{\"phone\":1}\n{\"phone\":\"\xff\"}", `list.jsonl:2: the line is not valid UTF-8`},
		"an unknown field": {`{"phone":1}`, `list.jsonl:1: the text has {{town}}, but the first object has no column of that name; it has "phone"`},
		"no object at all": {"\n\n", `list.jsonl is empty`},
	} {
		o := Options{Name: "list.jsonl"}
		if name == "an unknown field" {
			o.Fields = []string{"town"}
		}
		if _, _, err := readAll(listOf(tt.text, o)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error = %v; want %s…", name, err, tt.want)
		}
	}
}

func TestEncodingAndFormatAreDetected(t *testing.T) {
	t.Parallel()
	u16 := func(s string, big, mark bool) string {
		b := []byte(inUTF16(s))
		if !mark {
			b = b[2:]
		}
		for i := 0; big && i+1 < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
		return string(b)
	}
	const table = "phone,name\n0712345678,Ọlá Müller\n"
	const western = "phone;name\n07\xa0123;Ren\xe9e \x80\n1;plain\n"
	for name, tt := range map[string]struct {
		o    Options
		text string
		want string
	}{
		"UTF-8":                         {Options{}, table, "0712345678|Ọlá Müller"},
		"UTF-8 with a mark":             {Options{}, "\xef\xbb\xbf" + table, "0712345678|Ọlá Müller"},
		"UTF-16LE with a mark":          {Options{}, u16(table, false, true), "0712345678|Ọlá Müller"},
		"UTF-16BE with a mark":          {Options{}, u16(table, true, true), "0712345678|Ọlá Müller"},
		"UTF-16LE":                      {Options{}, u16(table, false, false), "0712345678|Ọlá Müller"},
		"UTF-16BE":                      {Options{}, u16(table, true, false), "0712345678|Ọlá Müller"},
		"UTF-16BE, asked for":           {Options{Encoding: "UTF-16BE"}, u16(table, true, false), "0712345678|Ọlá Müller"},
		"Windows-1252":                  {Options{}, western, "07\u00a0123|Renée € 1|plain"},
		"Windows-1252, asked for":       {Options{Encoding: "latin1"}, western, "07\u00a0123|Renée € 1|plain"},
		"UTF-8 taken for Windows-1252":  {Options{Encoding: "windows-1252"}, "phone,name\n1,é\n", "1|Ã©"},
		"JSON lines by content":         {Options{Name: "f.txt"}, `{"phone":"1","name":"x"}`, "1|x"},
		"JSON lines in UTF-16":          {Options{}, u16(`{"phone":"1","name":"x"}`, false, false), "1|x"},
		"a header that looks like JSON": {Options{Name: "f.csv"}, "{x},phone,name\n1,2,3\n", "2|3"},
	} {
		tt.o.Fields = []string{"name"}
		got, _, err := readAll(listOf(tt.text, tt.o))
		if strings.Join(got, " ") != tt.want || err != nil {
			t.Errorf("%s: got %q, error %v; want %q", name, got, err, tt.want)
		}
	}
}

func TestEncodingsAndFormatsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o          Options
		text, want string
	}{
		"Windows-1252 in UTF-8":     {Options{}, "phone,name\n1,é\n2,Ren\xe9e\n", "f:3: the field name is not valid UTF-8, but the encoding of the file is UTF-8 (since line 2)"},
		"UTF-8 in Windows-1252":     {Options{}, "phone,name\n2,Ren\xe9e\n1,é\n", "f:3: the field name is UTF-8, but the encoding of the file is Windows-1252 (since line 2)"},
		"not UTF-8 as asked for":    {Options{Encoding: "utf-8"}, "phone,name\n2,Ren\xe9e\n", "f:2: the field name is not valid UTF-8"},
		"no letter of Windows-1252": {Options{}, "phone,name\n2,\x81\n", "f:2: the field name has a byte that is not valid in Windows-1252"},
		"another mark":              {Options{Encoding: "windows-1252"}, "\xef\xbb\xbfphone\n", "f is in utf-8 according to its byte order mark"},
		"an unknown encoding":       {Options{Encoding: "ebcdic"}, "phone\n", "--encoding: must be one of utf-8, "},
		"an unknown format":         {Options{Format: "ods"}, "phone\n", "--format: must be csv, "},
		"a sheet of a CSV":          {Options{Sheet: "x"}, "phone\n", "f is not a workbook, so it has no sheets"},
		"a CSV as workbook":         {Options{Format: XLSX}, "phone\n", "f is not a workbook (.xlsx)"},
		"an old workbook":           {Options{}, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "f is an old Excel workbook"},
		"a web page":                {Options{}, "<!DOCTYPE html>", "f is a web page"},
		"UTF-32":                    {Options{}, "\xff\xfe\x00\x00p\x00\x00\x00", "f is in UTF-32"},
		"zeros":                     {Options{}, strings.Repeat("\x00", 9000), "f is not a text file"},
		"a plain list with a field": {Options{Format: Plain}, "0712345678\n", "f:1: a plain list of numbers has no column \"name\""},
	} {
		tt.o.Name, tt.o.Fields = "f", []string{"name"}
		if _, _, err := readAll(listOf(tt.text, tt.o)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error = %v; want %s…", name, err, tt.want)
		}
	}
}

func TestList_PlainFormatHasNoHeader(t *testing.T) {
	t.Parallel()
	got, _, err := readAll(listOf("phone\n1\n", Options{Format: Plain}))
	if diff := cmp.Diff([]string{"phone", "1"}, got); err != nil || diff != "" {
		t.Errorf("columns: error %v %s", err, diff)
	}
}

func TestMergeFields_MapIsReused(t *testing.T) {
	t.Parallel()
	l := listOf("phone,name\n1,A\n2,B\n", Options{Fields: []string{"name"}})
	var first map[string]string
	for r, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r.Fields
		}
	}
	if !maps.Equal(first, map[string]string{"name": "B"}) {
		t.Errorf("the first recipient's Fields are %v after the last recipient; want name B, because the map is reused", first)
	}
}

// A formula that was never computed is an error only in a column that is read.
func TestWorkbook_FormulaNeverComputedInAnotherColumn(t *testing.T) {
	t.Parallel()
	file := sheetOf(t, repeated(`<worksheet><sheetData><row><c t="str"><v>phone</v></c><c><f>TODAY()</f></c><c t="str"><v>name</v></c><c t="str"><v>due</v></c></row>`,
		`<row><c><v>254712345678</v></c><c><f>1+1</f></c><c t="str"><v>Ada</v></c><c><f>1+1</f></c></row>`, `</sheetData></worksheet>`, 2))
	got, _, err := readAll(inBytes(file, Options{Name: "f.xlsx", Fields: []string{"name"}}))
	if diff := cmp.Diff([]string{"254712345678|Ada", "254712345678|Ada"}, got); err != nil || diff != "" {
		t.Errorf("error %v %s", err, diff)
	}
	_, _, err = readAll(inBytes(file, Options{Name: "f.xlsx", Fields: []string{"due"}}))
	if err == nil || !strings.Contains(err.Error(), `f.xlsx, sheet "S": 2 rows, 2, 3: the formula in column D was never computed`) {
		t.Errorf("error %v; want one that names column D of the rows 2 and 3", err)
	}
	// A list without a header begins with a number. The formula of the number in this first row was
	// never computed.
	file = sheetOf(t, repeated(`<worksheet><sheetData>`, `<row><c r="C1"><f>254712345678</f></c></row>`, `</sheetData></worksheet>`, 2))
	_, _, err = readAll(inBytes(file, Options{Name: "f.xlsx"}))
	if err == nil || !strings.Contains(err.Error(), "row 1: the formula in column C was never computed") {
		t.Errorf("error %v; want one that names column C of row 1", err)
	}
}
