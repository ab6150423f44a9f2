package pacing

import (
	"sync"
	"time"
)

// pacer limits how often a worker requests a reservation from the limiter of an account. With large
// calls and many workers, the number of waiting slots is higher than the number of slots that can
// reserve turns. Without the pacer, the limiter would refuse each call at least once before it
// grants the call.
//
// While the limiter refuses calls, only one slot of a worker requests reservations at a time.
// Between two requests the slot waits for the time in which every worker can have one turn. If the
// last turn was far in the future, this wait becomes longer. If the last turn was near, other
// workers have little to send, and the wait becomes shorter. A pacer is safe for concurrent use.
type pacer struct {
	// The channel "asks" is a lock. It holds an entry while a slot requests a reservation. The slots
	// use this lock only while the pacer spaces the requests.
	asks chan struct{}
	mu   sync.Mutex
	// scale is the factor for the fair gap between two requests. 0 means that the limiter has not
	// refused a request lately, so every slot may send a request at any time.
	scale float64
	// The field "next" is the time of the next request.
	next time.Time
}

const (
	// minScale is the scale below which the pacer no longer spaces requests, because other workers
	// hardly use the rate.
	minScale = 1.0 / 64
	// maxScale is the maximum of scale. It leaves room for workers that this worker does not know
	// yet.
	maxScale = 4.0
	// maxGap is the maximum time between two requests.
	maxGap = 5 * time.Second
)

func newPacer() *pacer { return &pacer{asks: make(chan struct{}, 1)} }

// The method "until" returns how long to wait before the next request. The result "spaced" is true
// if only one slot may send requests at a time.
func (p *pacer) until(now time.Time) (wait time.Duration, spaced bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next.Sub(now), p.scale > 0
}

// observe adjusts the pacer to an answer of the limiter. The parameter "wait" is the time until the
// reserved turn, or the time after which the next request makes sense. The parameter "longest" is
// the longest wait for which a turn is reserved. The parameter "fair" is the time in which every
// worker can have one turn.
func (p *pacer) observe(now time.Time, wait time.Duration, booked, spaced bool, longest, fair time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !booked && p.scale == 0:
		p.scale, p.next = 1, now.Add(wait)
	case !booked && spaced: // several slots may have sent requests before spacing began, so their refusals count as one
		p.scale, p.next = min(p.scale*1.25, maxScale), now.Add(wait)
	case !booked || p.scale == 0:
	case wait < longest/8: // part of the rate is unused now or will be soon
		p.scale, p.next = p.scale/2, now
		if p.scale < minScale {
			p.scale = 0
		}
	default:
		off := wait - longest/2
		p.next = now.Add(min(max(0, time.Duration(p.scale*float64(fair))+off), maxGap))
		switch {
		case off > 0 && p.scale < 1:
			p.scale = min(1, p.scale*1.25)
		case off < 0 && p.scale > 1:
			p.scale = max(1, p.scale/1.25)
		}
	}
}

// The method "done" lets the next slot send a request.
func (p *pacer) done() { <-p.asks }
