package console

import (
	"slices"
	"strings"
)

// Table.Fit makes a table narrower in three steps, until the table fits the screen. The first step
// keeps long words whole. The second step breaks them. The third step makes the columns even
// narrower. If the first step is not enough, Fit leaves out the columns in Table.Drop before the
// second step.
const (
	// longWord is the width, in characters, up to which the first step keeps a word whole. An ID is
	// one word.
	longWord = 40
	// readableWidth is the smallest width of a column in the first and in the second step.
	readableWidth = 20
	// leastWidth is the smallest width of a column in the third step.
	leastWidth = 12
)

// Fit returns a form of the table for a screen of the given width in characters. No line of the
// result is wider than the screen.
//
// If the table is too wide, Fit makes its columns of text narrower by breaking their cells between
// words into several lines. If that is not enough, it leaves out the columns in Drop. If that is
// not enough, it cuts the middle out of words, as in "sale-2…-west". It never shortens a cell of
// the columns in Right, because these columns have numbers.
//
// Fit returns false if the table is still too wide. Then the returned table has one line for each
// cell, and the caller must print it with Plain.
func (t *Table) Fit(width int) (Table, bool) {
	out := t.oneLine()
	if out.shrink(width, longWord, readableWidth) {
		return out, true
	}
	for _, dropped := range t.Drop {
		out.empty(dropped)
		if out.shrink(width, longWord, readableWidth) {
			return out.withoutEmpty(t.Drop), true
		}
	}
	if out.shrink(width, readableWidth, readableWidth) || out.shrink(width, leastWidth, leastWidth) {
		return out.withoutEmpty(t.Drop), true
	}
	return t.stacked(width), false
}

// oneLine returns a copy of the table. In the copy, all rows have the same number of cells, and each
// cell has one line.
func (t *Table) oneLine() Table {
	columns := len(t.widths())
	out := Table{Right: t.Right}
	line := func(cells []string) []string {
		row := make([]string, columns)
		for i, c := range cells {
			row[i] = printable(c)
		}
		return row
	}
	if len(t.Header) > 0 {
		out.Header = line(t.Header)
	}
	for _, row := range t.Rows {
		out.Rows = append(out.Rows, line(row))
	}
	return out
}

// The method "empty" removes the text of a column.
func (t *Table) empty(column int) {
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		if column < len(row) {
			row[column] = ""
		}
	}
}

// withoutEmpty returns a copy of the table. The copy omits each of the given columns that has no text,
// for example because the method "empty" has removed it.
func (t *Table) withoutEmpty(columns []int) Table {
	widths := t.widths()
	gone := func(i int) bool { return slices.Contains(columns, i) && widths[i] == 0 }
	keep := func(row []string) (kept []string) {
		for i, cell := range row {
			if !gone(i) {
				kept = append(kept, cell)
			}
		}
		return kept
	}
	out := Table{Header: keep(t.Header)}
	for _, row := range t.Rows {
		out.Rows = append(out.Rows, keep(row))
	}
	for at, i := 0, 0; i < len(widths); i++ {
		if gone(i) {
			continue
		}
		if slices.Contains(t.Right, i) {
			out.Right = append(out.Right, at)
		}
		at++
	}
	return out
}

// The method "shrink" makes the columns of text narrower, the widest first, until the table fits the
// parameter "width", in characters. It does not break words that have at most as many characters as
// the parameter "keep". The parameter "narrowest" is the smallest width of a column. If the table
// still does not fit, the method returns false and changes nothing.
func (t *Table) shrink(width, keep, narrowest int) bool {
	widths, words := t.widths(), t.longestWords()
	room := width
	for i, w := range widths {
		if w > 0 {
			room -= len(columnGap)
		}
		if slices.Contains(t.Right, i) {
			room -= w
		}
	}
	limited := func(limit int) (to []int, fits bool) {
		sum := 0
		for i, w := range widths {
			to = append(to, w)
			if !slices.Contains(t.Right, i) {
				to[i] = min(w, max(limit, narrowest, min(words[i], keep)))
				sum += to[i]
			}
		}
		return to, sum <= room
	}
	limit := max(slices.Max(append(widths, narrowest)), narrowest)
	to, fits := limited(limit)
	for ; !fits && limit > narrowest; limit-- {
		to, fits = limited(limit - 1)
	}
	if !fits {
		return false
	}
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			if displayWidth(cell) > to[i] {
				row[i] = strings.Join(wrapShort(cell, to[i]), "\n")
			}
		}
	}
	return true
}

// longestWords returns the display width of the longest word of each column.
func (t *Table) longestWords() []int {
	longest := make([]int, len(t.widths()))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			for word := range strings.FieldsSeq(cell) {
				longest[i] = max(longest[i], displayWidth(word))
			}
		}
	}
	return longest
}

// wrapShort wraps a cell as Wrap does, but cuts the middle out of a word that is too long for a
// line.
func wrapShort(cell string, width int) []string {
	words := strings.Fields(cell)
	for i, word := range words {
		words[i] = CutMiddle(word, width)
	}
	return Wrap(strings.Join(words, " "), width)
}

// CutMiddle shortens a text to the given number of terminal columns. In the result, "…" replaces the
// middle of the text.
func CutMiddle(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	runes := []rune(s)
	head, tail := 0, len(runes)
	room := max(width-1, 0)
	for taken := 0; ; {
		fromHead := head <= len(runes)-tail
		next := runes[head]
		if !fromHead {
			next = runes[tail-1]
		}
		if taken += displayWidth(string(next)); taken > room {
			return string(runes[:head]) + "…" + string(runes[tail:])
		}
		if fromHead {
			head++
		} else {
			tail--
		}
	}
}

// The method "stacked" returns the table as lines of the form "header: cell", with an empty line
// between two rows. A cell that is too long continues on the next line.
func (t *Table) stacked(width int) Table {
	out := Table{}
	for n, row := range t.Rows {
		if n > 0 && len(t.Header) > 0 {
			out.Add("")
		}
		for i, cell := range row {
			if cell = printable(cell); cell == "" {
				continue
			}
			line := cell
			if i < len(t.Header) && t.Header[i] != "" {
				line = t.Header[i] + ": " + cell
			}
			for _, part := range Wrap(line, width) {
				for _, piece := range cutToWidth(part, width) {
					out.Add(piece)
				}
			}
		}
	}
	return out
}

// cutToWidth cuts a text into pieces. The parameter "width" is the maximum width of a piece, in
// columns of a terminal.
func cutToWidth(s string, width int) (pieces []string) {
	piece := ""
	for _, r := range s {
		if piece != "" && displayWidth(piece+string(r)) > width {
			pieces, piece = append(pieces, piece), ""
		}
		piece += string(r)
	}
	return append(pieces, piece)
}
