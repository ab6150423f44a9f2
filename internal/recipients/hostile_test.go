package recipients

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// partsOf returns a workbook with the given parts and the standard parts. Its fast compression
// takes a third of the time of the best compression, which saves seconds under the race detector.
func partsOf(t testing.TB, parts map[string]func(io.Writer)) []byte {
	t.Helper()
	return packed(t, flate.BestSpeed, parts)
}

func packed(t testing.TB, level int, parts map[string]func(io.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) })
	text := func(s string) func(io.Writer) { return func(w io.Writer) { _, _ = io.WriteString(w, s) } }
	all := map[string]func(io.Writer){
		"xl/workbook.xml": text(`<workbook><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>`),
		"xl/_rels/workbook.xml.rels": text(`<Relationships><Relationship Id="r1" Type="x/worksheet" Target="sheet.xml"/>` +
			`<Relationship Id="r2" Type="x/sharedStrings" Target="texts.xml"/><Relationship Id="r3" Type="x/styles" Target="styles.xml"/></Relationships>`),
	}
	for name, write := range parts {
		all[name] = write
	}
	for name, write := range all {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		write(w)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sheetOf(t testing.TB, write func(io.Writer)) []byte {
	return partsOf(t, map[string]func(io.Writer){"xl/sheet.xml": write})
}

// The function "repeated" returns a function that writes the text "head" once, the text "line" n times, and
// the text "tail" once.
func repeated(head, line, tail string, n int) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = io.WriteString(w, head) // writes to a Buffer do not fail
		const step = 1000
		many := []byte(strings.Repeat(line, step))
		for ; n > 0; n -= step {
			_, _ = w.Write(many[:len(line)*min(n, step)])
		}
		_, _ = io.WriteString(w, tail)
	}
}

const sheetHead = `<worksheet><sheetData><row><c t="str"><v>phone</v></c></row>`

