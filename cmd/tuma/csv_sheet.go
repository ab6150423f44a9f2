package main

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode/utf8"
)

// sheet writes the CSV that people open in a spreadsheet; all that tuma writes goes
// through it, so that no cell becomes a formula.
type csvSheet struct {
	out   *csv.Writer
	cells []string
}

func newCSVSheet(w io.Writer) *csvSheet { return &csvSheet{out: csv.NewWriter(w)} }

// row writes one row.
func (s *csvSheet) row(cells ...string) error {
	s.cells = s.cells[:0]
	for _, c := range cells {
		s.cells = append(s.cells, escapeFormulas(c))
	}
	return s.out.Write(s.cells)
}

// flush ends it, and says whether all of it could be written.
func (s *csvSheet) flush() error {
	s.out.Flush()
	return s.out.Error()
}

// noFormula puts a quote before what a spreadsheet would run: what came from the
// list or from a gateway must not become =HYPERLINK(…) on somebody's desk. A
// number with its plus sign stays as it is, since without a letter there is
// nothing to call, and scripts compare it with their own. A spreadsheet that is set to
// semicolons or tabs makes cells of what stands between these.
func escapeFormulas(s string) string {
	end := strings.IndexAny(s, ";\t")
	if end < 0 {
		return escapeCell(s)
	}
	out := ""
	if s[0] == '\t' {
		out = "'" // which a spreadsheet may pass over, and what follows is first
	}
	for ; end >= 0; end = strings.IndexAny(s, ";\t") {
		out += escapeCell(s[:end]) + s[end:end+1]
		s = s[end+1:]
	}
	return out + escapeCell(s)
}

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
