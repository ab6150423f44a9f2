package console

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is a table. On a terminal it has a line below its header, and is not wider than the screen
// (see Fit). Elsewhere it is printed as aligned text, with every cell in full.
type Table struct {
	Header []string // if empty, the table has no header line
	Rows   [][]string
	// Right are the indexes of the columns that are aligned to the right.
	Right []int
	// The field "Drop" has the indexes of the columns that Fit may leave out on a narrow screen. Fit
	// leaves them out in this order.
	Drop []int
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Print prints the table like Draw if w is a terminal that is wide enough, and otherwise like Plain.
func (t *Table) Print(w io.Writer) error {
	if !IsTerminal(w) {
		return t.Plain(w)
	}
	fitted, ok := t.Fit(Width(w))
	if !ok || len(t.Rows) == 0 {
		return fitted.Plain(w)
	}
	return fitted.Draw(w)
}

// Plain prints the table as aligned text.
func (t *Table) Plain(w io.Writer) error {
	widths := t.widths()
	rows := t.Rows
	if len(t.Header) > 0 {
		rows = append([][]string{t.Header}, rows...)
	}
	var b strings.Builder
	for _, row := range rows {
		for _, cells := range printedLines(row) {
			var line strings.Builder
			for i, cell := range cells {
				gap := strings.Repeat(" ", widths[i]-displayWidth(cell))
				if slices.Contains(t.Right, i) {
					line.WriteString(gap + cell + columnGap)
				} else {
					line.WriteString(cell + gap + columnGap)
				}
			}
			b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// columnGap is the space between two columns. The tables of Draw have the same space.
const columnGap = "  "

// printedLines divides a row whose cells have several lines into rows whose cells have one line.
func printedLines(row []string) [][]string {
	var out [][]string
	for i, cell := range row {
		for n, part := range strings.Split(cell, "\n") {
			if n == len(out) {
				out = append(out, make([]string, len(row)))
			}
			out[n][i] = printable(part)
		}
	}
	return out
}

// The function "printable" returns a cell without characters that could break a line or control the
// terminal.
func printable(cell string) string { return ReplaceControls(strings.ReplaceAll(cell, "\n", " ")) }

// displayWidth returns how many columns of a terminal a line of text takes.
func displayWidth(s string) int { return text.StringWidthWithoutEscSequences(s) }

// widths returns the display width of each column.
func (t *Table) widths() []int {
	var widths []int
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			for line := range strings.SplitSeq(cell, "\n") {
				widths[i] = max(widths[i], displayWidth(printable(line)))
			}
		}
	}
	return widths
}

// Draw prints the table with a line below its header.
func (t *Table) Draw(w io.Writer) error {
	out := table.NewWriter()
	style := table.StyleLight
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = false
	out.SetStyle(style)
	line := func(cells []string) table.Row {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			var lines []string
			for l := range strings.SplitSeq(c, "\n") {
				lines = append(lines, printable(l))
			}
			row[i] = strings.Join(lines, "\n")
		}
		return row
	}
	if len(t.Header) > 0 {
		out.AppendHeader(line(t.Header))
	}
	for _, row := range t.Rows {
		out.AppendRow(line(row))
	}
	var columns []table.ColumnConfig
	for _, i := range t.Right {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	out.SetColumnConfigs(columns)
	_, err := fmt.Fprintln(w, out.Render())
	return err
}
