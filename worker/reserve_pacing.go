package worker

import (
	"sync"
	"time"
)

// pacer spaces out how often this worker asks for the rate of an account. Where calls are
// large and workers many, more slots wait than may be booked ahead, and every call would be
// refused once before it is granted. While that is so, one slot of a worker asks at a time,
// and leaves between two questions what is fair among all workers: so many turns as they have
// together, more if its last turn was far ahead, less if the queue was short because others
// have nothing to send. It is safe for concurrent use.
type pacer struct {
	// asks has room for the slot whose turn it is to ask, while the rate is crowded.
	asks chan struct{}
	mu   sync.Mutex
	// scale is what of the fair gap is left; 0: nobody has been refused lately, and everyone
	// may ask at any time.
	scale float64
	// next is when to ask again.
	next time.Time
}

const (
	// leastScale is when a worker has the rate for itself, as good as.
	minScale = 1.0 / 64
	// mostScale allows for workers that nobody knows of yet.
	maxScale = 4.0
	// mostGap bounds the time between two questions.
	maxGap = 5 * time.Second
)

func newPacer() *pacer { return &pacer{asks: make(chan struct{}, 1)} }

// until is how long to wait before asking; spaced: only one may ask at a time.
func (p *pacer) until(now time.Time) (wait time.Duration, spaced bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next.Sub(now), p.scale > 0
}

// learn draws its conclusion from an answer: the wait for a turn that was booked, or until
// when to ask again; longest is the longest wait for which there is a booking, fair the time
// in which every worker can have one turn.
func (p *pacer) observe(now time.Time, wait time.Duration, booked, spaced bool, longest, fair time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !booked && p.scale == 0:
		p.scale, p.next = 1, now.Add(wait)
	case !booked && spaced: // of those who asked at the same time before, one has spoken for all
		p.scale, p.next = min(p.scale*1.25, maxScale), now.Add(wait)
	case !booked || p.scale == 0:
	case wait < longest/8: // the rate lies idle soon, or already
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
