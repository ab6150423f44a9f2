package recipients

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// header holds the positions of the wanted columns, from 0.
type header struct {
	columns int // the number of columns
	number  int // the number column
	// fields are the columns of Options.Fields, in the same order.
	fields []int
	// refs has the column of Options.RefColumn. It is empty if that option is not set.
	refs []int
}

func (h *header) wants(column int) bool {
	return slices.Contains(h.fields, column) || slices.Contains(h.refs, column)
}

// separators are the characters that may divide the columns of a text. If several of them divide a header into the
// same number of columns, the list uses the one that comes first in this constant.
const separators = ",;\t|"

// findHeader finds the columns in the first line of a text, and the separator between them. It
// splits the line with each separator, and ignores a separator if no cell then names the number
// column. Of the other separators, it chooses the separator that results in the most columns. The
// parameter "separator" is the separator that the file itself names, or 0. If the line is a number,
// the list has no header, and the result h is nil.
func (p *listReader) findHeader(first string, separator byte) (comma byte, h *header, err error) {
	line := p.in.n + 1
	candidates := []byte(separators)
	if separator != 0 {
		candidates = []byte{separator}
	}
	var widest, best []string
	for _, candidate := range candidates {
		cells := p.headerCells(candidate)
		if len(cells) > MaxColumns {
			return 0, nil, p.lineError(line, "the header has more than %d columns", MaxColumns)
		}
		if len(cells) > len(widest) {
			widest = cells
		}
		if len(cells) > len(best) && slices.ContainsFunc(cells, p.namesNumber) {
			best, comma = cells, candidate
		}
	}
	if best != nil {
		if h, err = p.matchHeader(best); err != nil {
			err = p.lineError(line, "%v", err)
		}
		return comma, h, err
	}
	if p.o.Column == "" && isNumberLike([]byte(first)) {
		if len(p.o.Fields) > 0 || p.o.RefColumn != "" {
			return 0, nil, p.noFieldColumns(line)
		}
		return 0, nil, nil
	}
	return 0, nil, p.lineError(line, "%v", p.noNumberColumn(widest))
}

// headerCells splits the header at the separator in the parameter "comma". It does not consume the header,
// so the next read returns the header as a record.
func (p *listReader) headerCells(comma byte) (cells []string) {
	c := &records{lines: newLines(bytes.NewReader(p.in.peek())), comma: comma}
	record, err := c.next()
	if err != nil {
		return nil
	}
	for _, cell := range record {
		cells = append(cells, string(p.letters.decodeNumber(cell)))
	}
	return cells
}

// matchHeader finds the wanted columns in the cells of a header. It returns a nil header if
// no cell names the number column. It returns an error if a wanted column is missing or two
// columns have the same name.
func (l *List) matchHeader(cells []string) (*header, error) {
	at := slices.IndexFunc(cells, l.namesNumber)
	if at < 0 {
		return nil, nil
	}
	if again := slices.IndexFunc(cells[at+1:], l.namesNumber); again >= 0 {
		if sameColumn(cells[at], cells[at+1+again]) {
			return nil, fmt.Errorf("the header has two columns of numbers that are both named %s: rename one of them in the file", cells[at])
		}
		return nil, fmt.Errorf("the header has two columns of numbers, %s and %s: choose one with --column", cells[at], cells[at+1+again])
	}
	h := &header{columns: len(cells), number: at}
	l.columns = cells
	for _, key := range l.o.Fields {
		named := func(cell string) bool { return sms.FieldKey(cell) == key }
		at := slices.IndexFunc(cells, named)
		if at < 0 {
			return nil, fmt.Errorf("the text has {{%s}}, but the header has no column of that name; it has %s", key, describeColumns(cells))
		}
		if slices.ContainsFunc(cells[at+1:], named) {
			return nil, fmt.Errorf("the header has two columns for {{%s}}: rename one", key)
		}
		h.fields = append(h.fields, at)
	}
	return h, l.matchRef(cells, h)
}

// matchRef finds the column of Options.RefColumn in the cells of a header.
func (l *List) matchRef(cells []string, h *header) error {
	if l.o.RefColumn == "" {
		return nil
	}
	named := func(cell string) bool { return sameColumn(cell, l.o.RefColumn) }
	at := slices.IndexFunc(cells, named)
	if at < 0 {
		return fmt.Errorf("the header has no column %.40q for the references; it has %s", l.o.RefColumn, describeColumns(cells))
	}
	if slices.ContainsFunc(cells[at+1:], named) {
		return fmt.Errorf("the header has two columns %.40q for the references: rename one", l.o.RefColumn)
	}
	h.refs = []int{at}
	return nil
}

// namesNumber reports whether a header cell names the number column.
func (l *List) namesNumber(cell string) bool {
	if l.o.Column == "" {
		return isNumberColumn(cell)
	}
	return sameColumn(cell, l.o.Column)
}

// sameColumn reports whether --column treats the column names a and b as equal. The names may differ in
// case, in leading and trailing spaces, and in the form of accents.
func sameColumn(a, b string) bool {
	clean := func(s string) string { return norm.NFC.String(strings.TrimSpace(s)) }
	return strings.EqualFold(clean(a), clean(b))
}

// noNumberColumn returns the error for a header without a number column.
func (l *List) noNumberColumn(cells []string) error {
	if l.o.Column != "" {
		return fmt.Errorf("the header has no column %q; it has %s", l.o.Column, describeColumns(cells))
	}
	return fmt.Errorf("no column of numbers: the header must have a column %s (choose another with --column), "+
		"or every line must be one number; the header has %s", NumberColumns, describeColumns(cells))
}

// describeColumns lists up to ten header cells for an error message.
func describeColumns(cells []string) string {
	var out []string
	for _, c := range cells {
		out = append(out, fmt.Sprintf("%.30q", c))
		if len(out) == 10 {
			break
		}
	}
	return strings.Join(out, ", ")
}

// checkRef returns a mistake of the current row if a reference is too long or has control characters.
func (l *List) checkRef(ref string) error {
	if len(ref) > producer.MaxRef {
		return l.errorHere("the reference in the column %.40q has %d bytes: shorten it to at most %d", l.o.RefColumn, len(ref), producer.MaxRef)
	}
	if strings.ContainsFunc(ref, unicode.IsControl) {
		return l.errorHere("the reference in the column %.40q has a control character, such as a line break: remove it", l.o.RefColumn)
	}
	return nil
}