// The map "hostile" holds files that an attacker could make to exhaust memory or time. Each entry also has
// a part of the expected error.
var hostile = map[string]struct {
	make func(t testing.TB) (io.ReaderAt, int64)
	want string
}{
	"10 million empty rows":       {inSheet(repeated(sheetHead, "<row/>", "", 10_000_000)), `row 1048577: a sheet may have at most 1048576 rows`},
	"rows that count backwards":   {inSheet(repeated(sheetHead, `<row r="5"/>`, "", 2_000_000)), `row 1048577: a sheet may have at most`},
	"a cell of 40 MB":             {inSheet(repeated(sheetHead+"<row><c><v>", "0123456789", "", 4_000_000)), "row 2: a cell has more than 131072 bytes"},
	"a cell of many pieces":       {inSheet(repeated(sheetHead+"<row><c>", "<v>"+strings.Repeat("7", 1000)+"</v>", "", 100_000)), "row 2: a cell has more than"},
	"a tag of 40 MB":              {inSheet(repeated("<worksheet ", `a="1" `, "", 7_000_000)), "a cell has more than 131072 bytes"},
	"a comment of 40 MB":          {inSheet(repeated("<worksheet><!--", "0123456789", "-->", 4_000_000)), "a cell has more than 131072 bytes"},
	"8 million tags in another":   {bomb("xl/sheet.xml", repeated("<worksheet>", "<a>", "", 8_000_000)), "unpacks to more than 300 times its size"},
	"empty tags for ever":         {bomb("xl/sheet.xml", repeated(sheetHead, "<x/>", "", 6_000_000)), "unpacks to more than 300 times its size"},
	"100,000 columns":             {inSheet(repeated("<worksheet><row>", "<c><v>1</v></c>", "</row>", 100_000)), "row 1: a row may have at most 16384 columns"},
	"one column 100,000 times":    {inSheet(repeated("<worksheet><row>", `<c r="A1"><v>1</v></c>`, "</row>", 100_000)), "row 1: a row may have at most 16384 columns"},
	"column ZZZZZZ":               {inSheet(repeated(`<worksheet><row><c r="ZZZZZZ1"><v>1</v></c>`, "", "", 0)), "row 1: a row may have at most 16384 columns"},
	"a header of 40 MB":           {inSheet(repeated("<worksheet><row>", "<c><v>"+strings.Repeat("7", 60_000)+"</v></c>", "</row>", 700)), "row 1: the row has more than 1048576 bytes"},
	"a header of 1 MB":            {inSheet(repeated("<worksheet><row>", "<c><v>"+strings.Repeat("7", 6_000)+"</v></c>", "</row>", 100)), "row 1: the header is longer than 65536 bytes"},
	"entities of entities":        {inSheet(repeated(`<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>`+sheetHead+"<row><c><v>&b;</v></c></row>", "", "", 0)), "damaged"},
	"a text that is not there":    {inSheet(repeated(sheetHead+`<row><c t="s"><v>7</v></c></row>`, "", "", 0)), "row 2: the workbook is damaged: a cell refers to a text that does not exist"},
	"texts without end":           {bomb("xl/texts.xml", repeated("<sst>", "<si><t>x</t></si>", "", 1_500_000)), "unpacks to more than 300 times its size"},
	"one text of 40 MB":           {inTexts(repeated("<sst><si><t>", "0123456789", "", 4_000_000)), "a cell has more than 131072 bytes"},
	"one text of many runs":       {inTexts(repeated("<sst><si>", "<r><t>0123456789</t></r>", "", 1_000_000)), "a cell has more than 131072 bytes"},
	"many texts, of noise":        {noisyTexts, "has a header but no recipients"},
	"100,000 files in an archive": {crowdedArchive, "it has too many parts"},
	"an archive cut in half":      {halfAWorkbook, "is a damaged workbook"},
	"a quote that never closes":   {endlessly("phone,x\n\"", "0712345678,1\n", 1<<32), ":2: the record that begins here is longer than"},
	"zeros behind a header":       {endlessly("phone,x\n0712345678,1\n"+strings.Repeat("1,2\n", 4000), "\x00", 1<<32), "the line is longer than"},
	"zeros among lines":           {endlessly("phone,x\n0712345678,1\n"+strings.Repeat("1,2\n", 4000), "\x00\n", 1<<32), ":4003: the line is not text"},
	"one line":                    {endlessly("", "1", 1<<32), ":1: the line is longer than"},
	"too many columns":            {endlessly("phone", ",", 60_000), ":1: the header has more than 16384 columns"},
	"a file of 1 TB":              {endlessly("phone\n", "0712345678\n", 1<<40), "has 1024 GB, but a list may have at most 8"},
	"an object of 4 GB":           {endlessly(`{"phone":"1","x":"`, "1", 1<<32), ":1: the line is longer than"},
	"an object in an object":      {endlessly(`{"phone":1,"x":`, `{"x":`, 60_000), "the line is not a JSON object"},
	"a list in a list":            {endlessly(`{"phone":1,"x":`, `[`, 60_000), "the line is not a JSON object"},
	"a bomb of gzip":              {gzipBomb, ":2: the line is longer than"},
	"half of a gzip":              {halfAGzip, "is a damaged gzip file"},
}

func inSheet(write func(io.Writer)) func(testing.TB) (io.ReaderAt, int64) {
	return func(t testing.TB) (io.ReaderAt, int64) {
		b := sheetOf(t, write)
		return bytes.NewReader(b), int64(len(b))
	}
}

// bomb returns a function that makes a workbook whose given part is compressed as much as possible, so that
// a small file unpacks to a large file.
func bomb(part string, write func(io.Writer)) func(testing.TB) (io.ReaderAt, int64) {
	return func(t testing.TB) (io.ReaderAt, int64) {
		parts := map[string]func(io.Writer){"xl/sheet.xml": repeated(sheetHead, "", "", 0)}
		parts[part] = write
		b := packed(t, flate.BestCompression, parts)
		return bytes.NewReader(b), int64(len(b))
	}
}

func inTexts(write func(io.Writer)) func(testing.TB) (io.ReaderAt, int64) {
	return func(t testing.TB) (io.ReaderAt, int64) {
		b := partsOf(t, map[string]func(io.Writer){"xl/sheet.xml": repeated(sheetHead, "", "", 0), "xl/texts.xml": write})
		return bytes.NewReader(b), int64(len(b))
	}
}

func endlessly(head, line string, size int64) func(testing.TB) (io.ReaderAt, int64) {
	return func(testing.TB) (io.ReaderAt, int64) { return &endless{head: head, line: line}, size }
}

