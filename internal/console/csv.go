package console

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode/utf8"
)

// CSVSheet writes CSV for spreadsheets. The tuma command and the HTTP API write all CSV with it, so
// that no cell becomes a formula. It is not safe for concurrent use.
type CSVSheet struct {
	out   *csv.Writer
	cells []string
}

// NewCSVSheet returns a CSVSheet that writes to w.
func NewCSVSheet(w io.Writer) *CSVSheet { return &CSVSheet{out: csv.NewWriter(w)} }

// Row writes one row.
func (s *CSVSheet) Row(cells ...string) error {
	s.cells = s.cells[:0]
	for _, c := range cells {
		s.cells = append(s.cells, EscapeFormulas(c))
	}
	return s.out.Write(s.cells)
}

// Flush writes buffered rows and returns the first error of the writer.
func (s *CSVSheet) Flush() error {
	s.out.Flush()
	return s.out.Error()
}

// EscapeFormulas puts a quote before text that a spreadsheet would run as a formula, such as
// =HYPERLINK(…) in a list or in a gateway's answer. It does not change a phone number with a plus
// sign. Such a number has no letters and so calls no function, and scripts compare it with their
// own numbers. EscapeFormulas also escapes the text after a semicolon or a tab, because some
// spreadsheets split cells at these characters.
func EscapeFormulas(s string) string {
	end := strings.IndexAny(s, ";\t")
	if end < 0 {
		return escapeCell(s)
	}
	out := ""
	if s[0] == '\t' {
		out = "'" // a spreadsheet may ignore a tab at the start of a cell and run the text after it
	}
	for ; end >= 0; end = strings.IndexAny(s, ";\t") {
		out += escapeCell(s[:end]) + s[end:end+1]
		s = s[end+1:]
	}
	return out + escapeCell(s)
}

// escapeCell puts a quote before a cell that starts a formula. The first character of a formula may
// also be a full-width character, such as ＝.
func escapeCell(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	switch first {
	case '=', '@', '\r', '\n', '\uFF1D', '\uFF20':
		return "'" + s
	case '+', '-', '\uFF0B', '\uFF0D':
		if strings.Trim(s[size:], "0123456789 ().-") != "" {
			return "'" + s
		}
	}
	return s
}
