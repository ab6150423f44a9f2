package xlsx

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"strconv"
)

// Cell is a cell of a sheet, in the form in which the file stores it.
type Cell struct {
	Column int    // from 0
	kind   string // the attribute t, e.g. "s" for a shared string
	style  int    // the index of the cell style
	raw    []byte // the content, or the number of a shared string
	// The field "formula" is true if the cell has a formula. The field "computed" is true if the cell
	// also has an element for the result of the formula.
	formula, computed bool
}

// neverComputed reports whether the cell has a formula without a result. A result of kind "str" may be empty text.
func (c *Cell) neverComputed() bool {
	return c.formula && (!c.computed || len(c.raw) == 0 && c.kind != "str")
}

// Empty reports whether the cell has no content.
func (c *Cell) Empty() bool { return len(c.raw) == 0 && !c.neverComputed() }

// Row is a row of a sheet with its wanted cells.
type Row struct {
	Number int // from 1
	Cells  []Cell
	// Filled is true if any cell, wanted or not, is not blank.
	Filled bool
	// Hidden is true if a filter or the user has hidden the row.
	Hidden bool
	count  int // number of all cells in the row, wanted or not
	book   *Book
}

// Cell returns the cell in the given column, counted from 0. It returns nil if the row does not have this cell.
func (r *Row) Cell(column int) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Column == column {
			return &r.Cells[i]
		}
	}
	return nil
}

// Computed reports whether the content of a cell is known. It is known if the cell has no formula, or if the
// stored result of the formula is right.
func (r *Row) Computed(c *Cell) bool { return r.book.computed(c) }

// Text returns the content of a cell of the row in the form that the sheet shows, such as
// 999,999.99, 9 Dec 2026 or 15%. A date in a predefined format begins with the day. For a nil cell,
// Text returns an empty slice. The result is valid until the next call of Text or Digits. The error
// is an *Error if the workbook is damaged or the cell has a formula that was never computed.
// Otherwise it is a read error.
func (r *Row) Text(c *Cell) ([]byte, error) { return r.book.text(c, false) }

// Digits returns the content of a cell with a phone number. It returns a number in full, even if the cell shows
// another form. For other contents it is like Text.
func (r *Row) Digits(c *Cell) ([]byte, error) { return r.book.text(c, true) }

// Rows yields the rows of the sheet from the beginning, including blank rows. A row has only the cells for
// whose column the function want() returns true. A row is valid until the next row. An error ends the sequence.
// The error is an *Error if the workbook has a mistake, and otherwise a read error.
func (b *Book) Rows(want func(column int) bool) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		b.row, b.hiddenColumns = 0, nil
		in, err := b.open(b.part, maxSheet)
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.close()
		for r := (&Row{book: b}); ; {
			err := in.nextRow(r, want)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case !yield(r, nil):
				return
			}
		}
	}
}

// text returns the content of a cell. If isPhone is true, the cell has a phone number and its
// format is ignored.
func (b *Book) text(c *Cell, isPhone bool) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	if !b.computed(c) {
		return nil, b.errorHere("the formula in column %s was never computed: open the workbook in a spreadsheet program and save it", columnName(c.Column))
	}
	if len(c.raw) == 0 {
		return nil, nil
	}
	switch c.kind {
	case "s":
		i, err := strconv.Atoi(string(bytes.TrimSpace(c.raw)))
		if err != nil {
			return nil, b.errorHere("the workbook is damaged: %v", errNoText)
		}
		text, err := b.sharedStrings.at(i)
		if errors.Is(err, errNoText) {
			return nil, b.errorHere("the workbook is damaged: %v", err)
		}
		return text, err
	case "b":
		if string(c.raw) == "1" {
			return []byte("TRUE"), nil
		}
		return []byte("FALSE"), nil
	case "", "n":
		return []byte(b.number(string(bytes.TrimSpace(c.raw)), c.style, isPhone)), nil
	case "d":
		return []byte(b.isoDate(string(bytes.TrimSpace(c.raw)), c.style)), nil
	case "e":
		return c.raw, nil
	}
	return unescape(c.raw), nil // kinds str and inlineStr
}

// computed reports whether the content of a cell is known. It is not known for a formula that was never
// computed, or if a program must compute all formulas when it opens the workbook.
func (b *Book) computed(c *Cell) bool {
	return !c.neverComputed() && !(c.formula && b.recalculates)
}

