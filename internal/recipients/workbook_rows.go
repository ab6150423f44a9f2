package recipients

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tuma-sms/tuma/producer"
)

// cell is a cell of a sheet, in the form in which the file stores it.
type cell struct {
	column int    // from 0
	kind   string // the t attribute, e.g. "s" for a shared string
	style  int    // the index of the cell style
	raw    []byte // the content, or the number of a shared string
}

// row is a row of a sheet with its wanted cells.
type row struct {
	number int // from 1
	cells  []cell
	// filled is true if any cell, wanted or not, is not blank.
	filled bool
	hidden bool
	count  int // cells in the row, wanted or not
}

// cellAt returns the cell in the given column, or nil if the row has no such cell.
func (r *row) cellAt(column int) *cell {
	for i := range r.cells {
		if r.cells[i].column == column {
			return &r.cells[i]
		}
	}
	return nil
}

// workbookRecipients reads the rows of a workbook's sheet.
func (p *listReader) workbookRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	w, err := p.openWorkbook()
	if err != nil {
		return 0, err
	}
	p.sheet = w.sheet
	if w.sharedStrings != nil {
		defer w.sharedStrings.close()
		if err := w.sharedStrings.load(w); err != nil {
			return 0, err
		}
	}
	in, err := w.open(w.part, maxSheet)
	if err != nil {
		return 0, err
	}
	defer in.close()
	var h *header
	want := func(column int) bool { return h == nil || column == h.number || h.wants(column) }
	for r := (&row{}); ; {
		err := in.nextRow(r, want)
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return rows, err
		}
		p.line = r.number
		if !r.filled {
			continue
		}
		p.foundContent = true
		if h == nil {
			plain := false
			if h, plain, err = w.header(r); err != nil {
				return rows, err
			}
			if !plain {
				continue
			}
		}
		rows++
		if r.hidden {
			p.hidden++
		}
		recipient, err := w.recipient(r, h)
		if err != nil || !take(recipient) {
			return rows, err
		}
	}
}

// header finds the columns in the first row of a sheet. plain is true if the sheet has no
// header and its first row is a number.
func (w *workbook) header(r *row) (h *header, plain bool, err error) {
	var names []string
	size := 0
	for i := range r.cells {
		c := &r.cells[i]
		text, err := w.text(c, false)
		if err != nil {
			return nil, false, err
		}
		if size += len(text); size > MaxLine {
			return nil, false, w.errorHere("the header is longer than %d bytes: shorten the names of the columns", MaxLine)
		}
		for len(names) <= c.column {
			names = append(names, "")
		}
		names[c.column] = string(text)
	}
	h, err = w.matchHeader(names)
	if h == nil && err == nil {
		if filled := r.onlyFilledColumn(); filled >= 0 && w.o.Column == "" && len(w.o.Fields) == 0 && isNumberLike([]byte(names[filled])) {
			return &header{columns: MaxColumns, number: filled}, true, nil
		}
		err = w.noNumberColumn(names)
	}
	if err != nil {
		return nil, false, w.errorHere("%v", err)
	}
	return h, false, nil
}

// onlyFilledColumn returns the column of the only cell that is not empty. It returns -1 if no
// cell or more than one cell is not empty.
func (r *row) onlyFilledColumn() int {
	column := -1
	for _, c := range r.cells {
		if len(c.raw) > 0 {
			if column >= 0 {
				return -1
			}
			column = c.column
		}
	}
	return column
}

// recipient returns the number and fields of a row.
func (w *workbook) recipient(r *row, h *header) (out producer.Recipient, err error) {
	for i, key := range w.o.Fields {
		value, err := w.text(r.cellAt(h.fields[i]), false)
		if err != nil {
			return out, err
		}
		if value = bytes.TrimSpace(value); len(value) > MaxField {
			return out, w.fieldTooLong(key, len(value))
		}
		w.fields[key] = w.arena.string(value)
	}
	number, err := w.text(r.cellAt(h.number), true)
	if err != nil {
		return out, err
	}
	return producer.Recipient{Number: w.arena.string(number), Fields: w.fields}, nil
}

