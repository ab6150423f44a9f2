package pacing

import "sync/atomic"

// Slots are the calls that one worker may have in flight at an account. Make them with NewSlots.
// Their methods are safe for concurrent use.
type Slots struct {
	// inFlight holds one entry for each call in flight; its capacity is the account's concurrency.
	// waiting is the number of goroutines that wait until inFlight has room.
	inFlight chan struct{}
	waiting  atomic.Int64
}

// NewSlots returns slots for n calls in flight.
func NewSlots(n int) *Slots { return &Slots{inFlight: make(chan struct{}, n)} }

// Enter waits until there is room for another call and takes its place. It returns false if stop is
// closed first. After Enter has returned true, the caller calls Leave once.
func (s *Slots) Enter(stop <-chan struct{}) bool {
	select {
	case s.inFlight <- struct{}{}:
		return true
	default:
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case s.inFlight <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

// Leave gives back the place that Enter took.
func (s *Slots) Leave() { <-s.inFlight }

// Awaited reports whether a goroutine waits for a place.
func (s *Slots) Awaited() bool { return s.waiting.Load() > 0 }
