package recipients

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/tuma-sms/tuma/producer"
)

// The type "detected" is the format and encoding of a list, as far as the first bytes of the list decide them.
type detected struct {
	format   Format // if Auto, the first line decides whether the list is a table or a plain list
	encoding string // if Auto, the first non-ASCII field decides whether the list is in UTF-8 or Windows-1252
	bom      int    // number of bytes of the byte order mark
	gzip     bool
}

// headSize is the number of bytes at the beginning of a file that detection reads.
const headSize = 4 << 10

// Encodings are the documented values of Options.Encoding. Common aliases, such as "latin1", are also accepted.
var Encodings = []string{encodingUTF8, encodingUTF16LE, encodingUTF16BE, encodingWindows, encodingMac}

const (
	encodingUTF8    = "utf-8"
	encodingUTF16LE = "utf-16le"
	encodingUTF16BE = "utf-16be"
	encodingWindows = "windows-1252"
	encodingMac     = "macintosh"
)

// otherFormats has the first bytes of files that cannot be read as a list. Each entry also has the problem that
// the error names.
var otherFormats = []struct{ magic, problem string }{
	{"\xd0\xcf\x11\xe0", "is an old Excel workbook (.xls), or has a password: save it as .xlsx without a password, or as CSV UTF-8"},
	{"%PDF", "is a PDF: export the list as CSV or .xlsx"},
	{"{\\rtf", "is a text document: save it as plain text or CSV"},
	{"PK\x05\x06", "is an empty archive: pass a CSV, .xlsx, JSON lines or text file"},
	{"\x00\x00\xfe\xff", "is in UTF-32: save it as CSV UTF-8"},
	{"\xff\xfe\x00\x00", "is in UTF-32: save it as CSV UTF-8"},
	{"<?xml", "is XML: export the list as CSV or .xlsx"},
	{"<!doctype", "is a web page: open it in a spreadsheet and save it as CSV or .xlsx"},
	{"<html", "is a web page: open it in a spreadsheet and save it as CSV or .xlsx"},
	{"<table", "is a web page: open it in a spreadsheet and save it as CSV or .xlsx"},
	{"BZh", "is compressed with bzip2: unpack it first"},
	{"7z\xbc\xaf", "is an archive: unpack it first"},
	{"Rar!", "is an archive: unpack it first"},
	{"\xfd7zXZ", "is compressed with xz: unpack it first"},
	{"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first"},
}

// Detect checks whether head, the first bytes of a file, can begin a list of recipients.
// It returns an *Error for other files and for invalid options.
func Detect(head []byte, o Options) error {
	_, err := detect(head, o)
	return err
}

// Begins checks the first bytes of a longer file more thoroughly than Detect. It reads the rows up to the first
// recipient, and returns an *Error for a mistake in these rows, such as a header without a column of numbers. For
// a workbook, a compressed file or text in UTF-16, it makes only the checks of Detect.
func Begins(head []byte, o Options) error {
	c, err := detect(head, o)
	if err != nil || c.format == XLSX || c.gzip || bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return err
	}
	head = head[:bytes.LastIndexByte(head, '\n')+1] // the last line may be incomplete
	if len(head) == 0 {
		return nil
	}
	p, found := &listReader{List: New(bytes.NewReader(head), int64(len(head)), o)}, false
	_, err = p.readAll(func(producer.Recipient) bool {
		found = true
		return false
	})
	if found {
		return nil
	}
	return p.mistakes.with(err)
}

// detect finds the format and encoding of a file. It uses the options first, then the first bytes,
// then the extension of the file name.
func detect(head []byte, o Options) (c detected, err error) {
	fault := func(problem string) (detected, error) {
		return detected{}, &Error{Where: o.Name + " ", Problem: problem}
	}
	if !slices.Contains([]Format{Auto, CSV, Plain, XLSX, JSONL}, o.Format) {
		return detected{}, &Error{Where: "--format: ", Problem: "must be csv, xlsx, jsonl or plain"}
	}
	encoding, known := encodingNamed(o.Encoding)
	if !known {
		return detected{}, &Error{Where: "--encoding: ", Problem: "must be one of " + strings.Join(Encodings, ", ")}
	}
	if o.Sheet != "" && len(head) > 0 && !bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return fault("is not a workbook, so it has no sheets: omit --sheet")
	}
	for _, x := range otherFormats {
		begin := string(head[:min(len(head), len(x.magic))])
		if begin == x.magic || x.magic[0] == '<' && strings.EqualFold(begin, x.magic) {
			return fault(x.problem)
		}
	}
	c = detected{format: o.Format, encoding: encoding}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		if o.Format != Auto && o.Format != XLSX {
			return fault("is a workbook: omit --format, or use --format xlsx")
		}
		c.format = XLSX
		return c, nil
	case o.Format == XLSX && len(head) > 0:
		return fault("is not a workbook (.xlsx): omit --format, or save it as .xlsx")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		c.gzip = true
		return c, nil
	}
	if err := c.findEncoding(head, encoding); err != "" {
		return fault(err)
	}
	if c.format == Auto {
		c.format, err = formatOf(head[c.bom:], o)
	}
	return c, err
}

// encodingNamed returns the encoding with the given name or alias, or "" for an empty name.
func encodingNamed(name string) (string, bool) {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "", encodingUTF8, encodingUTF16LE, encodingUTF16BE, encodingWindows, encodingMac:
		return name, true
	case "utf8":
		return encodingUTF8, true
	case "utf16", "utf-16":
		return encodingUTF16LE, true // if the text has a byte order mark, findEncoding takes the byte order from it
	case "cp1252", "windows1252", "latin1", "latin-1", "iso-8859-1", "ansi":
		return encodingWindows, true
	case "mac", "macroman", "mac-roman", "x-mac-roman":
		return encodingMac, true
	}
	return "", false
}