// text returns the content of a cell: an unchanged text, a number in decimal notation, or a
// date in the form 2025-11-30. isNumber is true for a phone number, which is never a date.
// The result is valid until the next call.
func (w *workbook) text(c *cell, isNumber bool) ([]byte, error) {
	if c == nil || len(c.raw) == 0 {
		return nil, nil
	}
	switch c.kind {
	case "s":
		i, err := strconv.Atoi(string(bytes.TrimSpace(c.raw)))
		if err != nil {
			return nil, w.errorHere("the workbook is damaged: %v", errNoText)
		}
		text, err := w.sharedStrings.at(i)
		if errors.Is(err, errNoText) {
			return nil, w.errorHere("the workbook is damaged: %v", err)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.o.Name, err)
		}
		return text, nil
	case "b":
		if string(c.raw) == "1" {
			return []byte("TRUE"), nil
		}
		return []byte("FALSE"), nil
	case "", "n":
		raw := string(bytes.TrimSpace(c.raw))
		if style := w.dates[c.style]; style != 0 && !isNumber {
			if text, ok := w.date(raw, style); ok {
				return []byte(text), nil
			}
		}
		return []byte(formatNumber(raw)), nil
	}
	return c.raw, nil // kinds str, inlineStr, d (ISO date) and e (error)
}

// nextRow reads the next row into r, with only those cells for whose column want returns
// true. It returns io.EOF after the last row.
func (t *xmlScanner) nextRow(r *row, want func(column int) bool) error {
	r.cells, r.filled, r.count = r.cells[:0], false, 0
	var c cell
	last, inRow, inCell, inText, phonetic := -1, false, false, false, 0
	for {
		token, err := t.next()
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "row":
				inRow = true
				if err := t.startRow(r, e); err != nil {
					return err
				}
			case "c":
				if inCell = inRow; inCell {
					if c, err = t.startCell(r, e, last); err != nil {
						return err
					}
					last = c.column
				}
			case "v", "t":
				inText = inCell && phonetic == 0
			case "rPh":
				phonetic++
			}
		case xml.CharData:
			if !inText || len(e) == 0 {
				continue
			}
			if r.filled = r.filled || c.kind != "s" && len(bytes.TrimSpace(e)) > 0; c.kind != "s" && !want(c.column) {
				continue
			}
			if len(c.raw)+len(e) > maxToken {
				return t.w.errorHere("a cell has more than %d bytes: shorten it", maxToken)
			}
			c.raw = append(c.raw, e...)
		case xml.EndElement:
			switch e.Name.Local {
			case "v", "t":
				inText = false
			case "rPh":
				phonetic--
			case "c":
				if inCell && c.kind == "s" && !r.filled {
					text, err := t.w.text(&c, false)
					if err != nil {
						return err
					}
					r.filled = len(bytes.TrimSpace(text)) > 0
				}
				if inCell && want(c.column) {
					if t.keptBytes(r) > maxRow {
						return t.w.errorHere("the row has more than %d bytes: shorten its cells", maxRow)
					}
					r.cells = append(r.cells, c)
				}
				inCell, inText = false, false
			case "row":
				if inRow {
					return nil
				}
			}
		}
	}
}

// maxRow is the maximum size of the wanted cells of a row, in bytes.
const maxRow = 1 << 20

// keptBytes returns the size of the cells of r. It counts only at every 64th cell and returns
// 0 at the others, to save time.
func (t *xmlScanner) keptBytes(r *row) (n int) {
	if len(r.cells)%64 != 0 {
		return 0
	}
	for i := range r.cells {
		n += len(r.cells[i].raw)
	}
	return n
}

// startRow sets the number of a row and whether it is hidden. A row without a number has the
// number after that of the previous row.
func (t *xmlScanner) startRow(r *row, e xml.StartElement) error {
	r.number++
	if n, err := strconv.Atoi(attribute(e, "r")); err == nil && n > r.number {
		r.number = n
	}
	r.hidden, _ = strconv.ParseBool(attribute(e, "hidden")) // false if the attribute is missing
	if t.w.line = r.number; r.number > MaxSheetRows {
		return t.w.errorHere("a sheet may have at most %d rows: save it as CSV UTF-8", MaxSheetRows)
	}
	return nil
}

// startCell returns a cell with its column, kind and style. A cell without a name is in the
// column after last.
func (t *xmlScanner) startCell(r *row, e xml.StartElement, last int) (cell, error) {
	c := cell{column: last + 1, kind: attribute(e, "t")}
	if at, ok := columnOf(attribute(e, "r")); ok {
		c.column = at
	}
	if r.count++; c.column >= MaxColumns || r.count > MaxColumns {
		return c, t.w.errorHere("a row may have at most %d columns: remove the others", MaxColumns)
	}
	if style := attribute(e, "s"); style != "" {
		c.style, _ = strconv.Atoi(style) // an invalid style becomes 0, which is not a date
	}
	return c, nil
}

// columnOf returns the column, from 0, of a cell name such as AB17. ok is false if the name
// is invalid.
func columnOf(name string) (column int, ok bool) {
	n := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			if n = n*26 + int(c-'A') + 1; n > 2*MaxColumns {
				return n, true
			}
		default:
			return n - 1, i > 0 && c >= '0' && c <= '9'
		}
	}
	return 0, false
}
