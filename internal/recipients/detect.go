package recipients

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// content is what a list turns out to be.
type detected struct {
	format   Format // Auto: a table or a plain list, which its first line tells
	encoding string // Auto: UTF-8 or Windows-1252, which its first foreign letter tells
	bom      int    // bytes of a byte order mark
	gzip     bool
}

// headSize is how much of a file has to tell what it is.
const headSize = 4 << 10

// Encodings are the names that Options.Encoding may have.
var Encodings = []string{encodingUTF8, encodingUTF16LE, encodingUTF16BE, encodingWindows}

const (
	encodingUTF8    = "utf-8"
	encodingUTF16LE = "utf-16le"
	encodingUTF16BE = "utf-16be"
	encodingWindows = "windows-1252"
)

// notLists are beginnings of files that people send instead.
var otherFormats = []struct{ magic, problem string }{
	{"\xd0\xcf\x11\xe0", "is a workbook of the old kind (.xls), or one with a password: save it as .xlsx without a password, or as CSV UTF-8"},
	{"%PDF", "is a PDF: export the list as CSV or .xlsx"},
	{"{\\rtf", "is a text document: save it as plain text or CSV"},
	{"PK\x05\x06", "is an empty archive"},
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

// Detect finds out what a file is by its first bytes, then by its name. What can be
// seen to be no list is an *Error.
func Detect(head []byte, o Options) error {
	_, err := detect(head, o)
	return err
}

func detect(head []byte, o Options) (c detected, err error) {
	fault := func(problem string) (detected, error) {
		return detected{}, &Error{Where: o.Name + " ", Problem: problem}
	}
	if !slices.Contains([]Format{Auto, CSV, Plain, XLSX, JSONL}, o.Format) {
		return detected{}, &Error{Where: "--format: ", Problem: "it must be csv, xlsx, jsonl or plain"}
	}
	encoding, known := encodingNamed(o.Encoding)
	if !known {
		return detected{}, &Error{Where: "--encoding: ", Problem: "it must be " + strings.Join(Encodings, ", ")}
	}
	if o.Sheet != "" && len(head) > 0 && !bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return fault("is no workbook, and has no sheets: leave out --sheet")
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
			return fault("is a workbook: leave out --format")
		}
		c.format = XLSX
		return c, nil
	case o.Format == XLSX && len(head) > 0:
		return fault("is no workbook (.xlsx)")
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

func encodingNamed(name string) (string, bool) {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "", encodingUTF8, encodingUTF16LE, encodingUTF16BE, encodingWindows:
		return name, true
	case "utf8":
		return encodingUTF8, true
	case "utf16", "utf-16":
		return encodingUTF16LE, true // but a byte order mark says which
	case "cp1252", "windows1252", "latin1", "latin-1", "iso-8859-1", "ansi":
		return encodingWindows, true
	}
	return "", false
}

// findEncoding goes by a byte order mark, then by what was asked for, then by where
// the zero bytes are: UTF-16 has one in each pair of most texts.
func (c *detected) findEncoding(head []byte, asked string) (problem string) {
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
	case mark == "" && asked != "":
		return ""
	case mark != "":
		if asked != "" && asked[:5] != mark[:5] {
			return "is in " + mark + ", as its first bytes say: leave out --encoding"
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
		return "is no text: save it as CSV UTF-8"
	}
	return ""
}

// formatOf tells JSON from tables.
func formatOf(head []byte, o Options) (Format, error) {
	text := bytes.TrimLeft(head, " \t\r\n\x00")
	extension := strings.ToLower(filepath.Ext(o.Name))
	switch {
	case len(text) > 0 && text[0] == '{' && extension != ".csv" && extension != ".tsv":
		return JSONL, nil
	case len(text) > 0 && text[0] == '[' && bytes.HasPrefix(bytes.TrimLeft(text[1:], " \t\r\n\x00"), []byte("{")):
		return Auto, &Error{Where: o.Name + " ", Problem: "is one JSON array: write one object a line, for instance with jq -c '.[]'"}
	case extension == ".jsonl" || extension == ".ndjson":
		return JSONL, nil
	}
	return Auto, nil
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// letters turns the bytes of a field into UTF-8, and finds out what they are: ASCII is
// both, and the first other letter decides for the whole file.
type charset struct {
	encoding string
	// since is the line that has decided; 0: it was asked for, or a mark said so.
	decidedAt int
	buf       []byte
}

// windows are the letters of Windows-1252 from 0x80 to 0x9f; from there on they are
// those of Unicode. A zero is a byte that it does not have.
var windows = [32]rune{0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// field returns a field of that line in UTF-8, valid until the next call; what it may
// not be is not empty if the bytes contradict those before.
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
		return nil, "is not UTF-8, as the rest is"
	case l.decidedAt > 0 && valid:
		return nil, "is UTF-8, and the rest Windows-1252"
	}
	out, known := l.fromWindows(b)
	if !known {
		return nil, "has a byte that Windows-1252 has not"
	}
	return out, ""
}

// decided names the line that has decided what the bytes are.
func (l *charset) sinceLine() string {
	if l.decidedAt == 0 {
		return ""
	}
	return fmt.Sprintf(" (since line %d)", l.decidedAt)
}

// number is a field that is only looked at for a number: it decides nothing, and
// nothing contradicts it.
func (l *charset) decodeNumber(b []byte) []byte {
	if isASCII(b) || l.encoding != encodingWindows && utf8.Valid(b) {
		return b
	}
	if l.decidedAt > 0 && utf8.Valid(b) {
		return b
	}
	out, _ := l.fromWindows(b)
	return out
}

func (l *charset) fromWindows(b []byte) (out []byte, known bool) {
	l.buf, known = l.buf[:0], true
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			if r = windows[c-0x80]; r == 0 {
				r, known = utf8.RuneError, false
			}
		}
		l.buf = utf8.AppendRune(l.buf, r)
	}
	return l.buf, known
}
