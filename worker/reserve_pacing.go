package worker

import (
	"sync"
	"time"
)

// pacer spaces out how often a worker asks the limiter for an account's rate. With large calls and
// many workers, more slots wait than can be reserved ahead, and every call would be refused once
// before it is granted.
//
// While that is so, only one slot of a worker asks at a time. Between two questions it leaves the
// time in which every worker can have one turn. That time grows if the last turn was far ahead. It
// shrinks if the queue was short because other workers have nothing to send. A pacer is safe for
// concurrent use.
type pacer struct {
	// asks holds the slot whose turn it is to ask, while asking is spaced.
	asks chan struct{}
	mu   sync.Mutex
	// scale multiplies the fair gap. 0: there was no refusal lately, and every slot may ask at any
	// time.
	scale float64
	// next is when to ask again.
	next time.Time
}

const (
	// minScale is the scale below which a worker has the rate almost to itself.
	minScale = 1.0 / 64
	// maxScale allows for workers that are not known yet.
	maxScale = 4.0
	// maxGap bounds the time between two questions.
	maxGap = 5 * time.Second
)

func newPacer() *pacer { return &pacer{asks: make(chan struct{}, 1)} }

// until returns how long to wait before asking. spaced reports whether only one slot may ask at a
// time.
func (p *pacer) until(now time.Time) (wait time.Duration, spaced bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next.Sub(now), p.scale > 0
}

// observe adjusts the pacer to an answer of the limiter. wait is the time to a reserved turn, or
// until asking again makes sense. longest is the longest wait that is reserved. fair is the time in
// which every worker can have one turn.
func (p *pacer) observe(now time.Time, wait time.Duration, booked, spaced bool, longest, fair time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !booked && p.scale == 0:
		p.scale, p.next = 1, now.Add(wait)
	case !booked && spaced: // several slots may have asked at once before; count one refusal
		p.scale, p.next = min(p.scale*1.25, maxScale), now.Add(wait)
	case !booked || p.scale == 0:
	case wait < longest/8: // the rate is, or soon will be, idle
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

// done lets the next slot ask.
func (p *pacer) done() { <-p.asks }
