package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// giveUpAfter is the time after the first attempt for which Tuma tries to deliver a message. After that time
	// Tuma moves the message to the dead list.
	giveUpAfter = 24 * time.Hour
	// firstRetry is the wait after the first attempt. Each further wait is twice as long as the wait before, up to
	// lastRetry.
	firstRetry, lastRetry = 5 * time.Second, time.Hour
	// openAfter is how many requests must fail in a row before Tuma pauses an endpoint. During a pause Tuma
	// sends one message at a time, to find out whether the receiver is back, and reads no further event.
	openAfter = 5
	// firstPause is the length of the first pause. Each further pause is twice as long as the pause before, up to
	// lastPause.
	firstPause, lastPause = 5 * time.Second, 5 * time.Minute
	// busyAfter is the wait before a process asks again for a lease that another process has. It is also the longest
	// time until a process notices that the state has changed.
	busyAfter = 5 * time.Second
	// maxBatches is how many batches one pass delivers.
	maxBatches = 100
	// commitTimeout is the time limit for the writes after a request.
	commitTimeout = 10 * time.Second
)

// backOff returns the wait before attempt n+1. It chooses the wait at random between half of a maximum and the whole
// maximum. After the first attempt, the maximum is the parameter "first". It doubles with each further attempt, up to
// the parameter "last".
func backOff(n int, first, last time.Duration) time.Duration {
	d := last
	if n < 20 {
		d = min(first<<max(n-1, 0), last)
	}
	return d/2 + rand.N(d/2+1)
}

// The method "pass" delivers the messages that are due at an endpoint. It returns how long to wait before the next
// pass. Only one process at a time delivers to an endpoint.
func (s *Service) pass(ctx context.Context, name string) (time.Duration, error) {
	p := &pass{Service: s, name: name}
	for range maxBatches {
		if ctx.Err() != nil {
			return 0, nil //nolint:nilerr // the process ends
		}
		wait, err := p.step(ctx)
		if errors.Is(err, errBusy) || errors.Is(err, producer.ErrNotFound) {
			return busyAfter, nil // another process delivers, or the endpoint was deleted
		}
		if err != nil {
			return busyAfter, err
		}
		if wait > 0 {
			return wait, nil
		}
	}
	return 0, nil
}

// pass is one run of deliveries to an endpoint.
type pass struct {
	*Service
	name string
	// The field "events" has the events that follow the position "cursor" in the event stream, as far as this
	// pass has read them.
	cursor string
	events []producer.Event
}

// The method "step" delivers one batch and returns 0. If no batch is due, it returns how long to wait.
func (p *pass) step(ctx context.Context) (wait time.Duration, err error) {
	st, err := p.begin(ctx, p.name, p.token)
	if err != nil {
		return 0, err
	}
	e, err := p.endpoint(ctx, p.name) // the endpoint may have changed, or may be deleted
	if err != nil {
		return 0, err
	}
	now, err := p.now(ctx)
	if err != nil {
		return 0, err
	}
	if st.gone == e.fingerprint() {
		return busyAfter, nil
	}
	if wait := st.open.Sub(now); wait > 0 {
		return min(wait, busyAfter), nil
	}
	if st.cursor == "" {
		if st.cursor, err = p.start(ctx, e.Name); err != nil {
			return 0, err
		}
	}
	if err := p.read(ctx, st.cursor); err != nil {
		return 0, err
	}
	b, used, err := p.pick(ctx, &e, st, p.events, now)
	if err != nil {
		return 0, err
	}
	if len(b.attempts) == 0 && len(b.parked) == 0 && b.cursor == st.cursor {
		return p.poll, nil
	}
	p.events, p.cursor = p.events[used:], b.cursor
	return 0, p.deliver(ctx, &e, st, b, now)
}

// The method "read" reads events after a cursor. It does nothing while events of an earlier read are left.
func (p *pass) read(ctx context.Context, cursor string) error {
	if len(p.events) > 0 && p.cursor == cursor {
		return nil
	}
	p.events, p.cursor = p.events[:0], cursor
	for e, err := range p.client.PastEvents(ctx, cursor) {
		if err != nil {
			return err
		}
		if p.events = append(p.events, e); len(p.events) >= readAtOnce {
			break
		}
	}
	return nil
}

