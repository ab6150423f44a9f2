package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns the width of a terminal in characters, or 80 if it is not known.
func terminalWidth(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// grid is a table: with lines between its cells on a terminal, as aligned text elsewhere.
type grid struct {
	header []string
	rows   [][]string
	// right are the indexes of the columns that are aligned to the right.
	right []int
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print prints the table, with lines if w is a terminal.
func (g *grid) print(w io.Writer) error {
	if isTerminal(w) {
		return g.draw(w)
	}
	return g.plain(w)
}

// plain prints the table as aligned text.
func (g *grid) plain(w io.Writer) error {
	var widths []int
	rows := g.rows
	if len(g.header) > 0 {
		rows = append([][]string{g.header}, rows...)
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
			if slices.Contains(g.right, i) {
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

// draw prints the table with lines.
func (g *grid) draw(w io.Writer) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = false
	t.SetStyle(style)
	line := func(cells []string) table.Row {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			row[i] = c
		}
		return row
	}
	if len(g.header) > 0 {
		t.AppendHeader(line(g.header))
	}
	for _, row := range g.rows {
		t.AppendRow(line(row))
	}
	var columns []table.ColumnConfig
	for _, i := range g.right {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// formatInt formats a number with thousands separators: 1,234,567.
func formatInt(n int) string {
	s := strconv.Itoa(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural formats a number of things: "1 recipient", "2 recipients".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return formatInt(n) + " " + thing + "s"
}

// formatRate formats a rate per second: with one decimal below 10, else as an integer.
func formatRate(rate float64) string {
	if rate >= 10 {
		return formatInt(int(rate+0.5)) + "/s"
	}
	return strconv.FormatFloat(rate, 'f', 1, 64) + "/s"
}

// formatDuration formats a duration in its two largest units.
func formatDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// formatTime formats a time as RFC 3339 in UTC, to the second. The zero time is an empty string.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// oneLine joins the lines of a text and cuts the result to limit characters at most.
func oneLine(s string, limit int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:max(limit-1, 0)]) + "…"
	}
	return s
}
