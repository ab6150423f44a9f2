package recipients

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tuma-sms/tuma/internal/xlsx"
	"github.com/tuma-sms/tuma/producer"
)

// workbookRecipients reads the rows of a workbook's sheet.
func (p *listReader) workbookRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	book, err := xlsx.Open(p.src, p.size, p.o.Sheet)
	if err != nil {
		return 0, p.workbookError(err)
	}
	defer book.Close()
	p.sheet, p.sheets = book.Sheet(), book.Sheets()
	var h *header
	want := func(column int) bool { return h == nil || p.o.cells || column == h.number || h.wants(column) }
	for r, err := range book.Rows(want) {
		if err != nil {
			return rows, p.workbookError(err)
		}
		p.line = r.Number
		if !r.Filled {
			continue
		}
		p.foundContent = true
		if h == nil {
			plain := false
			if h, plain, err = p.workbookHeader(r); err != nil {
				return rows, err
			}
			p.noteHiddenColumns(book, r, h)
			if !plain {
				continue
			}
		}
		rows++
		if r.Hidden {
			p.hidden++
		}
		recipient, err := p.workbookRecipient(r, h)
		if err != nil {
			if err = p.mistakes.add(err, p.List, p.line); err != nil {
				return rows, err
			}
			continue
		}
		if !take(recipient) {
			return rows, nil
		}
	}
	return rows, nil
}

// workbookError converts an error of package xlsx to an error that names the list.
func (l *List) workbookError(err error) error {
	mistake, ok := errors.AsType[*xlsx.Error](err)
	if !ok {
		return fmt.Errorf("read %s: %w", l.o.Name, err)
	}
	if mistake.Row == 0 {
		return l.fileError("%s", mistake.Problem)
	}
	l.line = mistake.Row
	return l.errorHere("%s", mistake.Problem)
}

// workbookHeader finds the columns in the first row of a sheet. The result "plain" is true if the
// sheet has no header and its first row is a number.
func (l *List) workbookHeader(r *xlsx.Row) (h *header, plain bool, err error) {
	var names []string
	var unknown error // the error for a cell whose formula was never computed
	size := 0
	for i := range r.Cells {
		c := &r.Cells[i]
		for len(names) <= c.Column {
			names = append(names, "")
		}
		text, err := r.Text(c)
		if err != nil && !r.Computed(c) {
			unknown = err // the name of this column is unknown, which is a mistake only if a wanted column is not found
			continue
		}
		if err != nil {
			return nil, false, l.workbookError(err)
		}
		if size += len(text); size > MaxLine {
			return nil, false, l.errorHere("the header is longer than %d bytes: shorten the names of the columns", MaxLine)
		}
		names[c.Column] = string(text)
	}
	h, err = l.matchHeader(names)
	if h == nil && unknown != nil {
		return nil, false, l.workbookError(unknown)
	}
	if h == nil && err == nil {
		if filled := onlyFilledColumn(r); filled >= 0 && l.o.Column == "" && len(l.o.Fields) == 0 && l.o.RefColumn == "" && isNumberLike([]byte(names[filled])) {
			return &header{columns: MaxColumns, number: filled}, true, nil
		}
		if err = l.noNumberColumn(names); len(l.sheets) > 1 {
			err = fmt.Errorf("%w; the sheets are %.200q: choose another with --sheet", err, l.sheets)
		}
	}
	if err != nil {
		return nil, false, l.errorHere("%v", err)
	}
	return h, false, nil
}

// noteHiddenColumns records the names of columns that are read although the sheet does not show
// these columns.
func (l *List) noteHiddenColumns(book *xlsx.Book, r *xlsx.Row, h *header) {
	for _, column := range slices.Concat([]int{h.number}, h.fields, h.refs) {
		if !book.HiddenColumn(column) {
			continue
		}
		name, err := r.Text(r.Cell(column))
		if err == nil && !slices.Contains(l.hiddenColumns, string(name)) {
			l.hiddenColumns = append(l.hiddenColumns, string(name))
		}
	}
}

// onlyFilledColumn returns the column of the only cell that is not empty. It returns -1 if no
// cell or more than one cell is not empty.
func onlyFilledColumn(r *xlsx.Row) int {
	column := -1
	for i := range r.Cells {
		if c := &r.Cells[i]; !c.Empty() {
			if column >= 0 {
				return -1
			}
			column = c.Column
		}
	}
	return column
}

// workbookRecipient returns the number and fields of a row. Its error has all mistakes of the row.
func (l *List) workbookRecipient(r *xlsx.Row, h *header) (out producer.Recipient, err error) {
	var wrong rowMistakes
	number, err := r.Digits(r.Cell(h.number))
	if err != nil {
		if err := wrong.add(l.workbookError(err)); err != nil {
			return out, err
		}
	}
	out.Number = l.arena.string(number)
	for i, key := range l.o.Fields {
		value, err := r.Text(r.Cell(h.fields[i]))
		if err != nil {
			if err := wrong.add(l.workbookError(err)); err != nil {
				return out, err
			}
			continue
		}
		if value = bytes.TrimSpace(value); len(value) > MaxField {
			_ = wrong.add(l.fieldTooLong(key, len(value))) // fieldTooLong returns only mistakes
			continue
		}
		l.fields[key] = l.arena.string(value)
	}
	for _, at := range h.refs {
		value, err := r.Text(r.Cell(at))
		if err != nil {
			if err := wrong.add(l.workbookError(err)); err != nil {
				return out, err
			}
			continue
		}
		out.Ref = l.arena.string(bytes.TrimSpace(value))
		_ = wrong.add(l.checkRef(out.Ref)) // checkRef returns only mistakes
	}
	if err := wrong.err(); err != nil {
		return out, err
	}
	if l.o.cells {
		l.cells = l.cells[:0]
		for column := range min(h.columns, len(l.columns)) {
			if column == h.number {
				l.cells = append(l.cells, out.Number)
				continue
			}
			value, _ := r.Text(r.Cell(column)) // if the formula was never computed, Text returns an error, and the value is blank
			l.cells = append(l.cells, string(bytes.TrimSpace(value)))
		}
	}
	out.Fields, out.Line = l.fields, l.line
	return out, nil
}
