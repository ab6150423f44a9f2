package recipients

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// listOf returns a List of the given text.
func listOf(text string, o Options) *List { return New(strings.NewReader(text), int64(len(text)), o) }

// numbersIn reads a list until its end or its error, and returns the numbers.
func numbersIn(text, column string) (numbers []string, err error) {
	for r, err := range listOf(text, Options{Name: "list.csv", Column: column}).All() {
		if err != nil {
			return numbers, err
		}
		numbers = append(numbers, r.Number)
	}
	return numbers, nil
}

func inUTF16(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestList_ReadsEveryKindOfText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"bare":                                    {"0712345678\n254712345679\n", []string{"0712345678", "254712345679"}},
		"bare as people write":                    {" 0712 345 678\r\n\r\n+254-712-345-679\r\n   \r\nnonsense", []string{" 0712 345 678", "+254-712-345-679", "nonsense"}},
		"bare in quotes":                          {"\"0712345678\"\n\"0712 345 679\"", []string{"0712345678", "0712 345 679"}},
		"bare, the first of them bad":             {"12\n2.5E+11\n", []string{"12", "2.5E+11"}},
		"bare with a byte order mark":             {"\xef\xbb\xbf0712345678", []string{"0712345678"}},
		"only a header and one number":            {"phone\n0712345678", []string{"0712345678"}},
		"comma":                                   {"name,Phone,town\nA,0712345678,X\nB,0712345679,Y\n", []string{"0712345678", "0712345679"}},
		"semicolon":                               {"MSISDN;name\n0712345678;a,b\n", []string{"0712345678"}},
		"tab":                                     {"name\tTo\nA\t0712345678\n", []string{"0712345678"}},
		"byte order mark":                         {"\xef\xbb\xbfmobile,x\n1,2\n", []string{"1"}},
		"byte order mark and quotes":              {"\xef\xbb\xbf\"Number\",x\n\"1\",2\n", []string{"1"}},
		"UTF-16":                                  {inUTF16("name\tphone\nÒlá\t0712345678\n"), []string{"0712345678"}},
		"quotes":                                  {"name,phone\n\"Doe, \"\"J\"\"\n2nd line\",\"0712,345\"\n", []string{"0712,345"}},
		"header with spaces":                      {"name , Phone Number \nA,1\n", []string{"1"}},
		"blank lines before and after":            {"\n \nphone\n\n1\n\n\n2\n\n", []string{"1", "2"}},
		"Excel's separator line":                  {"sep=;\nphone;x\n1;2\n", []string{"1"}},
		"separator line, tab":                     {"sep=\t\nphone\tname\n0712345678\tAmina\n", []string{"0712345678"}},
		"separator line in capitals and quotes":   {"\"SEP=;\"\nphone;x\n1;2\n", []string{"1"}},
		"separator line with separators after it": {"sep=,,,\nphone,name,\n0712345678,Amina,\n", []string{"0712345678"}},
		"separator line, bar":                     {"sep=|\nphone|name\n1|A, B; C\n", []string{"1"}},
		"bar":                                     {"name|phone\nA|1\n", []string{"1"}},
		"header with tabs at its end":             {"Phone\t\t\n0712345678\tAmina\tX\n", []string{"0712345678"}},
		"header with a comma in a name":           {"Name, first;Phone;x\nA;1;2\n", []string{"1"}},
		"digits as a formula":                     {"phone,name\n=\"0712345678\",Amina\n=\"0722345678\",=\"O\"\n", []string{"0712345678", "0722345678"}},
		"a space before a quoted field":           {"name, phone\nA, \"0712345678\"\n\"B\" ,\"0722345678\" \n", []string{"0712345678", "0722345678"}},
		"two carriage returns":                    {"phone,x\r\r\n1,2\r\r\n", []string{"1"}},
		"short and empty rows":                    {"name,phone\nA\nB,\n,,,\nC,1,,\n", []string{"", "", "1"}},
		"windows line ends":                       {"phone,x\r\n1,2\r\n3,4\r\n", []string{"1", "3"}},
		"empty rows of a spreadsheet before it":   {"\n;;\n ; \nphone;x;\n1;2;\n", []string{"1"}},
		"an end of file character of DOS":         {"phone,x\r\n1,2\r\n\x1a", []string{"1"}},
		"no line end at the end":                  {"phone\n1", []string{"1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := numbersIn(tt.text, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestList_ReadsTheNamedColumn(t *testing.T) {
	t.Parallel()
	got, err := numbersIn("phone,Office Line\n1,2\n3,4\n", "office line")
	if diff := cmp.Diff([]string{"2", "4"}, got); err != nil || diff != "" {
		t.Errorf("numbers: error %v %s", err, diff)
	}
	got, err = numbersIn("phone,mobile\n1,2\n", "mobile")
	if diff := cmp.Diff([]string{"2"}, got); err != nil || diff != "" {
		t.Errorf("numbers: error %v %s", err, diff)
	}
	if _, err := numbersIn("phone\n1\n", "fax"); err == nil || !strings.Contains(err.Error(), `list.csv:1: the header has no column "fax"; it has "phone"`) {
		t.Errorf("error %v; want one that says that the header has no column fax", err)
	}
}

func TestList_MistakesNameTheirLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"empty":                 {"", "list.csv is empty: there are no recipients"},
		"blank":                 {" \n\n\t\n", "list.csv is empty"},
		"byte order mark only":  {"\xef\xbb\xbf", "list.csv is empty"},
		"header only":           {"name,phone\n\n", "list.csv has a header but no recipients"},
		"no column of numbers":  {"\nname,town\nA,B\n", `list.csv:2: no column of numbers: the header must have a column msisdn`},
		"no header":             {"254712345678,Jane\n", `the header has "254712345678", "Jane"`},
		"two columns":           {"phone,mobile\n1,2\n", "list.csv:1: the header has two columns of numbers, phone and mobile: choose one with --column"},
		"too many fields":       {"name,phone\nA,1\nDoe, John,1\n", "list.csv:3: the row has 3 fields, but the header has 2"},
		"stray quote":           {"name,phone\nA,1\n\"B\" C,2\n", "list.csv:3: there is text after the quote"},
		"open quote":            {"name,phone\n\"A,1\nB,2\n", "list.csv:2: a quote (\") is not closed"},
		"open quote, long file": {"name,phone\nA,1\n\"B,2\n" + strings.Repeat("C,3\n", 1<<16), "list.csv:3: the record that begins here is longer than"},
		"long line":             {"0712345678\n" + strings.Repeat("1", MaxLine+1), "list.csv:2: the line is longer than"},
		"long header":           {strings.Repeat("phone,", MaxLine), "list.csv:1: the line is longer than"},
		"workbook":              {"PK\x03\x04rest", "list.csv is a damaged workbook"},
		"binary":                {"ab\x00c\n", "list.csv is not a text file"},
		"binary further on":     {"0712345678\n\x00\x01\n", "list.csv:2: the line is not text"},
		"carriage returns":      {"phone\r0712345678\r0712345679\r", "list.csv:1: the lines end with a carriage return only"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := numbersIn(tt.text, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v; want it to contain %s", err, tt.want)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error %v is a %T; want *Error", err, err)
			}
		})
	}
}

