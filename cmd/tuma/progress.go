package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// pollInterval is how often the status of a followed campaign is read.
	pollInterval = 250 * time.Millisecond
	// redisOutageLimit is how long Redis may be unreachable while a campaign is followed, because
	// Redis may restart.
	redisOutageLimit = time.Minute
	// lineInterval is how often a plain line is printed while only the counts change.
	lineInterval = 5 * time.Second
)

// follow shows a campaign's progress on standard error until enough returns true, and returns the
// last status.
func (a *app) follow(ctx context.Context, b *backend, id string, enough func(producer.Status) bool) (producer.Status, error) {
	p := newProgress(a.err, a.now)
	a.progress = p
	defer func() {
		p.end()
		a.progress = nil
	}()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var lost time.Time
	for {
		st, err := b.Status(ctx, id)
		switch {
		case ctx.Err() != nil:
			return st, fmt.Errorf("stopped watching; the campaign continues. To watch it again: tuma status %s --watch", id)
		case errors.Is(err, producer.ErrNotFound):
			return st, err
		case err != nil && lost.IsZero():
			lost = a.now()
			a.note("tuma: Redis does not answer (%s); retrying", oneLine(err.Error(), 100))
		case err != nil && a.now().Sub(lost) > redisOutageLimit:
			return st, err
		case err == nil:
			lost = time.Time{}
			p.show(st)
			if enough(st) {
				return st, nil
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// progress shows the progress of a campaign: as a bar on a terminal, else as plain lines.
type progress struct {
	w     io.Writer
	now   func() time.Time
	meter meter
	// bar is nil until it is first drawn, and stays nil if w is not a terminal.
	bar *progressbar.ProgressBar

	printedAt    time.Time
	printedState string // state and block reasons of the last printed line
}

func newProgress(w io.Writer, now func() time.Time) *progress { return &progress{w: w, now: now} }

// show displays a new status.
func (p *progress) show(st producer.Status) {
	now := p.now()
	settled := st.Total - st.Pending
	p.meter.add(now, settled)
	if isTerminal(p.w) {
		p.draw(st, settled, now)
		return
	}
	// Compare the block reasons, not their descriptions, which contain times and so always change.
	moment := string(st.State)
	for _, b := range st.BlockedBy {
		moment += " " + b.Account + ":" + b.Reason
	}
	if moment == p.printedState && now.Sub(p.printedAt) < lineInterval && !st.Ended() {
		return
	}
	p.printedAt, p.printedState = now, moment
	percent := 100
	if st.Total > 0 {
		percent = settled * 100 / st.Total
	}
	_, _ = fmt.Fprintf(p.w, "%s: %s, %s of %s (%d %%)%s\n", st.ID, st.State, formatInt(settled), formatInt(st.Total), percent, p.details(st, now))
}

// details returns the canary, rate, time left and block reasons of a status.
func (p *progress) details(st producer.Status, now time.Time) string {
	var parts []string
	if st.Canary != nil {
		parts = append(parts, "canary: "+canaryText(st.Canary))
	}
	if rate := p.meter.rate(); rate > 0 && !st.Ended() {
		parts = append(parts, formatRate(rate))
		if len(st.BlockedBy) == 0 {
			left := time.Duration(float64(st.Pending) / rate * float64(time.Second))
			parts = append(parts, formatDuration(left)+" left")
		}
	}
	if why := blockReasons(st, now); why != "" {
		parts = append(parts, "waiting: "+why)
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

const barWidth = 30

func (p *progress) draw(st producer.Status, settled int, now time.Time) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions(max(st.Total, 1),
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(barWidth), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
	}
	// A line longer than the terminal would leave its first part on the screen at every redraw.
	room := terminalWidth(p.w) - barWidth - 2*len(formatInt(st.Total)) - 16
	p.bar.Describe(oneLine(string(st.State)+p.details(st, now), max(room, 10)))
	_ = p.bar.Set(settled) // a failure to draw the bar does not matter
}

// note prints a line on standard error, above the progress bar if one is shown.
func (a *app) note(format string, args ...any) {
	if a.progress != nil {
		a.progress.end()
	}
	_, _ = fmt.Fprintf(a.err, format+"\n", args...)
}

// end removes the bar. The next status draws it again.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// meter computes a rate from the readings of the last meterSpan.
type meter struct {
	readings []reading
}

// reading is the number n of recipients that were settled at the time at.
type reading struct {
	at time.Time
	n  int
}

// meterSpan is the period that the rate is averaged over.
const meterSpan = 10 * time.Second

func (m *meter) add(at time.Time, n int) {
	m.readings = append(m.readings, reading{at, n})
	old := slices.IndexFunc(m.readings, func(r reading) bool { return at.Sub(r.at) <= meterSpan })
	m.readings = m.readings[max(old, 0):]
}

// rate returns the rate per second, or 0 if there are not enough readings.
func (m *meter) rate() float64 {
	if len(m.readings) < 2 {
		return 0
	}
	first, last := m.readings[0], m.readings[len(m.readings)-1]
	if d := last.at.Sub(first.at).Seconds(); d > 0 && last.n > first.n {
		return float64(last.n-first.n) / d
	}
	return 0
}
