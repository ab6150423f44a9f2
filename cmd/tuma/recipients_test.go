package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/producer"
)

// numbersIn reads a list to its end, or its error.
func numbersIn(text, column string) (numbers []string, err error) {
	for r, err := range readRecipients("list.csv", strings.NewReader(text), column) {
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

func TestReadRecipients(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"bare":                         {"0712345678\n254712345679\n", []string{"0712345678", "254712345679"}},
		"bare as people write":         {" 0712 345 678\r\n\r\n+254-712-345-679\r\n   \r\nnonsense", []string{" 0712 345 678", "+254-712-345-679", "nonsense"}},
		"bare in quotes":               {"\"0712345678\"\n\"0712 345 679\"", []string{"0712345678", "0712 345 679"}},
		"bare, the first of them bad":  {"12\n2.5E+11\n", []string{"12", "2.5E+11"}},
		"bare with a byte order mark":  {"\xef\xbb\xbf0712345678", []string{"0712345678"}},
		"only a header and one number": {"phone\n0712345678", []string{"0712345678"}},
		"comma":                        {"name,Phone,town\nA,0712345678,X\nB,0712345679,Y\n", []string{"0712345678", "0712345679"}},
		"semicolon":                    {"MSISDN;name\n0712345678;a,b\n", []string{"0712345678"}},
		"tab":                          {"name\tTo\nA\t0712345678\n", []string{"0712345678"}},
		"byte order mark":              {"\xef\xbb\xbfmobile,x\n1,2\n", []string{"1"}},
		"byte order mark and quotes":   {"\xef\xbb\xbf\"Number\",x\n\"1\",2\n", []string{"1"}},
		"UTF-16":                       {inUTF16("name\tphone\nÒlá\t0712345678\n"), []string{"0712345678"}},
		"quotes":                       {"name,phone\n\"Doe, \"\"J\"\"\n2nd line\",\"0712,345\"\n", []string{"0712,345"}},
		"header with spaces":           {"name , Phone Number \nA,1\n", []string{"1"}},
		"blank lines before and after": {"\n \nphone\n\n1\n\n\n2\n\n", []string{"1", "2"}},
		"Excel's separator line":       {"sep=;\nphone;x\n1;2\n", []string{"1"}},
		"short and empty rows":         {"name,phone\nA\nB,\n,,,\nC,1,,\n", []string{"", "", "1"}},
		"windows line ends":            {"phone,x\r\n1,2\r\n3,4\r\n", []string{"1", "3"}},
		"no line end at the end":       {"phone\n1", []string{"1"}},
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

func TestReadRecipientsByColumn(t *testing.T) {
	t.Parallel()
	got, err := numbersIn("phone,Office Line\n1,2\n3,4\n", "office line")
	if diff := cmp.Diff([]string{"2", "4"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	got, err = numbersIn("phone,mobile\n1,2\n", "mobile")
	if diff := cmp.Diff([]string{"2"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := numbersIn("phone\n1\n", "fax"); err == nil || !strings.Contains(err.Error(), `list.csv:1: the header has no column "fax"; it has "phone"`) {
		t.Errorf("got %v", err)
	}
}

func TestBadRecipientsNameTheirLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"empty":                 {"", "list.csv is empty: there are no recipients"},
		"blank":                 {" \n\n\t\n", "list.csv is empty"},
		"byte order mark only":  {"\xef\xbb\xbf", "list.csv is empty"},
		"header only":           {"name,phone\n\n", "list.csv has a header and no recipients"},
		"no column of numbers":  {"\nname,town\nA,B\n", `list.csv:2: no column of numbers: the header must name one msisdn`},
		"no header":             {"254712345678,Jane\n", `it has "2547****5678", "Jane"`},
		"two columns":           {"phone,mobile\n1,2\n", "list.csv:1: the header has two columns of numbers, phone and mobile: say which with --column"},
		"too many fields":       {"name,phone\nA,1\nDoe, John,1\n", "list.csv:3: the row has 3 fields and the header 2"},
		"stray quote":           {"name,phone\nA,1\n\"B\" C,2\n", "list.csv:3: extraneous"},
		"open quote":            {"name,phone\n\"A,1\nB,2\n", "list.csv:2: extraneous"},
		"open quote, long file": {"name,phone\nA,1\n\"B,2\n" + strings.Repeat("C,3\n", 1<<16), "list.csv:3: from here on a record is longer than"},
		"long line":             {"0712345678\n" + strings.Repeat("1", maxLine+1), "list.csv:2: the line is longer than"},
		"long header":           {strings.Repeat("phone,", maxLine), "list.csv:1: the line is longer than"},
		"workbook":              {"PK\x03\x04rest", "list.csv is a workbook"},
		"binary":                {"ab\x00c\n", "list.csv:1: this is no text"},
		"binary further on":     {"0712345678\n\x00\x01\n", "list.csv:2: this is no text"},
		"carriage returns":      {"phone\r0712345678\r0712345679\r", "list.csv:1: the lines end in a carriage return alone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := numbersIn(tt.text, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			if exitStatus(err) != exitMisuse {
				t.Errorf("exit status %d", exitStatus(err))
			}
			if strings.Contains(err.Error(), "254712345678") {
				t.Errorf("a whole number is in: %v", err)
			}
		})
	}
}

// endless yields a line for ever and counts what was read of it.
type endless struct {
	line, left string
	read       int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left == "" {
		e.left = e.line
	}
	n := copy(b, e.left)
	e.left = e.left[n:]
	e.read += n
	return n, nil
}

func TestWhatIsKeptInMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ head, line string }{
		"open quote":               {"phone\n\"", "0712345678\n"},
		"one line":                 {"", "0"},
		"one line below a header":  {"phone\n", "0"},
		"one line with separators": {"phone\n", "0,"},
	} {
		src := &endless{line: tt.line}
		// An error has to come, for the source has no end.
		for _, err := range readRecipients(name, io.MultiReader(strings.NewReader(tt.head), src), "") {
			if err != nil {
				break
			}
		}
		if src.read > 8*maxLine {
			t.Errorf("%s: %d bytes were read", name, src.read)
		}
	}
}

type failing struct{ after io.Reader }

var errDisk = errors.New("the disk is on fire")

func (f failing) Read(b []byte) (int, error) {
	n, err := f.after.Read(b)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

func TestAReadErrorIsNoEndOfTheList(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0712345678\n", "phone,x\n1,2\n", "phone,x\n\"1"} {
		var last error
		for _, err := range readRecipients("list.csv", failing{strings.NewReader(text)}, "") {
			last = err
		}
		if !errors.Is(last, errDisk) || exitStatus(last) != exitFailed {
			t.Errorf("%q ends in %v", text, last)
		}
	}
}

func TestAListThatChangesWhileItIsReadIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte("0712345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{err: io.Discard}
	src, err := a.openSource(path, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, err := range src.all() {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range src.all() {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "was changed while it was read") {
		t.Errorf("got %v", last)
	}
}

func TestStandardInputIsKeptInAFileThatGoes(t *testing.T) {
	t.Parallel()
	a := &app{in: strings.NewReader("phone\n1\n2\n"), err: io.Discard}
	src, err := a.openSource("-", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var got []producer.Recipient
		for r, err := range src.all() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		if diff := cmp.Diff([]producer.Recipient{{Number: "1"}, {Number: "2"}}, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(src.file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func FuzzReadRecipients(f *testing.F) {
	for _, seed := range []string{"phone\n1\n", "0712345678\n", "a;to\n\"x\n\";1\n", "\xff\xfep\x00", "sep=,\nto,\n1", "phone,mobile\n", "phone\r1\r"} {
		f.Add(seed, "")
	}
	f.Add("a,b\n1,2\n", "b")
	f.Fuzz(func(t *testing.T, text, column string) {
		var rows, failed int
		for r, err := range readRecipients("f", bytes.NewReader([]byte(text)), column) {
			if failed > 0 {
				t.Fatal("something came after an error")
			}
			if err != nil {
				failed++
				if r.Number != "" || exitStatus(err) != exitMisuse {
					t.Fatalf("error %v comes with %q", err, r.Number)
				}
				continue
			}
			rows++
		}
		if rows == 0 && failed == 0 {
			t.Fatal("no recipients, and nobody says so")
		}
		// Stopping early must be possible anywhere.
		for range readRecipients("f", bytes.NewReader([]byte(text)), column) {
			break
		}
	})
}

func BenchmarkReadRecipients(b *testing.B) {
	var list bytes.Buffer
	list.WriteString("name,phone\n")
	for i := range 100_000 {
		fmt.Fprintf(&list, "Jane Doe,07%08d\n", i)
	}
	b.SetBytes(int64(list.Len()))
	for b.Loop() {
		for _, err := range readRecipients("list", bytes.NewReader(list.Bytes()), "") {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
