package webhook

import (
	"context"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// atOnce is the maximum number of messages that are sent to one endpoint at the same time. These messages belong to
	// different campaigns.
	atOnce = 8
	// readAtOnce is the maximum number of events that are read at once. Some events must wait behind an earlier
	// message, so they become waiting messages and are not sent yet. maxParked is their maximum number in one batch.
	readAtOnce = 500
	maxParked  = 200
)

// attempt is a message that is sent now.
type attempt struct {
	member
	record
	// fresh is true if the message was never sent before and is not a waiting message.
	fresh bool
}

// batch is the next work for an endpoint: attempts that run at the same time, and changes that need no request.
type batch struct {
	attempts []attempt
	parked   []change
	cursor   string
}

// picker chooses a batch.
type picker struct {
	batch
	endpoint *Endpoint
	now      time.Time
	limit    int
	// The map "behind" has the waiting members, grouped by the field "order". All messages about one campaign, or
	// about one account, have the same value in this field. They are sent in sequence.
	behind map[string][]member
	// The set "sending" has the value of the field "order" of each message in the batch.
	sending map[string]bool
	waiting int
}

// pick chooses the next batch of an endpoint from the waiting messages and from the events after its cursor. It returns
// how many of the events it has used. If several messages must keep their order, only the first of them is sent. The
// others wait until this message is delivered or given up. Waiting messages that are due come before new events.
func (s *Service) pick(ctx context.Context, e *Endpoint, st state, list []producer.Event, now time.Time) (b batch, used int, err error) {
	p := &picker{batch: batch{cursor: st.cursor}, endpoint: e, now: now, limit: atOnce, behind: map[string][]member{}, sending: map[string]bool{}, waiting: len(st.waiting)}
	if st.failures > 0 {
		p.limit = 1
	}
	heads := p.heads(st.waiting)
	due, _ := slices.BinarySearchFunc(heads, now, func(w waiting, at time.Time) int {
		if w.due.After(at) {
			return 1
		}
		return -1
	})
	if err := s.pickWaiting(ctx, p, heads[:min(due, p.limit)]); err != nil {
		return batch{}, 0, err
	}
	for used < len(list) && len(p.attempts) < p.limit && len(p.parked) < maxParked {
		ok, err := p.take(list[used])
		if err != nil {
			return batch{}, 0, err
		}
		if !ok {
			break
		}
		used++
	}
	if len(p.attempts) == 0 && st.failures >= openAfter && len(heads) > 0 {
		// This pass has no other message to send. Send one waiting message before it is due, to find out
		// whether the receiver is back.
		err = s.pickWaiting(ctx, p, heads[:1])
	}
	return p.batch, used, err
}

// heads returns the first waiting message for each value of the field "order", sorted by the time when the message is
// due. A message that has just failed is due later than the others. So after many failures, another message is sent
// first to find out whether the receiver is back.
func (p *picker) heads(list []waiting) (out []waiting) {
	slices.SortFunc(list, func(a, b waiting) int { return compareMembers(a.member, b.member) })
	for _, w := range list {
		if len(p.behind[w.order]) == 0 {
			out = append(out, w)
		}
		p.behind[w.order] = append(p.behind[w.order], w.member)
	}
	slices.SortStableFunc(out, func(a, b waiting) int { return a.due.Compare(b.due) })
	return out
}

// pickWaiting adds waiting messages to the batch.
func (s *Service) pickWaiting(ctx context.Context, p *picker, list []waiting) error {
	if len(list) == 0 {
		return nil
	}
	chosen := make([]member, len(list))
	for i, w := range list {
		chosen[i] = w.member
	}
	records, err := s.records(ctx, p.endpoint.Name, chosen)
	if err != nil {
		return err
	}
	for i, r := range records {
		if r.Body == nil { // nothing can be sent
			p.parked = append(p.parked, change{Action: actionDone, Member: chosen[i].String()})
			continue
		}
		p.attempts = append(p.attempts, attempt{member: chosen[i], record: r})
		p.sending[chosen[i].order] = true
	}
	return nil
}

// The method "take" adds an event to the batch. It returns false if the batch ends before this event.
func (p *picker) take(ev producer.Event) (taken bool, err error) {
	if !p.endpoint.wants(ev.Kind) {
		p.cursor = ev.Cursor
		return true, nil
	}
	m := memberOf(ev)
	if p.sending[m.order] && len(p.behind[m.order]) == 0 {
		return false, nil // this event will be in the next batch
	}
	if p.waiting >= maxWaiting {
		return false, nil
	}
	body, err := newBody(ev, p.now)
	if err != nil {
		return false, err
	}
	p.waiting++ // count a new message too, because it waits if its attempt fails
	p.cursor = ev.Cursor
	if len(p.behind[m.order]) == 0 {
		p.attempts = append(p.attempts, attempt{member: m, record: record{Body: body}, fresh: true})
		p.sending[m.order] = true
		return true, nil
	}
	p.replaceProgress(m)
	text, err := record{Body: body}.text()
	if err != nil {
		return false, err
	}
	p.behind[m.order] = append(p.behind[m.order], m)
	p.parked = append(p.parked, change{Action: actionWait, Member: m.String(), Due: p.now, Record: text})
	return true, nil
}

// replaceProgress removes the last waiting message of a campaign if it is a progress event. The newer progress event m
// takes the place of this message.
func (p *picker) replaceProgress(m member) {
	list := p.behind[m.order]
	last := len(list) - 1
	if m.sort != sortProgress || last < 1 || list[last].sort != sortProgress {
		return
	}
	p.behind[m.order] = list[:last]
	p.parked = append(p.parked, change{Action: actionDone, Member: list[last].String()})
	p.waiting--
}
