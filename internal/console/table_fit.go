package console

import (
	"slices"
	"strings"
)

// A narrow screen makes columns of text narrower in three steps, each with a smallest width. Before
// leastWidth, columns in Table.Drop are left out.
const (
	// longWord is the longest word that the first step leaves whole. An ID is one word.
	longWord = 40
	// readableWidth is the smallest width of the first step and of the second.
	readableWidth = 20
	// leastWidth is the smallest width of the third step.
	leastWidth = 12
)

// Fit returns the table for a screen of the given width in characters, so that no line is wider. If
// the table is too wide, its columns of text are made narrower: their cells are broken between words
// into several lines. Then the columns in Drop are left out. Then words lose their middle, as in
// "sale-2…-west". Numbers, which Right aligns, stay whole. Fit reports false if even that is too wide:
// the result then has one line for each cell, and is for Plain.
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

// oneLine returns a copy of the table whose rows all have the same number of cells, of one line each.
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

// empty removes the text of a column.
func (t *Table) empty(column int) {
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		if column < len(row) {
			row[column] = ""
		}
	}
}

// withoutEmpty returns the table without those of the given columns that empty has emptied.
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

// shrink makes the columns of text narrower until the table fits, the widest first. A column stays as
// wide as its longest word, but at least least and at most word. shrink reports false, and changes
// nothing, if the table does not fit then.
func (t *Table) shrink(width, word, least int) bool {
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
				to[i] = min(w, max(limit, least, min(words[i], word)))
				sum += to[i]
			}
		}
		return to, sum <= room
	}
	limit := max(slices.Max(append(widths, least)), least)
	to, fits := limited(limit)
	for ; !fits && limit > least; limit-- {
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

// CutMiddle shortens a text to at most width columns of a terminal: "…" replaces its middle.
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

// stacked returns the table as lines "header: cell", with an empty line between two rows. A cell that is
// too long continues on the next line.
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

// cutToWidth cuts a text into pieces that are at most width columns of a terminal wide.
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
