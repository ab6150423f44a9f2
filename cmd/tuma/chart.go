package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// chart is a histogram over time: bars[i] counts the events of the period that starts at from +
// i*each and lasts each.
type chart struct {
	from  time.Time
	each  time.Duration // length of time that one bar covers
	bars  []int
	total int // sum of bars
}

// timeline counts events by time. To bound its memory, timeline doubles the length of its steps
// when there are more than maxSteps.
type timeline struct {
	step        time.Duration
	counts      map[int64]int
	first, last time.Time
}

// maxSteps is the maximum number of steps of a timeline. No terminal has more columns.
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

// busiest returns the highest rate of a step, in events a second.
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

// niceSteps are the round lengths of time that a bar may cover, shortest first.
var niceSteps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// chart returns the timeline as a chart of at most columns bars.
func (l *timeline) chart(columns int) chart {
	if len(l.counts) == 0 {
		return chart{}
	}
	from, until := l.first.UTC(), l.last.UTC().Add(time.Millisecond)
	c := chart{}
	least := max(l.step, (until.Sub(from)+time.Duration(columns)-1)/time.Duration(columns))
	for _, nice := range niceSteps {
		// Rounding the start down to a multiple of nice may require one more column.
		if nice >= least && int(until.Sub(from.Truncate(nice))+nice-1)/int(nice) <= columns {
			c.each = nice
			break
		}
	}
	c.each = cmp.Or(c.each, least.Truncate(24*time.Hour)+24*time.Hour)
	c.from = from.Truncate(c.each)
	c.bars = make([]int, int(until.Sub(c.from)+c.each-1)/int(c.each))
	for at, n := range l.counts {
		// A step may start before c.from; its events are counted in the first bar.
		c.bars[max(0, int(time.UnixMilli(at*l.step.Milliseconds()).Sub(c.from)/c.each))] += n
		c.total += n
	}
	return c
}

// glyphs are the characters that a chart is drawn with.
type glyphs struct {
	// parts are characters filled from the bottom, from nearly empty to full.
	parts              []string
	side, corner, line string
}

var (
	blockGlyphs = glyphs{[]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "│", "└", "─"}
	plainGlyphs = glyphs{[]string{".", ":", "#"}, "|", "+", "-"}
)

// chartHeight is the height of the bars, in lines.
const chartHeight = 5

// maxColumnWidth is the maximum width of a bar, in characters.
const maxColumnWidth = 4

// print writes the chart. Its bars are at most room characters wide; the scale is in events a second.
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

// timeLabel formats a time with the precision of the bars: date, minutes or seconds.
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

// glyph returns the character of a bar of value n in one line of the chart; line 0 is the
// lowest and top is the highest value. A value above 0 always shows in line 0.
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
