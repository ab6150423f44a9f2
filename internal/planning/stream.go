package planning

import (
	"slices"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// stream holds the waiting calls of one account to recipients with the same sending hours.
type stream struct {
	campaign.Stream
	// size is the number of recipients of a full call.
	size int
	// calls are the waiting calls, the oldest first.
	calls []campaign.Call
	// The map "open" has, for each body, the index of the call that has this body and is not full.
	// The field "last" is the index of the call to which a recipient was last added. This index
	// may be out of range.
	open map[string]int
	last int
	// The field "full" is the number of full calls. fullTo is the number of recipients in full
	// calls. fullText is the size of the bodies of full calls, in bytes.
	full, fullTo, fullText int
}

func newStream(l campaign.Stream) *stream {
	return &stream{Stream: l, size: l.Account.CallSize(), open: map[string]int{}}
}

// The method "add" adds a recipient to the waiting call with this body.
func (l *stream) add(body string, values []string, x campaign.Planned) {
	if l.last >= len(l.calls) || l.calls[l.last].Body != body || l.isFull(&l.calls[l.last]) {
		l.last = l.callOf(body, values)
	}
	c := &l.calls[l.last]
	c.To = append(c.To, x)
	if l.isFull(c) {
		l.markFull(l.last)
	}
}

// callOf returns the index of the open call with this body. If the stream has no such call, it
// adds one.
func (l *stream) callOf(body string, values []string) int {
	i, ok := l.open[body]
	if !ok {
		c := campaign.Call{Body: body, Values: values}
		if values == nil {
			c.To = make([]campaign.Planned, 0, l.size) // most calls of a campaign that is not personalized become full
		}
		i = len(l.calls)
		l.calls = append(l.calls, c)
		l.open[body] = i
	}
	return i
}

// The method "resume" adds a call that was carried over.
func (l *stream) resume(body string, c campaign.Call) {
	c.Body = body
	l.calls = append(l.calls, c)
	l.index(len(l.calls) - 1)
}

// The method "index" registers the i-th call as open or full.
func (l *stream) index(i int) {
	l.open[l.calls[i].Body] = i
	if l.isFull(&l.calls[i]) {
		l.markFull(i)
	}
}

// markFull removes the i-th call from the map "open" and counts it as full.
func (l *stream) markFull(i int) {
	c := &l.calls[i]
	delete(l.open, c.Body)
	l.full++
	l.fullTo += len(c.To)
	l.fullText += len(c.Body) + 4
}

// The method "ready" makes batches of full calls while enough full calls are left for a whole
// batch.
func (l *stream) ready() (out []campaign.PlannedBatch) {
	for l.full > 0 && (l.fullTo >= l.Account.BatchSize || l.Account.Calls > 0 && l.full >= l.Account.Calls || l.fullText > campaign.MaxBodies) {
		var full []campaign.Call
		for i := range l.calls {
			if l.isFull(&l.calls[i]) {
				full = append(full, l.calls[i])
			}
		}
		b, n := l.Account.Fill(l.Number, full)
		out = append(out, b)
		l.reset(slices.DeleteFunc(l.calls, func(c campaign.Call) bool {
			going := n > 0 && l.isFull(&c)
			if going {
				n--
			}
			return going
		}))
	}
	return out
}

func (l *stream) isFull(c *campaign.Call) bool { return len(c.To) >= l.size }

// The method "oldest" makes one batch of the oldest calls. These calls need not be full.
func (l *stream) oldest() campaign.PlannedBatch {
	b, n := l.Account.Fill(l.Number, l.calls)
	l.reset(l.calls[n:])
	return b
}

func (l *stream) reset(calls []campaign.Call) {
	l.calls, l.full, l.fullTo, l.fullText = calls, 0, 0, 0
	clear(l.open)
	for i := range calls {
		l.index(i)
	}
}

// The method "carry" returns the waiting calls, which will be carried over to the next page.
// These calls share no memory with recipients that are added later.
func (l *stream) carry() []campaign.Call {
	if len(l.calls) == 0 {
		return nil
	}
	out := make([]campaign.Call, len(l.calls))
	for i, c := range l.calls {
		out[i] = campaign.Call{Body: c.Body, Values: c.Values, To: c.To[:len(c.To):len(c.To)]}
	}
	return out
}
