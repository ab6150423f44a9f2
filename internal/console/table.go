package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is a table: with lines between its cells on a terminal, as aligned text elsewhere.
type Table struct {
	Header []string // no header line if empty
	Rows   [][]string
	// Right are the indexes of the columns that are aligned to the right.
	Right []int
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Print prints the table, with lines if w is a terminal.
func (t *Table) Print(w io.Writer) error {
	if IsTerminal(w) {
		return t.Draw(w)
	}
	return t.Plain(w)
}

// Plain prints the table as aligned text.
func (t *Table) Plain(w io.Writer) error {
	var widths []int
	rows := t.Rows
	if len(t.Header) > 0 {
		rows = append([][]string{t.Header}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if slices.Contains(t.Right, i) {
				line.WriteString(gap + cell + "  ")
			} else {
				line.WriteString(cell + gap + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Draw prints the table with lines.
func (t *Table) Draw(w io.Writer) error {
	out := table.NewWriter()
	style := table.StyleLight
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = false
	out.SetStyle(style)
	line := func(cells []string) table.Row {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			row[i] = c
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