// noisyTexts returns a workbook with shared strings of random digits. These strings
// compress badly, so the reader does not refuse the workbook for its compression ratio (xlsx.maxRatio).
// They take more than 4 MiB (xlsx.stringsInMemory), so the reader must move them to a temporary file.
func noisyTexts(t testing.TB) (io.ReaderAt, int64) {
	rng := rand.New(rand.NewPCG(1, 2))
	return inTexts(func(w io.Writer) {
		_, _ = io.WriteString(w, "<sst>") // writes to a Buffer do not fail
		var line []byte
		for range 200_000 {
			line = append(line[:0], "<si><t>"...)
			for range 3 {
				line = strconv.AppendUint(line, rng.Uint64(), 16)
			}
			_, _ = w.Write(append(line, "</t></si>"...))
		}
		_, _ = io.WriteString(w, "</sst>")
	})(t)
}

func crowdedArchive(t testing.TB) (io.ReaderAt, int64) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range 100_000 {
		// The files are stored without compression, because a separate compressor for each
		// file takes over a minute.
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("f%d", i), Method: zip.Store}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out.Bytes()), int64(out.Len())
}

func halfAWorkbook(t testing.TB) (io.ReaderAt, int64) {
	b := sheetOf(t, repeated(sheetHead, "<row><c><v>254712345678</v></c></row>", "</sheetData></worksheet>", 1000))
	return bytes.NewReader(b), int64(len(b) / 2)
}

func gzipBomb(t testing.TB) (io.ReaderAt, int64) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	repeated("phone\n", "0", "", 100_000_000)(z)
	_ = z.Close() // writes to a Buffer do not fail
	return bytes.NewReader(out.Bytes()), int64(out.Len())
}

func halfAGzip(t testing.TB) (io.ReaderAt, int64) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	rng := rand.New(rand.NewPCG(1, 2))
	_, _ = io.WriteString(z, "phone\n")
	for range 10_000 {
		_, _ = fmt.Fprintln(z, rng.Uint64())
	}
	_ = z.Close() // writes to a Buffer do not fail
	return bytes.NewReader(out.Bytes()), int64(out.Len() / 2)
}

// mostMemory is the maximum memory that the reading process may use, in bytes.
const mostMemory = 48 << 20

// The test makes each hostile file, and a separate process reads the file. So the test measures only the
// memory that the reading uses.
func TestRead_HostileFilesGiveAnErrorAndUseLittleMemory(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, size := tt.make(t)
			cmd := exec.Command(self, "-test.run", "^TestRead_OneHostileFileInASeparateProcess$")
			// Without atexit_sleep_ms=0 the race detector makes the process sleep for a second
			// at its end.
			cmd.Env = append(os.Environ(), hostileEnv+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
			if _, ok := src.(*endless); !ok {
				path := t.TempDir() + "/list"
				b, err := io.ReadAll(io.NewSectionReader(src, 0, size))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				cmd.Env = append(cmd.Env, hostileFileEnv+"="+path)
			}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			said, rest, _ := strings.Cut(string(out), "\nmemory ")
			if !strings.Contains(said, tt.want) {
				t.Errorf("error = %q; want it to contain %q", said, tt.want)
			}
			used, _, _ := strings.Cut(rest, "\n")
			if n, err := strconv.Atoi(used); err != nil || n > mostMemory {
				t.Errorf("reading used %s bytes (%v); want at most %d", used, err, mostMemory)
			}
		})
	}
}

const (
	hostileEnv     = "TUMA_TEST_HOSTILE"
	hostileFileEnv = "TUMA_TEST_HOSTILE_FILE"
)

// TestRead_OneHostileFileInASeparateProcess is the separate process that reads a hostile file. In
// an ordinary test run it does nothing.
func TestRead_OneHostileFileInASeparateProcess(t *testing.T) {
	tt, ok := hostile[os.Getenv(hostileEnv)]
	if !ok {
		return // an ordinary test run
	}
	var src io.ReaderAt
	var size int64
	if path := os.Getenv(hostileFileEnv); path != "" {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		src, size = f, info.Size()
	} else {
		src, size = tt.make(t)
	}
	var last error
	for _, err := range New(src, size, Options{Name: "list"}).All() {
		last = err
	}
	if _, ok := errors.AsType[*Error](last); !ok {
		t.Fatalf("error %v is a %T; want *Error", last, last)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("%v\nmemory %d\n", last, m.Sys)
}
