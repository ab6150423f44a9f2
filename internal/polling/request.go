package polling

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
)

// The method "ask" waits for the budget, requests the report of a message from the gateway, and applies the answer. It
// then moves c.Position behind the message. After an error that any other message would get too (isForAll), or if Redis
// does not store the answer, c.Position stays. The result "final" is true if the message has a final report. If ctx ends
// before the request begins, the method returns the context's error. If ctx ends during the request, the request
// continues. If the gateway gave no usable answer, the method returns an error only if other messages may get it too.
func (l *login) ask(ctx context.Context, c *Call, m ledger.AwaitedReport) (final bool, err error) {
	request := script.NewToken()
	until, err := l.reserve(ctx, *c, request)
	if err != nil {
		return false, err
	}
	return l.send(ctx, until, c, m, request)
}

// reserve waits until the budget allows a request about a leased call. The result "until" is the time
// limit of the request.
func (l *login) reserve(ctx context.Context, c Call, request string) (until time.Time, err error) {
	for {
		// The request ends before the lease, because the time limit of the request starts before Ask extends
		// the lease.
		until := time.Now().Add(l.Timeout)
		wait, err := l.queue.Ask(ctx, c, request, l.lease())
		if err != nil || wait == 0 {
			return until, err
		}
		if sleep(ctx, wait); ctx.Err() != nil {
			return until, context.Canceled
		}
	}
}

// The method "send" sends one request and applies the answer. The budget has already granted the request.
func (l *login) send(ctx context.Context, until time.Time, c *Call, m ledger.AwaitedReport, request string) (final bool, err error) {
	ctx = context.WithoutCancel(ctx)
	asking, cancel := context.WithDeadline(ctx, until)
	status, failed := (*l.provider.Load()).MessageStatus(asking, m.MessageID)
	cancel()
	if !isForAll(failed) {
		c.Position = m.Position + 1
	}
	ctx, cancel = context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if failed == nil && status.Final {
		// The answer is applied before the position changes. So if the process ends here, no answer is lost.
		if err = l.apply(ctx, c, m, status); err != nil {
			c.Position = m.Position
		}
	} else if failed == nil {
		l.Count(tracking.Pending, 1)
	}
	err = errors.Join(err, l.queue.Answered(ctx, *c, request))
	if failed != nil && (isForAll(failed) || isSilent(failed)) {
		err = errors.Join(failed, err)
	}
	return failed == nil && status.Final, err
}

// isForAll reports whether a request about any other message would fail in the same way.
func isForAll(err error) bool {
	e, ok := errors.AsType[*providers.Error](err)
	return ok && e.Scope == providers.Account
}

// isSilent reports whether the gateway gave no answer, or answered that it cannot serve requests now. Tuma then sends no
// request to the gateway for a while. The next request is about another message, because the message
// of this request may be the cause.
func isSilent(err error) bool {
	e, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return true
	}
	switch e.Cause {
	case providers.CauseConnection, providers.CauseNoAnswer, providers.CauseGateway, providers.CauseThrottled:
		return true
	}
	return false
}

// apply applies a final report.
func (l *login) apply(ctx context.Context, c *Call, m ledger.AwaitedReport, status providers.MessageStatus) error {
	now, err := l.ledger.Now(ctx)
	if err != nil {
		return err
	}
	return l.applyReports(ctx, c.Campaign, c.Upload, []ledger.Report{reportOf(c.SentCall, m, status, now)})
}

// reportOf returns the final report of a message. The parameter "at" is the time of the report.
func reportOf(c ledger.SentCall, m ledger.AwaitedReport, status providers.MessageStatus, at time.Time) ledger.Report {
	r := ledger.Report{Batch: c.Name, Call: c.Call, Position: m.Position, Row: m.Row, MessageID: m.MessageID, Delivered: status.Delivered, At: at}
	var detail string
	r.State, detail, _ = strings.Cut(status.State, " ")
	if r.Reason = r.State; detail != "" {
		r.Reason = detail
	}
	return r
}

// applyReports applies final reports about messages of one campaign.
func (l *login) applyReports(ctx context.Context, campaign, upload string, reports []ledger.Report) error {
	out, err := l.reports.Apply(ctx, campaign, upload, reports)
	if err != nil {
		return err
	}
	var applied []tracking.Applied
	for i, r := range reports {
		switch {
		case out[i] == ledger.ReportRepeated:
			l.Count(tracking.Duplicate, 1)
		case out[i] == ledger.ReportApplied && r.Delivered:
			l.Count(tracking.Delivered, 1)
		case out[i] == ledger.ReportApplied:
			l.Count(tracking.Undelivered, 1)
		}
		if out[i] == ledger.ReportApplied {
			applied = append(applied, tracking.Applied{BatchRef: ledger.BatchRef{Campaign: campaign, Upload: upload, Name: r.Batch},
				DLR:   providers.DLR{MessageID: r.MessageID, Reason: r.Reason, Status: providers.MessageStatus{Final: true, Delivered: r.Delivered, State: r.State}},
				Batch: r.Batch, Call: r.Call, Position: r.Position})
		}
	}
	if len(applied) > 0 {
		l.applied(ctx, applied)
	}
	return nil
}
