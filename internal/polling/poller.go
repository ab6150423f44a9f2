package polling

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// Account is an account whose delivery reports are requested from the gateway.
type Account struct {
	Name     string
	Provider providers.StatusPoller
	// Login is the fingerprint of the login (providers.Info.Fingerprint).
	Login string
	// Rate is the maximum number of requests a second that all processes send together. The default is DefaultRate.
	Rate ratelimit.Rate
	// The field "For" is how long a message waits for its report.
	For time.Duration
	// Sample is the number of messages of a campaign whose reports are requested. 0 means all messages.
	Sample int
	// Timeout is the time limit of one request. The default is 30 s.
	Timeout time.Duration
	// Count counts reports by result. It may be nil.
	Count func(r tracking.Result, n int)
}

// Config configures a Poller.
type Config struct {
	Ledger *ledger.Ledger
	Log    zerolog.Logger
	// Accounts are the accounts to poll. If several accounts have the same login, the Poller
	// uses the first of these accounts.
	Accounts []Account
	// Schedule has the times of the requests about a message, counted from its acceptance. The default is one minute,
	// ten minutes, one hour, 6, 24 and 72 hours. Tests set shorter times.
	Schedule []time.Duration
	// Slack is how much earlier than its span a requested time range begins. In the first step, the range also ends
	// later than the span by Slack. In the next three steps, the range ends later by two, four and eight times Slack,
	// because a gateway may name a late time for a message. The default is two minutes. Tests set a shorter Slack.
	Slack time.Duration
	// Applied is called after final reports were applied. It may be nil. The Poller calls it from several goroutines at
	// once.
	Applied func(ctx context.Context, reports []tracking.Applied)
}

// maxSlackSteps is the number of steps that each double the time between the end of a span and the end of its
// requested time range (see Config.Slack).
const maxSlackSteps = 3

// Poller asks gateways for the delivery reports of accepted messages, and applies the reports. Any number of Pollers
// may run on one Redis. Two Pollers never handle the same call at the same time. All Pollers share the budget of a
// login.
type Poller struct {
	logins []*login
}

// New returns a Poller. New sends nothing to Redis or to gateways.
func New(c Config) *Poller {
	p := &Poller{}
	reports := ledger.NewReports(c.Ledger)
	if c.Applied == nil {
		c.Applied = func(context.Context, []tracking.Applied) {}
	}
	for _, a := range c.Accounts {
		if slices.ContainsFunc(p.logins, func(l *login) bool { return l.Login == a.Login }) {
			continue
		}
		if a.Timeout <= 0 {
			a.Timeout = defaultTimeout
		}
		if a.Count == nil {
			a.Count = func(tracking.Result, int) {}
		}
		q := NewQueue(c.Ledger.Runner(), a.Login, a.Rate)
		if len(c.Schedule) > 0 {
			q.schedule = c.Schedule
		}
		l := &login{Account: a, queue: q, ledger: c.Ledger, reports: reports, slack: cmp.Or(c.Slack, spanSlack), applied: c.Applied, log: c.Log.With().Str("account", a.Name).Logger()}
		l.provider.Store(&a.Provider)
		p.logins = append(p.logins, l)
	}
	return p
}

// SetProvider replaces the client of a login, e.g. after a change of its password. The old client
// completes its requests in flight.
func (p *Poller) SetProvider(fingerprint string, provider providers.StatusPoller) {
	for _, l := range p.logins {
		if l.Login == fingerprint {
			l.provider.Store(&provider)
		}
	}
}

const (
	defaultTimeout = 30 * time.Second
	// leaseMargin is how much longer the lease of a call is than the time limit of one request.
	leaseMargin = 10 * time.Second
	// redisTimeout is the time limit of storing the answer to a request.
	redisTimeout = 10 * time.Second
	// atOnce is the maximum number of requests about one call before other campaigns have their turn.
	atOnce = 20
	// maxAskers is the maximum number of requests that a process has in flight at one login.
	maxAskers = 8
	// After the gateway gave no usable answer, the login sends no request for a while. firstPause and longestPause are
	// the shortest and the longest time of this pause.
	firstPause, longestPause = time.Second, time.Minute
)

