package pacing

import "sync/atomic"

// Slots limits the calls that one worker may have in flight at an account. Make it with NewSlots.
// Its methods are safe for concurrent use.
type Slots struct {
	// inFlight holds one entry for each call in flight. Its capacity is the account's concurrency.
	// The field "waiting" is the number of goroutines that wait until inFlight has room.
	inFlight chan struct{}
	waiting  atomic.Int64
}

// NewSlots returns slots for n calls in flight.
func NewSlots(n int) *Slots { return &Slots{inFlight: make(chan struct{}, n)} }

// Enter waits until one more call may be in flight, and then counts this call as in flight. It
// returns false if the channel "stop" is closed first. After Enter has returned true, the caller must call
// Leave once.
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

// Awaited returns true if any goroutine waits in Enter.
func (s *Slots) Awaited() bool { return s.waiting.Load() > 0 }
