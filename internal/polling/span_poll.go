package polling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
)

const (
	// callsAtOnce is the number of calls of a span that are handled before the lease is extended again.
	callsAtOnce = 50
	// reportsAtOnce is the maximum number of reports that one run of a script applies.
	reportsAtOnce = 500
)

// errNoSpans means that the calls of a span are at a gateway that cannot list statuses.
var errNoSpans = errors.New("the gateway does not list delivery reports by time")

// handleSpan requests the reports of a leased span, and ends the lease. pause is how long the caller must wait before
// the next request. If a list is too long, handleSpan requests each half of its time range separately. If the process
// ends in between, another process continues at c.Position.
func (l *login) handleSpan(ctx context.Context, c Call) (pause time.Duration, err error) {
	now, err := l.ledger.Now(ctx)
	if err != nil {
		return firstPause, err
	}
	from, to := c.Span.asked(l.slack, l.slack<<min(c.Step, maxSlackSteps), now.Truncate(time.Millisecond)) // Position is in ms
	part := to.Sub(from)
	for i := 0; ; i++ {
		start := from.Add(time.Duration(c.Position) * time.Millisecond)
		if !start.Before(to) {
			return 0, l.finishSpan(ctx, c)
		}
		if ctx.Err() != nil || i >= atOnce {
			c.Due = now // other spans that are due have their turn first
			return 0, l.put(ctx, c)
		}
		end := start.Add(min(part, to.Sub(start)))
		var list []providers.ListedStatus
		list, err = l.list(ctx, c, start, end)
		if err == nil {
			err = l.applyList(ctx, c, list)
		}
		switch {
		case errors.Is(err, ErrLost):
			return 0, nil // another process continues
		case errors.Is(err, context.Canceled):
			return 0, l.put(ctx, c)
		case errors.Is(err, providers.ErrReplyTooLong) && part > shortestSpan:
			part = max((part / 2).Truncate(time.Millisecond), shortestSpan)
			continue
		case err != nil && isOnlyOfThis(err): // a repeated request would fail in the same way
			return 0, errors.Join(err, l.finishSpan(ctx, c))
		case err != nil:
			pause = l.pause(err)
			c.Due = now.Add(pause)
			return pause, errors.Join(err, l.put(ctx, c))
		}
		l.failures.Store(0)
		c.Position = int(end.Sub(from).Milliseconds())
	}
}

// isOnlyOfThis reports whether an error is an answer of the gateway that is about this request only.
func isOnlyOfThis(err error) bool {
	e, ok := errors.AsType[*providers.Error](err)
	return ok && !isForAll(e) && !isSilent(e)
}

// The method "list" waits for the budget, and requests the statuses of the messages from the time "start" to the
// time "end". If ctx ends before the request begins, the method returns context.Canceled. If ctx ends during the
// request, the request continues.
func (l *login) list(ctx context.Context, c Call, start, end time.Time) ([]providers.ListedStatus, error) {
	provider, ok := (*l.provider.Load()).(providers.SpanPoller)
	if !ok {
		return nil, errNoSpans
	}
	request := script.NewToken()
	until, err := l.reserve(ctx, c, request)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	asking, cancel := context.WithDeadline(ctx, until)
	list, err := provider.MessageStatuses(asking, start, end)
	cancel()
	ctx, cancel = context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return list, errors.Join(err, l.queue.Answered(ctx, c, request))
}

// applyList applies the final reports in a list to the messages of a span. If a call waits for no further report,
// applyList removes the call from the span. It continues even if ctx ends, because the request for the list has
// already used the budget.
func (l *login) applyList(ctx context.Context, c Call, list []providers.ListedStatus) error {
	ctx = context.WithoutCancel(ctx)
	by := make(map[string]providers.ListedStatus, len(list))
	for _, s := range list {
		if known, ok := by[s.ID]; !ok || s.Status.Final && !known.Status.Final {
			by[s.ID] = s
		}
	}
	names, err := l.queue.members(ctx, c.Span)
	if err != nil {
		return err
	}
	slices.Sort(names) // sorted, so that the calls of one campaign are together
	for some := range slices.Chunk(names, callsAtOnce) {
		if err := l.applySome(ctx, c, some, by); err != nil {
			return err
		}
	}
	return nil
}

// applySome does what applyList does, for the calls with the given names.
func (l *login) applySome(ctx context.Context, c Call, names []string, by map[string]providers.ListedStatus) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	now, err := l.ledger.Now(ctx)
	if err != nil {
		return err
	}
	var done []string
	var found []listed
	for _, name := range names {
		call, ok := parseMember(name)
		var messages []ledger.AwaitedReport
		if ok {
			messages, err = l.reports.Awaited(ctx, call, l.Sample)
		}
		if err != nil && ledger.AsUnreadable(err) == nil { // the worker that loads an unreadable record quarantines it
			return err
		}
		open := 0
		for _, m := range messages {
			s, ok := by[m.MessageID]
			if ok = ok && (s.To == 0 || s.To == m.To); ok && s.Status.Final {
				found = append(found, listed{call.BatchRef, reportOf(call, m, s.Status, c.Span.reported(s.At, now))})
				continue
			}
			if open++; ok {
				l.Count(tracking.Pending, 1)
			}
		}
		if open == 0 {
			done = append(done, name)
		}
	}
	if err := l.applyListed(ctx, found); err != nil {
		return err
	}
	return l.queue.Leave(ctx, c, l.lease(), done)
}

// The type "listed" is a final report that a gateway's list contains.
type listed struct {
	ledger.BatchRef
	ledger.Report
}

// applyListed applies final reports. The reports of one campaign must be together in the list.
func (l *login) applyListed(ctx context.Context, found []listed) error {
	for len(found) > 0 {
		n := 1
		for n < min(len(found), reportsAtOnce) && found[n].Campaign == found[0].Campaign && found[n].Upload == found[0].Upload {
			n++
		}
		reports := make([]ledger.Report, n)
		for i, x := range found[:n] {
			reports[i] = x.Report
		}
		if err := l.applyReports(ctx, found[0].Campaign, found[0].Upload, reports); err != nil {
			return err
		}
		found = found[n:]
	}
	return nil
}

// finishSpan ends a step of a span. After the last step, the span's messages do not wait for
// reports any more.
func (l *login) finishSpan(ctx context.Context, c Call) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	now, err := l.ledger.Now(ctx)
	if err != nil {
		return err
	}
	left, err := l.queue.members(ctx, c.Span)
	if err != nil {
		return err
	}
	if next := c.next(l.queue.schedule, now, l.For); len(left) > 0 && !next.Due.IsZero() {
		return l.queue.Put(ctx, next)
	}
	if err := l.queue.Leave(ctx, c, l.lease(), left); err != nil {
		return fmt.Errorf("stop waiting for delivery reports after the last request for a span of time: %w", err)
	}
	return l.queue.EndSpan(ctx, c)
}
