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

// cell is what stands in one, as the file has it.
type cell struct {
	column int // from 0
	kind   string
	style  int
	raw    []byte
}

// row is one of a sheet, with the cells that were asked for.
type row struct {
	number int // from 1
	cells  []cell
	// filled: some cell, asked for or not, holds something.
	filled bool
	hidden bool
	count  int
}

// at is the cell in that column, or nil.
func (r *row) cellAt(column int) *cell {
	for i := range r.cells {
		if r.cells[i].column == column {
			return &r.cells[i]
		}
	}
	return nil
}

// workbookRows reads the rows of a workbook's sheet.
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

// header finds the columns in a sheet's first row; plain means that there is no
// header, and the row a number.
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
			return nil, false, w.errorHere("the header is longer than %d bytes", MaxLine)
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

// only is the column of the one cell that is not empty, or -1.
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

// recipient picks out of a row what is wanted.
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

// text is what stands in a cell: texts as they are, numbers in digits, dates as
// 2025-11-30. It is valid until the next call.
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
	return c.raw, nil // str, inlineStr, d and e
}

// row reads the next row, with the cells of the columns that are wanted; io.EOF
// after the last.
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
				return t.w.errorHere("a cell has more than %d bytes", maxToken)
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
						return t.w.errorHere("the row has more than %d bytes", maxRow)
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

// maxRow bounds the cells of a row that are kept, in bytes.
const maxRow = 1 << 20

func (t *xmlScanner) keptBytes(r *row) (n int) {
	if len(r.cells)%64 != 0 {
		return 0 // asked now and then
	}
	for i := range r.cells {
		n += len(r.cells[i].raw)
	}
	return n
}

// number gives a row its number.
func (t *xmlScanner) startRow(r *row, e xml.StartElement) error {
	r.number++
	if n, err := strconv.Atoi(attribute(e, "r")); err == nil && n > r.number {
		r.number = n
	}
	r.hidden, _ = strconv.ParseBool(attribute(e, "hidden")) // false if it says nothing
	if t.w.line = r.number; r.number > MaxSheetRows {
		return t.w.errorHere("a sheet may have %d rows: save it as CSV UTF-8", MaxSheetRows)
	}
	return nil
}

// cell begins a cell.
func (t *xmlScanner) startCell(r *row, e xml.StartElement, last int) (cell, error) {
	c := cell{column: last + 1, kind: attribute(e, "t")}
	if at, ok := columnOf(attribute(e, "r")); ok {
		c.column = at
	}
	if r.count++; c.column >= MaxColumns || r.count > MaxColumns {
		return c, t.w.errorHere("a row may have %d columns", MaxColumns)
	}
	if style := attribute(e, "s"); style != "" {
		c.style, _ = strconv.Atoi(style) // 0, which is no date, if it is none
	}
	return c, nil
}

// columnOf reads the letters of a cell's name, AB17.
func columnOf(name string) (int, bool) {
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