// deliver sends the messages of a batch at the same time, and writes their outcomes. A message whose outcome is not
// written is sent again.
func (s *Service) deliver(ctx context.Context, e *Endpoint, st state, b batch, now time.Time) error {
	// When the process stops, a request in flight is not aborted. Otherwise the receiver could get the
	// message twice.
	ctx = context.WithoutCancel(ctx)
	outcomes := make([]Attempt, len(b.attempts))
	var group sync.WaitGroup
	for i, a := range b.attempts {
		group.Go(func() { outcomes[i] = s.sender.send(ctx, e, a.id(), now, a.Body) })
	}
	group.Wait()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	args, changes, err := s.judge(e, st, b, outcomes, now)
	if err != nil {
		return err
	}
	return s.commit(ctx, e.Name, args, changes)
}

// judge returns what must be written after a batch: a change for each message that the batch did not deliver, and
// the new state of the endpoint.
func (s *Service) judge(e *Endpoint, st state, b batch, outcomes []Attempt, now time.Time) (commitArgs, []change, error) {
	args := commitArgs{Token: s.token, Cursor: b.cursor, Failures: st.failures, Gone: st.gone}
	changes := b.parked
	delivered := 0
	for i, out := range outcomes {
		a := b.attempts[i]
		if out.Delivered {
			delivered++
			args.OkAt = now
			if !a.fresh {
				changes = append(changes, change{Action: actionDone, Member: a.String()})
			}
			continue
		}
		args.Failures++
		args.Error, args.ErrorAt = out.Error, now
		if out.Status == statusGone {
			args.Gone = e.fingerprint()
		}
		c, err := failed(a, out, now)
		if err != nil {
			return args, nil, err
		}
		changes = append(changes, c)
		if c.Action == actionDead {
			s.log.Error().Str("webhook", e.Name).Str("message", a.id()).Str("error", out.Error).Msg("a webhook message was not delivered for 24 h: it is in the dead list")
		}
	}
	if delivered > 0 {
		args.Failures = 0
	}
	s.pause(e, st, &args, now)
	return args, changes, nil
}

// statusGone is 410: the receiver wants no further message.
const statusGone = 410

// failed returns the change for a message that was not delivered. The message waits or goes to the dead list.
func failed(a attempt, out Attempt, now time.Time) (change, error) {
	r := a.record
	r.Attempts++
	r.Error = out.Error
	if r.First == 0 {
		r.First = now.UnixMilli()
	}
	c := change{Action: actionWait, Member: a.String(), Due: now.Add(max(backOff(r.Attempts, firstRetry, lastRetry), out.retryAfter))}
	if now.Sub(time.UnixMilli(r.First)) >= giveUpAfter {
		c.Action = actionDead
	}
	var err error
	c.Record, err = r.text()
	return c, err
}

// pause decides whether an endpoint is paused. It logs when a pause begins or ends, and when the receiver has
// answered 410.
func (s *Service) pause(e *Endpoint, st state, args *commitArgs, now time.Time) {
	switch {
	case args.Failures >= openAfter:
		args.Open = now.Add(backOff(args.Failures-openAfter+1, firstPause, lastPause))
		if st.failures < openAfter {
			s.log.Warn().Str("webhook", e.Name).Str("error", args.Error).Msg("the receiver of a webhook fails: events wait until the receiver is back")
		}
	case args.Failures == 0 && st.failures >= openAfter:
		args.Hurry = now // the receiver is back, so all waiting messages are due now
		s.log.Info().Str("webhook", e.Name).Msg("the receiver of a webhook is back")
	}
	if args.Gone != st.gone {
		s.log.Warn().Str("webhook", e.Name).Msg("the receiver of a webhook answered 410: nothing is sent until the webhook is enabled, or has another URL")
	}
}
