package campaign

import (
	"math"
	"time"
)

// ProgressReading is the progress of a campaign at one moment.
type ProgressReading struct {
	At time.Time
	// Ended is the number of messages that have ended. Left is the number of messages that have not
	// ended. Skipped recipients are in neither number.
	Ended, Left int
	// Rate is the sum of the accounts' rates, in messages a second. It is 0 if a rate is not known
	// or not limited.
	Rate float64
	// Blocked is true if the campaign sends nothing at the moment, for example because it is paused.
	Blocked bool
}

// Estimator estimates when a campaign ends, from readings of its progress. It uses the rate of the
// accounts. If the accounts have no rate, or if the campaign is clearly slower than their rate, it
// uses the speed of the last ten seconds. Times in which the campaign was blocked are left out. All
// messages of a call end at once, so the measured speed jumps. The Estimator smooths these jumps.
// The zero value has no readings. It is not safe for concurrent use.
type Estimator struct {
	steps   []progressStep // the readings at which Ended was higher than before, the oldest first
	since   time.Time      // the first reading since the campaign was last blocked
	last    ProgressReading
	slow    bool // the campaign is slower than the accounts' rate
	end     time.Time
	hasLast bool
}

type progressStep struct {
	at    time.Time
	ended int
}

const (
	// estimateSpan is the time that the measured speed covers.
	estimateSpan = 10 * time.Second
	// smoothing is the time in which the estimated end moves two thirds of the way to a new value.
	smoothing = 5 * time.Second
	// slowBelow and fastAbove are shares of the accounts' rate. A campaign becomes slow when its speed
	// is below slowBelow, and stays slow until its speed is above fastAbove.
	slowBelow, fastAbove = 0.7, 0.85
	// estimateLimit is the longest time that is estimated.
	estimateLimit = 100 * 365 * 24 * time.Hour
)

// Add adds a reading and returns the estimated end. It returns the zero time if the end cannot be
// estimated. The times of readings must not decrease.
func (e *Estimator) Add(r ProgressReading) time.Time {
	if r.Blocked {
		*e = Estimator{}
		return time.Time{}
	}
	before := e.last
	again := e.hasLast
	e.last, e.hasLast = r, true
	if !again {
		e.since = r.At
	}
	if !again || r.Ended > before.Ended {
		e.steps = append(e.steps, progressStep{r.At, r.Ended})
	}
	for len(e.steps) > 2 && r.At.Sub(e.steps[1].at) >= estimateSpan {
		e.steps = e.steps[1:]
	}
	speed := e.speed()
	seconds := float64(r.Left) / speed
	if speed <= 0 || seconds > estimateLimit.Seconds() {
		e.end = time.Time{}
		return e.end
	}
	now := r.At.Add(time.Duration(seconds * float64(time.Second)))
	if e.end.IsZero() || r.Rate != before.Rate || !e.end.After(r.At) {
		e.end = now
		return e.end
	}
	share := 1 - math.Exp(-r.At.Sub(before.At).Seconds()/smoothing.Seconds())
	e.end = e.end.Add(time.Duration(share * float64(now.Sub(e.end))))
	return e.end
}

// speed returns the speed with which the campaign is expected to continue, in messages a second. It
// returns 0 if the speed is not known.
func (e *Estimator) speed() float64 {
	measured := e.measured()
	if e.last.Rate <= 0 {
		return measured
	}
	if measured > 0 && e.last.At.Sub(e.since) >= estimateSpan {
		limit := slowBelow
		if e.slow {
			limit = fastAbove
		}
		e.slow = measured < limit*e.last.Rate
	}
	if e.slow {
		return measured
	}
	return e.last.Rate
}

// The method "measured" returns the speed between the first and the last step. If the time since the
// last step is longer than the mean time between two steps, the delay lowers the speed.
func (e *Estimator) measured() float64 {
	n := len(e.steps) - 1
	if n < 1 {
		return 0
	}
	first, last := e.steps[0], e.steps[n]
	span := last.at.Sub(first.at)
	span = max(span, e.last.At.Sub(first.at)-span/time.Duration(n))
	if span <= 0 {
		return 0
	}
	return float64(last.ended-first.ended) / span.Seconds()
}
