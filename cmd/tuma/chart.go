package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// chart shows how many things happened when, as columns above a line of time.
type chart struct {
	from  time.Time
	each  time.Duration // of a column
	bars  []int
	total int
}

// timeline counts what happened when. However much that is, and over however long a
// time, its memory is bounded: the steps it counts in grow.
type timeline struct {
	step        time.Duration
	counts      map[int64]int
	first, last time.Time
}

// mostSteps is enough for every terminal.
const maxSteps = 4096

func (l *timeline) add(at time.Time) {
	if at.IsZero() {
		return
	}
	if l.counts == nil {
		l.step, l.counts, l.first, l.last = time.Second, map[int64]int{}, at, at
	}
	if at.Before(l.first) {
		l.first = at
	}
	if at.After(l.last) {
		l.last = at
	}
	l.counts[at.UnixMilli()/l.step.Milliseconds()]++
	for len(l.counts) > maxSteps {
		wider := make(map[int64]int, maxSteps)
		for at, n := range l.counts {
			wider[at/2] += n
		}
		l.step, l.counts = 2*l.step, wider
	}
}

// busiest is the highest rate of all steps.
func (l *timeline) busiest() float64 {
	most := 0
	for _, n := range l.counts {
		most = max(most, n)
	}
	if most == 0 {
		return 0
	}
	return float64(most) / l.step.Seconds()
}

// niceSteps are spans of time that people count in.
var niceSteps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// chart makes at most so many columns of it.
func (l *timeline) chart(columns int) chart {
	if len(l.counts) == 0 {
		return chart{}
	}
	from, until := l.first.UTC(), l.last.UTC().Add(time.Millisecond)
	c := chart{}
	least := max(l.step, (until.Sub(from)+time.Duration(columns)-1)/time.Duration(columns))
	for _, nice := range niceSteps {
		// Truncating the beginning may take one column more.
		if nice >= least && int(until.Sub(from.Truncate(nice))+nice-1)/int(nice) <= columns {
			c.each = nice
			break
		}
	}
	c.each = cmp.Or(c.each, least.Truncate(24*time.Hour)+24*time.Hour)
	c.from = from.Truncate(c.each)
	c.bars = make([]int, int(until.Sub(c.from)+c.each-1)/int(c.each))
	for at, n := range l.counts {
		// A step may begin before the first of what it counts.
		c.bars[max(0, int(time.UnixMilli(at*l.step.Milliseconds()).Sub(c.from)/c.each))] += n
		c.total += n
	}
	return c
}

// glyphs are what a chart is drawn with.
type glyphs struct {
	// parts of a character, from nearly nothing to all of it.
	parts              []string
	side, corner, line string
}

var (
	blockGlyphs = glyphs{[]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "│", "└", "─"}
	plainGlyphs = glyphs{[]string{".", ":", "#"}, "|", "+", "-"}
)

// chartHeight is in lines.
const chartHeight = 5

// widestColumn is in characters.
const maxColumnWidth = 4

// print draws the chart into so many characters; the scale is in things a second.
func (c chart) print(w io.Writer, g glyphs, room int) error {
	if len(c.bars) == 0 {
		return nil
	}
	wide := min(max(room/len(c.bars), 1), maxColumnWidth)
	top := slices.Max(append([]int{1}, c.bars...))
	label := formatRate(float64(top) / c.each.Seconds())
	margin := len(label)
	var b strings.Builder
	for line := chartHeight - 1; line >= 0; line-- {
		name := ""
		if line == chartHeight-1 {
			name = label
		}
		var row strings.Builder
		for _, n := range c.bars {
			row.WriteString(strings.Repeat(g.glyph(n, top, line), wide))
		}
		fmt.Fprintf(&b, "%*s %s%s\n", margin, name, g.side, strings.TrimRight(row.String(), " "))
	}
	width := len(c.bars) * wide
	fmt.Fprintf(&b, "%*s %s%s\n", margin, "0", g.corner, strings.Repeat(g.line, width))
	until := c.from.Add(time.Duration(len(c.bars)) * c.each)
	first, last := c.timeLabel(c.from), c.timeLabel(until)
	if gap := width - len(first) - len(last); gap >= 1 {
		fmt.Fprintf(&b, "%*s  %s%s%s\n", margin, "", first, strings.Repeat(" ", gap), last)
	} else {
		fmt.Fprintf(&b, "%*s  %s to %s\n", margin, "", first, last)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// moment writes a time as exactly as the columns need it.
func (c chart) timeLabel(t time.Time) string {
	day := 24 * time.Hour
	switch length := time.Duration(len(c.bars)) * c.each; {
	case length > 2*day && c.each%day == 0:
		return t.Format("2006-01-02")
	case length > day:
		return t.Format("01-02 15:04")
	case c.each%time.Minute == 0:
		return t.Format("15:04")
	}
	return t.Format("15:04:05")
}

// part is what of a column of height n stands in a line, counted from below. What is
// more than nothing shows.
func (g glyphs) glyph(n, top, line int) string {
	if n == 0 {
		return " "
	}
	steps := len(g.parts)
	height := max(1, (n*chartHeight*steps+top/2)/top)
	switch filled := height - line*steps; {
	case filled <= 0:
		return " "
	case filled >= steps:
		return g.parts[steps-1]
	default:
		return g.parts[filled-1]
	}
}
