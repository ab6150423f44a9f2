package census

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Load has the measurements of a worker for the calls of one account. They cover the last minute. If the
// account had no call in the last minute, they cover an earlier minute with calls.
type Load struct {
	Calls int `json:"n"`
	// Recipients and Units are the sums over the calls. Units has the unit of the account's rate.
	Recipients int `json:"r"`
	Units      int `json:"u"`
	// P95 is the duration, in seconds, that 95 % of the calls did not exceed. The measured value may be
	// up to 42 % too high.
	P95 float64 `json:"p"`
}

// The method "plus" returns the load of two workers together. The P95 is the mean, weighted by calls.
func (l Load) plus(m Load) Load {
	if calls := l.Calls + m.Calls; calls > 0 {
		l.P95 = (l.P95*float64(l.Calls) + m.P95*float64(m.Calls)) / float64(calls)
	}
	l.Calls, l.Recipients, l.Units = l.Calls+m.Calls, l.Recipients+m.Recipients, l.Units+m.Units
	return l
}

// Recorder measures the calls of one account in one worker. A call of Note costs a few atomic
// additions. A Recorder is safe for concurrent use, and its zero value is ready to use.
type Recorder struct {
	current atomic.Pointer[span]
	mu      sync.Mutex
	earlier *span
	begun   time.Time
	last    Load // the last load with calls
}

// The type "span" counts the calls in a span of time.
type span struct {
	calls, recipients, units atomic.Int64
	buckets                  [buckets]atomic.Int64
}

// buckets is the number of buckets in a value of the type "span". Two buckets cover the durations
// from 2^n to 2^(n+1) microseconds. The last bucket begins at more than nine minutes.
const buckets = 60

// spanLife is how long calls are collected in one span. A load covers one or two spans.
const spanLife = 30 * time.Second

// Note records a call that took d and had the given numbers of recipients and of units.
func (r *Recorder) Note(d time.Duration, recipients, units int) {
	s := r.current.Load()
	if s == nil {
		r.current.CompareAndSwap(nil, &span{})
		s = r.current.Load()
	}
	s.calls.Add(1)
	s.recipients.Add(int64(recipients))
	s.units.Add(int64(units))
	s.buckets[bucketOf(d)].Add(1)
}

// bucketOf returns the index of the bucket for a duration.
func bucketOf(d time.Duration) int {
	us := uint64(max(1, d.Microseconds()))
	n := bits.Len64(us) - 1
	half := 0
	if n > 0 && us>>(n-1)&1 == 1 {
		half = 1
	}
	return min(2*n+half, buckets-1)
}

// bucketEnd returns the end of a bucket in seconds.
func bucketEnd(i int) float64 {
	start := math.Exp2(float64(i / 2))
	if i%2 == 0 {
		return 1.5 * start / 1e6
	}
	return 2 * start / 1e6
}

// Load returns the load of the last 30 to 60 s. If no call was made in this time, it returns the last
// load that had calls, because the gateway will probably answer as fast as before.
func (r *Recorder) Load(now time.Time) Load {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun.IsZero() {
		r.begun = now
	}
	spans := []*span{r.earlier, r.current.Load()}
	if now.Sub(r.begun) >= spanLife {
		r.earlier, r.begun = r.current.Swap(&span{}), now
	}
	var l Load
	var counts [buckets]int64
	for _, s := range spans {
		if s == nil {
			continue
		}
		l.Calls, l.Recipients, l.Units = l.Calls+int(s.calls.Load()), l.Recipients+int(s.recipients.Load()), l.Units+int(s.units.Load())
		for i := range s.buckets {
			counts[i] += s.buckets[i].Load()
		}
	}
	if l.Calls == 0 {
		return r.last
	}
	seen := int64(0)
	for i, n := range counts {
		if seen += n; float64(seen) >= 0.95*float64(l.Calls) {
			l.P95 = bucketEnd(i)
			break
		}
	}
	r.last = l
	return l
}