// findEncoding sets the encoding. If the text has a byte order mark, the mark names the encoding.
// Otherwise the requested encoding applies. If no encoding is requested, findEncoding looks for
// UTF-16, in which most pairs of bytes contain a zero byte. findEncoding returns a problem if the
// byte order mark contradicts the requested encoding, or if the first bytes are binary.
func (c *detected) findEncoding(head []byte, requested string) (problem string) {
	mark := ""
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		mark, c.bom = encodingUTF8, 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		mark, c.bom = encodingUTF16LE, 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		mark, c.bom = encodingUTF16BE, 2
	}
	switch {
	case mark == "" && requested != "":
		return ""
	case mark != "":
		if requested != "" && requested[:5] != mark[:5] {
			return "is in " + mark + " according to its byte order mark: omit --encoding"
		}
		c.encoding = mark
		return ""
	}
	var zeros [2]int
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch half := len(head) / 2; {
	case zeros[0]+zeros[1] == 0:
	case zeros[1] > half/2 && zeros[0] < half/8:
		c.encoding = encodingUTF16LE
	case zeros[0] > half/2 && zeros[1] < half/8:
		c.encoding = encodingUTF16BE
	case c.encoding == "" && bytes.IndexByte(firstLine(head), 0) >= 0:
		return "is not a text file: save it as CSV UTF-8"
	}
	return ""
}

// formatOf returns JSONL if the first character or the extension of the file name shows that the
// list is in JSON lines. It returns Auto for a table or a plain list. A JSON array is an error.
func formatOf(head []byte, o Options) (Format, error) {
	text := bytes.TrimLeft(head, " \t\r\n\x00")
	extension := strings.ToLower(filepath.Ext(o.Name))
	switch {
	case len(text) > 0 && text[0] == '{' && extension != ".csv" && extension != ".tsv":
		return JSONL, nil
	case len(text) > 0 && text[0] == '[' && bytes.HasPrefix(bytes.TrimLeft(text[1:], " \t\r\n\x00"), []byte("{")):
		return Auto, &Error{Where: o.Name + " ", Problem: "is one JSON array: write one object per line, e.g. with jq -c '.[]'"}
	case extension == ".jsonl" || extension == ".ndjson":
		return JSONL, nil
	}
	return Auto, nil
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// charset converts fields to UTF-8. If the encoding is not known, the first field that is
// not ASCII decides the encoding of the whole file. It is UTF-8 if the field's bytes are
// valid UTF-8, and Windows-1252 otherwise.
type charset struct {
	encoding string
	// decidedAt is the line that decided the encoding. 0 means that no line has decided the encoding, or that the
	// options or a byte order mark name the encoding.
	decidedAt int
	guess     Guess
	buf       []byte
}

// Guess is the encoding that was guessed from the bytes of a list, because the list does not name its encoding.
// If the guess is wrong, letters with accents are wrong in every message.
type Guess struct {
	Encoding string // one of Encodings, or "" if nothing was guessed
	Line     int    // the first line whose letters depend on the encoding, counted from 1
	Value    string // the first value whose letters depend on the encoding, read in the guessed encoding
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decode returns a field in UTF-8, which is valid until the next call. If the field does not fit the encoding of
// the file, the result "problem" describes this. Otherwise it is empty.
func (l *charset) decode(b []byte, line int) (out []byte, problem string) {
	if isASCII(b) {
		return b, ""
	}
	valid := utf8.Valid(b)
	if l.encoding == "" {
		l.decidedAt = line
		if l.encoding = encodingUTF8; !valid {
			l.encoding = encodingWindows
		}
	}
	switch {
	case l.encoding == encodingUTF8 && valid:
		return b, ""
	case l.encoding == encodingUTF8:
		return nil, "is not valid UTF-8, but the encoding of the file is UTF-8"
	case l.decidedAt > 0 && valid:
		return nil, "is UTF-8, but the encoding of the file is Windows-1252"
	}
	out, known := l.fromBytes(b)
	if !known {
		return nil, "has a byte that is not valid in Windows-1252"
	}
	if l.decidedAt > 0 && l.guess.Encoding == "" {
		l.guess = Guess{Encoding: encodingWindows, Line: line, Value: string(out)}
	}
	return out, ""
}

// sinceLine returns a note for error messages. The note names the line that decided the encoding.
func (l *charset) sinceLine() string {
	if l.decidedAt == 0 {
		return ""
	}
	return fmt.Sprintf(" (since line %d)", l.decidedAt)
}

// decodeNumber converts a field that is not part of a message text, such as a phone number, to UTF-8. Such a field
// neither decides the encoding nor causes an error. Digits are the same in every encoding.
func (l *charset) decodeNumber(b []byte) []byte {
	named := l.decidedAt == 0 && (l.encoding == encodingWindows || l.encoding == encodingMac)
	if isASCII(b) || !named && utf8.Valid(b) {
		return b
	}
	out, _ := l.fromBytes(b)
	return out
}

// fromBytes converts a text with one byte for each character to UTF-8. The encoding of the text is
// encodingMac if the file has this encoding, and Windows-1252 otherwise. The result "known" is false
// if b has a byte that the encoding does not define.
func (l *charset) fromBytes(b []byte) (out []byte, known bool) {
	from := charmap.Windows1252
	if l.encoding == encodingMac {
		from = charmap.Macintosh
	}
	l.buf, known = l.buf[:0], true
	for _, c := range b {
		r := from.DecodeByte(c)
		known = known && r != utf8.RuneError
		l.buf = utf8.AppendRune(l.buf, r)
	}
	return l.buf, known
}
