package console

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Chart is a histogram over time. Bars[i] counts the events of one period. The period has the
// length Each, and starts at From + i*Each.
type Chart struct {
	From time.Time     // start of the first bar, in UTC
	Each time.Duration // length of time that one bar covers
	Bars []int         // number of events in each bar
}

// Timeline counts events in steps of equal length. To bound its memory, it doubles the length of
// its steps when there are more than maxSteps steps. Its zero value is empty. It is not safe for
// concurrent use.
type Timeline struct {
	step        time.Duration
	counts      map[int64]int
	first, last time.Time
}

// maxSteps is the maximum number of steps of a timeline. All terminals have fewer columns.
const maxSteps = 4096

// Add counts an event. It ignores the zero time.
func (l *Timeline) Add(at time.Time) {
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

// First returns the time of the first event, or the zero time if the timeline is empty.
func (l *Timeline) First() time.Time { return l.first }

// Last returns the time of the last event, or the zero time if the timeline is empty.
func (l *Timeline) Last() time.Time { return l.last }

// Busiest returns the rate of the step with the most events, in events a second.
func (l *Timeline) Busiest() float64 {
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

// Chart returns the timeline as a chart. The parameter "columns" is the maximum number of bars.
func (l *Timeline) Chart(columns int) Chart {
	if len(l.counts) == 0 {
		return Chart{}
	}
	from, until := l.first.UTC(), l.last.UTC().Add(time.Millisecond)
	c := Chart{}
	least := max(l.step, (until.Sub(from)+time.Duration(columns)-1)/time.Duration(columns))
	for _, nice := range niceSteps {
		// Rounding the start down to a multiple of the variable "nice" may require one more
		// column.
		if nice >= least && int(until.Sub(from.Truncate(nice))+nice-1)/int(nice) <= columns {
			c.Each = nice
			break
		}
	}
	c.Each = cmp.Or(c.Each, least.Truncate(24*time.Hour)+24*time.Hour)
	c.From = from.Truncate(c.Each)
	c.Bars = make([]int, int(until.Sub(c.From)+c.Each-1)/int(c.Each))
	for at, n := range l.counts {
		// A step may start before c.From. Its events are counted in the first bar.
		c.Bars[max(0, int(time.UnixMilli(at*l.step.Milliseconds()).Sub(c.From)/c.Each))] += n
	}
	return c
}

// Glyphs are the characters with which a chart is drawn.
type Glyphs struct {
	// parts are characters that are filled from the bottom. The first one is nearly empty, and
	// the last one is full.
	parts              []string
	side, corner, line string
}

// Glyphs of charts.
var (
	// BlockGlyphs are for terminals that show block characters.
	BlockGlyphs = Glyphs{[]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "│", "└", "─"}
	// PlainGlyphs are ASCII.
	PlainGlyphs = Glyphs{[]string{".", ":", "#"}, "|", "+", "-"}
)

// chartHeight is the height of the bars, in lines.
const chartHeight = 5

// maxColumnWidth is the maximum width of a bar, in characters.
const maxColumnWidth = 4

// Print writes the chart. The parameter "room" is the maximum width of all bars together, in
// characters. The scale is in events a second.
func (c Chart) Print(w io.Writer, g Glyphs, room int) error {
	if len(c.Bars) == 0 {
		return nil
	}
	wide := min(max(room/len(c.Bars), 1), maxColumnWidth)
	top := slices.Max(append([]int{1}, c.Bars...))
	label := FormatRate(float64(top) / c.Each.Seconds())
	margin := len(label)
	var b strings.Builder
	for line := chartHeight - 1; line >= 0; line-- {
		name := ""
		if line == chartHeight-1 {
			name = label
		}
		var row strings.Builder
		for _, n := range c.Bars {
			row.WriteString(strings.Repeat(g.glyph(n, top, line), wide))
		}
		fmt.Fprintf(&b, "%*s %s%s\n", margin, name, g.side, strings.TrimRight(row.String(), " "))
	}
	width := len(c.Bars) * wide
	fmt.Fprintf(&b, "%*s %s%s\n", margin, "0", g.corner, strings.Repeat(g.line, width))
	until := c.From.Add(time.Duration(len(c.Bars)) * c.Each)
	first, last := c.timeLabel(c.From), c.timeLabel(until)
	if gap := width - len(first) - len(last); gap >= 1 {
		fmt.Fprintf(&b, "%*s  %s%s%s\n", margin, "", first, strings.Repeat(" ", gap), last)
	} else {
		fmt.Fprintf(&b, "%*s  %s to %s\n", margin, "", first, last)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// timeLabel formats a time with the precision of the bars: date, minutes or seconds.
func (c Chart) timeLabel(t time.Time) string {
	day := 24 * time.Hour
	switch length := time.Duration(len(c.Bars)) * c.Each; {
	case length > 2*day && c.Each%day == 0:
		return t.Format("2006-01-02")
	case length > day:
		return t.Format("01-02 15:04")
	case c.Each%time.Minute == 0:
		return t.Format("15:04")
	}
	return t.Format("15:04:05")
}

// The method "glyph" returns the character in one line of the chart for a bar of n events. Line 0
// is the lowest line. The parameter "top" is the number of events of the highest bar. A bar with at
// least one event is always visible in line 0.
func (g Glyphs) glyph(n, top, line int) string {
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