// Run requests delivery reports until ctx ends. Then it waits for the answers to the requests in flight, at most
// for the time limit of one request.
func (p *Poller) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, l := range p.logins {
		for range min(l.queue.budget.parts, maxAskers) {
			group.Go(func() { l.run(ctx) })
		}
	}
	group.Wait()
}

// The type "login" requests the delivery reports of the accounts that share one login at a gateway.
type login struct {
	Account
	queue    *Queue
	ledger   *ledger.Ledger
	reports  *ledger.Reports
	slack    time.Duration
	applied  func(context.Context, []tracking.Applied)
	log      zerolog.Logger
	provider atomic.Pointer[providers.StatusPoller]
	// failures is the number of requests in a row without a usable answer. It determines the length
	// of the pause.
	failures atomic.Int32
}

func (l *login) lease() time.Duration { return l.Timeout + leaseMargin }

// The method "run" handles due calls, one after the other, until ctx ends.
func (l *login) run(ctx context.Context) {
	for ctx.Err() == nil {
		c, wait, ok, err := l.queue.Take(ctx, l.lease())
		switch {
		case ok && c.Span.Length > 0:
			wait, err = l.handleSpan(ctx, c)
		case ok:
			wait, err = l.handle(ctx, c)
		}
		if err != nil && ctx.Err() == nil {
			l.log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Msg("asking for delivery reports failed; will retry")
		}
		sleep(ctx, wait)
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// The method "handle" requests the reports of the messages of a leased call, and ends the lease. pause is how long the
// caller must wait before the next request.
func (l *login) handle(ctx context.Context, c Call) (pause time.Duration, err error) {
	messages, err := l.reports.Awaited(ctx, c.SentCall, l.Sample)
	if ledger.AsUnreadable(err) != nil {
		messages, err = nil, nil // the worker that loads the batch quarantines the record
	}
	if err != nil {
		return firstPause, err // a process takes the call again when the lease has ended
	}
	open := false // true if a message that was requested in this turn has no final report
	first := c.Position
	for i, m := range messages {
		if m.Position < first {
			open = true
			continue
		}
		c.Position = m.Position
		if ctx.Err() != nil || i >= atOnce && messages[i-atOnce].Position >= first {
			return 0, l.put(ctx, c) // the remaining messages of the call wait for its next turn
		}
		var final bool
		final, err = l.ask(ctx, &c, m)
		switch {
		case errors.Is(err, ErrLost):
			return 0, nil // another process continues
		case errors.Is(err, context.Canceled):
			return 0, l.put(ctx, c)
		case err != nil:
			pause = l.pause(err)
			c.Due = time.Now().Add(pause)
			return pause, errors.Join(err, l.put(ctx, c))
		}
		l.failures.Store(0)
		open = open || !final
	}
	return 0, l.finish(ctx, c, open)
}

// The method "finish" ends a step of a call. The parameter "open" is true if a message of the call
// has no final report.
func (l *login) finish(ctx context.Context, c Call, open bool) error {
	now, err := l.ledger.Now(ctx)
	if err != nil {
		return err
	}
	if !open {
		c.Due = time.Time{}
		return l.put(ctx, c)
	}
	return l.put(ctx, c.next(l.queue.schedule, now, l.For))
}

// The method "put" ends the lease of a call, even if the process is about to end.
func (l *login) put(ctx context.Context, c Call) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	return l.queue.Put(ctx, c)
}

// The method "pause" returns how long no request is sent to the gateway after an error. The time grows from one failure
// to the next.
func (l *login) pause(err error) time.Duration {
	n := min(l.failures.Add(1)-1, 6)
	d := min(firstPause<<n, longestPause)
	if e, ok := errors.AsType[*providers.Error](err); ok {
		d = max(d, min(e.RetryAfter, time.Hour))
	}
	return d
}
