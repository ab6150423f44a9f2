package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

const (
	// pollInterval is how long the method "follow" waits after a failed read of the status, before it
	// reads the status again.
	pollInterval = 250 * time.Millisecond
	// redisOutageLimit is how long the method "follow" repeats a read that Redis does not answer. Redis
	// may be restarting.
	redisOutageLimit = time.Minute
	// lineInterval is the time between two plain lines if only the counts have changed.
	lineInterval = 5 * time.Second
)

// follow shows a campaign's progress on standard error until the function "enough" returns true for
// the campaign's status. follow returns that status.
func (a *app) follow(ctx context.Context, client *producer.Client, id string, enough func(producer.Status) bool) (producer.Status, error) {
	p := newProgress(a.err, console.NewScreen(a.err, a.lookup), a.now)
	a.progress = p
	defer func() {
		p.bar.Clear()
		a.progress = nil
	}()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var lost time.Time
	for {
		for st, err := range client.Watch(ctx, id) { // ends at an error
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, producer.ErrNotFound):
				return st, err
			case err != nil && lost.IsZero():
				lost = a.now()
				a.note("tuma: Redis does not answer (%s); retrying", console.OneLine(err.Error(), 100))
			case err != nil && a.now().Sub(lost) > redisOutageLimit:
				return st, err
			case err == nil:
				lost = time.Time{}
				p.show(st)
				if enough(st) {
					return st, nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return producer.Status{ID: id}, fmt.Errorf("stopped watching; the campaign continues. To watch it again: tuma status %s --watch", id)
		case <-tick.C:
		}
	}
}

// progress shows the progress of a campaign: as a bar on a terminal, else as plain lines.
type progress struct {
	w      io.Writer
	screen console.Screen
	now    func() time.Time
	meter  console.Meter
	bar    *console.ProgressBar

	printedAt    time.Time
	printedState string // state and block reasons in the last printed line
}

func newProgress(w io.Writer, screen console.Screen, now func() time.Time) *progress {
	return &progress{w: w, screen: screen, now: now, bar: console.NewProgressBar(w)}
}

// show displays a new status.
func (p *progress) show(st producer.Status) {
	now := p.now()
	ended, total := sendable(st)
	p.meter.Add(now, ended)
	if console.IsTerminal(p.w) {
		p.bar.Draw(ended, total, string(st.State)+p.details(st, now))
		return
	}
	// Compare the block reasons and not their descriptions: the descriptions contain times, so they
	// change with every status.
	moment := string(st.State)
	for _, b := range st.BlockedBy {
		moment += " " + b.Account + ":" + b.Reason
	}
	if moment == p.printedState && now.Sub(p.printedAt) < lineInterval && !st.Ended() {
		return
	}
	p.printedAt, p.printedState = now, moment
	percent := 100
	if total > 0 {
		percent = ended * 100 / total
	}
	_, _ = fmt.Fprintf(p.w, "%s: %s, %s of %s (%d %%)%s\n", st.ID, st.State, console.FormatInt(ended), console.FormatInt(total), percent, p.details(st, now))
}

// sendable returns two counts of the recipients that are not skipped: how many of them have ended,
// and how many there are.
func sendable(st producer.Status) (ended, total int) {
	total = st.Total - st.Skipped
	return total - st.Pending, total
}

// details returns the text after the counts: the canary, the rate of the last ten seconds, the time
// left, the numbers of rejected, unknown and skipped recipients, and the block reasons. A narrow
// terminal does not show the end of this text.
func (p *progress) details(st producer.Status, now time.Time) string {
	var parts []string
	if st.Canary != nil {
		parts = append(parts, "canary: "+canaryText(st.Canary))
	}
	if rate := p.meter.Rate(); rate > 0 && !st.Ended() {
		parts = append(parts, console.FormatRate(rate))
	}
	if st.ETA != nil && len(st.BlockedBy) == 0 && !st.Ended() && (st.State == producer.Sending || st.State == producer.Planning) {
		parts = append(parts, console.FormatDuration(max(st.ETA.Sub(now), time.Second))+" left")
	}
	for _, x := range []struct {
		n    int
		name string
	}{{st.Rejected, "rejected"}, {st.Unknown, "unknown"}, {st.Skipped, "skipped"}} {
		if x.n > 0 && (st.Canary == nil || x.name == "skipped") { // the canary's text counts rejected and unknown recipients
			parts = append(parts, console.FormatInt(x.n)+" "+x.name)
		}
	}
	if why := blockReasons(st, p.screen, now); why != "" {
		parts = append(parts, "waiting: "+why)
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

// note prints a line on standard error, above the progress bar if one is shown.
func (a *app) note(format string, args ...any) {
	if a.progress != nil {
		a.progress.bar.Clear()
	}
	_, _ = fmt.Fprintf(a.err, format+"\n", args...)
}

// noteTime formats a time for the method "note": as local time if standard error is a terminal, else in UTC.
func (a *app) noteTime(t time.Time) string { return console.NewScreen(a.err, a.lookup).Time(t) }