// nextRow reads the next row into r, with only those cells for whose column the function want() returns true. It
// returns io.EOF after the last row.
func (t *xmlScanner) nextRow(r *Row, want func(column int) bool) error {
	r.Cells, r.Filled, r.count = r.Cells[:0], false, 0
	c, last, inRow, inCell, inText, phonetic := Cell{}, -1, false, false, false, 0
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
					last = c.Column
				}
			case "v", "t":
				inText = inCell && phonetic == 0
				c.computed = c.computed || inText
			case "f":
				c.formula = inCell
			case "col":
				t.b.hideColumns(e)
			case "rPh":
				phonetic++
			}
		case xml.CharData:
			if inText && len(e) > 0 {
				if err := t.addText(r, &c, e, want); err != nil {
					return err
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "v", "t":
				inText = false
			case "rPh":
				phonetic--
			case "c":
				if inCell {
					if err := t.endCell(r, &c, want); err != nil {
						return err
					}
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

// addText adds text to a cell if the cell is wanted or refers to a shared string. If any cell, wanted or not,
// gets text that is not blank, addText sets r.Filled. For a shared string, endCell does this.
func (t *xmlScanner) addText(r *Row, c *Cell, text []byte, want func(column int) bool) error {
	r.Filled = r.Filled || c.kind != "s" && len(bytes.TrimSpace(text)) > 0
	if c.kind != "s" && !want(c.Column) {
		return nil
	}
	if len(c.raw)+len(text) > maxToken {
		return t.b.errorHere("a cell has more than %d bytes: shorten it", maxToken)
	}
	c.raw = append(c.raw, text...)
	return nil
}

// endCell adds a cell to its row if the function want() returns true for the cell's column. If any cell, wanted
// or not, has a shared string that is not blank, endCell sets r.Filled.
func (t *xmlScanner) endCell(r *Row, c *Cell, want func(column int) bool) error {
	if c.kind == "s" && !c.formula && !r.Filled {
		text, err := t.b.text(c, false)
		if err != nil {
			return err
		}
		r.Filled = len(bytes.TrimSpace(text)) > 0
	}
	if want(c.Column) {
		r.Filled = r.Filled || c.neverComputed()
		if t.keptBytes(r) > maxRow {
			return t.b.errorHere("the row has more than %d bytes: shorten its cells", maxRow)
		}
		r.Cells = append(r.Cells, *c)
	}
	return nil
}

// maxRow is the maximum size of the wanted cells of a row, in bytes.
const maxRow = 1 << 20

// keptBytes returns the size of the cells of r in bytes. To save time, it returns 0 unless the
// number of cells is a multiple of 64.
func (t *xmlScanner) keptBytes(r *Row) (n int) {
	if len(r.Cells)%64 != 0 {
		return 0
	}
	for i := range r.Cells {
		n += len(r.Cells[i].raw)
	}
	return n
}

// startRow sets the number of a row and whether the row is hidden. A row without a number gets the
// number of the previous row plus 1.
func (t *xmlScanner) startRow(r *Row, e xml.StartElement) error {
	r.Number++
	if n, err := strconv.Atoi(attribute(e, "r")); err == nil && n > r.Number {
		r.Number = n
	}
	r.Hidden, _ = strconv.ParseBool(attribute(e, "hidden")) // false if the attribute is missing
	if t.b.row = r.Number; r.Number > MaxRows {
		return t.b.errorHere("a sheet may have at most %d rows: save it as CSV UTF-8", MaxRows)
	}
	return nil
}

// startCell returns a cell with its column, kind and style. The parameter "last" is the column of the previous
// cell. A cell without a name gets the column after the previous cell.
func (t *xmlScanner) startCell(r *Row, e xml.StartElement, last int) (Cell, error) {
	c := Cell{Column: last + 1, kind: attribute(e, "t")}
	if at, ok := columnOf(attribute(e, "r")); ok {
		c.Column = at
	}
	if r.count++; c.Column >= MaxColumns || r.count > MaxColumns {
		return c, t.b.errorHere("a row may have at most %d columns: remove the other columns", MaxColumns)
	}
	if style := attribute(e, "s"); style != "" {
		c.style, _ = strconv.Atoi(style) // an invalid style becomes 0, which is not a date
	}
	return c, nil
}

// maxHidden is the maximum number of ranges of hidden columns that are kept.
const maxHidden = 1000

// hideColumns records a range of columns if the sheet does not show these columns.
func (b *Book) hideColumns(e xml.StartElement) {
	hidden, _ := strconv.ParseBool(attribute(e, "hidden")) // false if the attribute is missing
	first, err := strconv.Atoi(attribute(e, "min"))
	last, err2 := strconv.Atoi(attribute(e, "max"))
	if hidden && err == nil && err2 == nil && len(b.hiddenColumns) < maxHidden {
		b.hiddenColumns = append(b.hiddenColumns, columnRange{first - 1, last - 1})
	}
}

// columnName returns the letters of a column, from 0: A, B, … AA.
func columnName(column int) string {
	name := ""
	for n := column + 1; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}

// columnOf returns the column, from 0, of a cell name such as AB17. The result "ok" is false if the name is
// invalid.
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
