package console

import (
	"io"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
)

// ProgressBar shows how much of a known total is done, followed by a text. It is not safe for
// concurrent use.
type ProgressBar struct {
	w io.Writer
	// bar is nil before the first call of Draw.
	bar *progressbar.ProgressBar
}

// NewProgressBar returns a bar for the terminal w. The first call of Draw draws the bar.
func NewProgressBar(w io.Writer) *ProgressBar { return &ProgressBar{w: w} }

const barWidth = 30

// smallBarWidth is the width of a bar that is followed by a text.
const smallBarWidth = 12

// Draw draws the bar over the bar of the previous call. The parameter "done" is the finished part
// of the parameter "total". Draw shortens the text so that the bar takes one line.
func (b *ProgressBar) Draw(done, total int, text string) {
	if b.bar == nil {
		b.bar = progressbar.NewOptions(max(total, 1),
			progressbar.OptionSetWriter(b.w), progressbar.OptionSetWidth(smallBarWidth), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
	}
	// A longer line would wrap, and each redraw would leave its first part on the screen.
	room := Width(b.w) - smallBarWidth - 2*len(FormatInt(total)) - 13
	b.bar.ChangeMax(max(total, 1))
	b.bar.Describe(OneLine(text, max(room, 10)))
	_ = b.bar.Set(done) // a failure to draw the bar does not matter
}

// Clear removes the bar if the bar is drawn. The next call of Draw draws the bar again.
func (b *ProgressBar) Clear() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

// CountBar is a progress bar that counts rows. It prints nothing if its writer is not a
// terminal. It is not safe for concurrent use.
type CountBar struct{ bar *progressbar.ProgressBar }

// NewCountBar returns a CountBar on w. The bar begins with the parameter "label", which names the
// rows. The parameter "total" is the number of rows, or 0 if it is not known.
func NewCountBar(w io.Writer, label string, total int) *CountBar {
	if !IsTerminal(w) {
		return &CountBar{}
	}
	if total == 0 {
		total = -1
	}
	return &CountBar{progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(label),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(barWidth))}
}

// Add counts one row.
func (c *CountBar) Add() {
	if c.bar != nil {
		_ = c.bar.Add(1) // a failure to draw the bar does not matter
	}
}

// End removes the bar. A second call of End does no harm.
func (c *CountBar) End() {
	if c.bar != nil {
		_ = c.bar.Finish()
		c.bar = nil
	}
}

// Meter computes a rate from the readings of the last meterSpan. Its zero value has no readings. It
// is not safe for concurrent use.
type Meter struct {
	readings []reading
}

// reading is a value, and the time when it was read.
type reading struct {
	at time.Time
	n  int
}

// meterSpan is the period over which the rate is averaged.
const meterSpan = 10 * time.Second

// Add adds the reading n at the time in the parameter "at". Times must not decrease.
func (m *Meter) Add(at time.Time, n int) {
	m.readings = append(m.readings, reading{at, n})
	old := slices.IndexFunc(m.readings, func(r reading) bool { return at.Sub(r.at) <= meterSpan })
	m.readings = m.readings[max(old, 0):]
}

// Rate returns the rate per second. If the meter has too few readings, Rate returns 0.
func (m *Meter) Rate() float64 {
	if len(m.readings) < 2 {
		return 0
	}
	first, last := m.readings[0], m.readings[len(m.readings)-1]
	if d := last.at.Sub(first.at).Seconds(); d > 0 && last.n > first.n {
		return float64(last.n-first.n) / d
	}
	return 0
}