// The type "endless" is a file that begins with the text "head", and then repeats the text "line"
// without end. It counts the bytes that are read.
type endless struct {
	head, line string
	read       int64
}

func (e *endless) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		if n := at + int64(i); n < int64(len(e.head)) {
			b[i] = e.head[n]
		} else {
			b[i] = e.line[(n-int64(len(e.head)))%int64(len(e.line))]
		}
	}
	e.read = max(e.read, at+int64(len(b)))
	return len(b), nil
}

const endlessSize = 1 << 40

func TestList_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ head, line string }{
		"open quote":               {"phone\n\"", "0712345678\n"},
		"one line":                 {"", "0"},
		"one line below a header":  {"phone\n", "0"},
		"one line with separators": {"phone\n", "0,"},
	} {
		src := &endless{head: tt.head, line: tt.line}
		// The source has no end, so the loop ends only with an error.
		for _, err := range New(src, endlessSize, Options{Name: name}).All() {
			if err != nil {
				break
			}
		}
		if src.read > 8*MaxLine {
			t.Errorf("%s: read %d bytes before the error; want far fewer", name, src.read)
		}
	}
}

type failingReader struct{ io.ReaderAt }

var errDisk = errors.New("disk error")

func (f failingReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

func TestList_ReadErrorIsReturned(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0712345678\n", "phone,x\n1,2\n", "phone,x\n\"1"} {
		var last error
		for _, err := range New(failingReader{strings.NewReader(text)}, int64(len(text))+1, Options{Name: "list.csv"}).All() {
			last = err
		}
		if _, wrong := errors.AsType[*Error](last); !errors.Is(last, errDisk) || wrong {
			t.Errorf("the last error of %q is %v; want errDisk", text, last)
		}
	}
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{"phone\n1\n", "0712345678\n", "a;to\n\"x\n\";1\n", "\xff\xfep\x00", "sep=,\nto,\n1", "phone,mobile\n", "phone\r1\r"} {
		f.Add(seed, "")
	}
	f.Add("a,b\n1,2\n", "b")
	f.Add("{\"to\":1}\n\n{\"to\":\"x\"}", "")
	f.Add("p\x00\n\x00"+inUTF16("to\n1\n"), "")
	f.Add(inUTF16("to;b\n\"1\n2\";3\n")[2:], "")
	f.Add("phone;n\n1;Ren\xe9\n", "phone")
	f.Fuzz(func(t *testing.T, text, column string) {
		var rows, failed int
		for r, err := range listOf(text, Options{Name: "f", Column: column}).All() {
			if failed > 0 {
				t.Fatal("All yielded a value after an error")
			}
			if err != nil {
				failed++
				if _, ok := errors.AsType[*Error](err); !ok || r.Number != "" {
					t.Fatalf("All yielded the error %v with the number %q; want none", err, r.Number)
				}
				continue
			}
			rows++
		}
		if most := strings.Count(text, "\n") + 1; rows > most && !strings.HasPrefix(text, "\x1f\x8b") && !strings.HasPrefix(text, "PK") {
			t.Fatalf("got %d rows; want at most %d, the number of lines", rows, most)
		}
		if rows == 0 && failed == 0 {
			t.Fatal("All yielded no recipients and no error; want one of them")
		}
		// The caller may stop after any recipient.
		for _, err := range listOf(text, Options{Name: "f", Column: column}).All() {
			_ = err
			break
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	var list bytes.Buffer
	list.WriteString("name,phone\n")
	for i := range 100_000 {
		fmt.Fprintf(&list, "Jane Doe,07%08d\n", i)
	}
	b.SetBytes(int64(list.Len()))
	for b.Loop() {
		for _, err := range New(bytes.NewReader(list.Bytes()), int64(list.Len()), Options{Name: "list"}).All() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// moreReturns matches the carriage returns before a line end. The type "records" ignores all of
// these, but encoding/csv ignores only one, so the test removes them from the text for
// encoding/csv.
var moreReturns = regexp.MustCompile(`\r+(\n|$)`)

// onlyOursReads matches a quoted field that encoding/csv rejects, but that the type "records" can
// read.
var onlyOursReads = regexp.MustCompile(`[ =]"|" `)

// compareWithEncodingCSV reads a text with the type "records" and with encoding/csv, and compares
// the results.
func compareWithEncodingCSV(t *testing.T, text string, comma byte) {
	t.Helper()
	theirs := csv.NewReader(strings.NewReader(moreReturns.ReplaceAllString(text, "$1")))
	theirs.Comma, theirs.FieldsPerRecord, theirs.ReuseRecord = rune(comma), -1, true
	ours := &records{lines: newLines(strings.NewReader(text)), comma: comma}
	for n := 1; ; n++ {
		want, wrong := theirs.Read()
		got, err := ours.next()
		if wrong != nil && err == nil && onlyOursReads.MatchString(text) {
			return
		}
		if (wrong == nil) != (err == nil) || errors.Is(wrong, io.EOF) != errors.Is(err, io.EOF) {
			t.Fatalf("record %d: error %v; encoding/csv returns %v", n, err, wrong)
		}
		if err != nil {
			return
		}
		if line, _ := theirs.FieldPos(0); line != ours.line {
			t.Fatalf("record %d: line %d; encoding/csv returns %d", n, ours.line, line)
		}
		if !slices.EqualFunc(got, want, func(a []byte, b string) bool { return string(a) == b }) {
			t.Fatalf("record %d: %q; encoding/csv returns %q", n, got, want)
		}
	}
}

func FuzzCSVEqualsEncodingCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\"a\",\"b\n\r\nc\"\r\n", "a\"b,c\n", "\"a\"b\n", "\"a\"\"\",\n\n,\n", "\"a\n", "a\r", "\r\r\n\r", "\"", "\"\"\r", "a,\"\r"} {
		f.Add(seed, byte(','))
	}
	f.Add("a;\"b;\";c", byte(';'))
	f.Fuzz(func(t *testing.T, text string, comma byte) {
		if comma != ',' && comma != ';' && comma != '\t' || len(text) >= MaxLine || strings.ContainsAny(text, "\x00\x1a") {
			return // the type "records" rejects zero bytes and ends at a Ctrl-Z of DOS; encoding/csv reads both as text
		}
		compareWithEncodingCSV(t, text, comma)
	})
}

func FuzzCSVWrittenByEncodingCSV(f *testing.F) {
	f.Add("0712345678", "Jane", "=1+1", false)
	f.Add(" \"07\"\n", "a,b;c", "\r\n", true)
	f.Fuzz(func(t *testing.T, a, b, c string, crlf bool) {
		if len(a)+len(b)+len(c) > MaxLine/4 || !utf8.ValidString(a+"|"+b+"|"+c) || strings.ContainsAny(a+b+c, "\x00\x1a") || strings.Contains(a+b+c, "\r\r") {
			return
		}
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		w.UseCRLF = crlf
		rows := [][]string{{a, b, c}, {b, a, c}, {c, c, c}}
		_ = w.Write([]string{"phone", "First Name", "x"})
		_ = w.WriteAll(rows) // writes to a Buffer do not fail
		var want, got []string
		theirs := csv.NewReader(bytes.NewReader(text.Bytes()))
		_, _ = theirs.Read() // the header
		for {
			row, err := theirs.Read()
			if err != nil {
				break
			}
			if strings.TrimSpace(row[0]+row[1]+row[2]) != "" {
				want = append(want, row[0], strings.TrimSpace(row[1]))
			}
		}
		l := listOf(text.String(), Options{Name: "f", Fields: []string{"firstname"}})
		for r, err := range l.All() {
			switch {
			case err == nil:
				got = append(got, r.Number, r.Fields["firstname"])
			case len(want) > 0 && len(b) <= MaxField && len(a) <= MaxField && len(c) <= MaxField:
				t.Fatal(err)
			default:
				return
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMergeFields(t *testing.T) {
	t.Parallel()
	l := listOf("First name;Phone;amount\n Jane ;1;5\n;2\n", Options{Name: "list.csv", Fields: []string{"firstname", "amount"}})
	var got []map[string]string
	var where []string
	for r, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		got, where = append(got, maps.Clone(r.Fields)), append(where, l.Where())
	}
	want := []map[string]string{{"firstname": "Jane", "amount": "5"}, {"firstname": "", "amount": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"list.csv:2", "list.csv:3"}, where); diff != "" {
		t.Error(diff)
	}
}

func TestMergeFields_MissingColumnIsAMistake(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"unknown":       {"Name,Phone\nA,1\n", `list.csv:1: the text has {{town}}, but the header has no column of that name; it has "Name", "Phone"`},
		"twice":         {"Town,Phone,town\nA,1,B\n", `list.csv:1: the header has two columns for {{town}}`},
		"plain list":    {"0712345678\n", `list.csv:1: a plain list of numbers has no column "town"`},
		"much too long": {"town,phone\nA,1\n" + strings.Repeat("x", MaxField+1) + ",2\n", "list.csv:3: the field town has 4097 bytes"},
	} {
		var last error
		for _, err := range listOf(tt.text, Options{Name: "list.csv", Fields: []string{"town"}}).All() {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), tt.want) {
			t.Errorf("%s: error = %v; want it to contain %s", name, last, tt.want)
		}
	}
}
