// Package drain notifies the goroutines of a worker when to stop. A worker stops in two steps. When
// it drains, it claims no further calls, and finishes the calls in flight. When it is killed, it
// also stops trying to write to Redis.
package drain

import (
	"errors"
	"sync"
	"time"
)

// ErrDraining means that work was not finished because the worker drains.
var ErrDraining = errors.New("draining")

// Signals has the two signals with which a worker stops. Make it with New. Its methods are safe for
// concurrent use.
type Signals struct {
	draining, killed chan struct{}
	drain, kill      sync.Once
}

// New returns new Signals, without a signal so far.
func New() *Signals { return &Signals{draining: make(chan struct{}), killed: make(chan struct{})} }

// Drain gives the signal to drain. It may be called repeatedly.
func (s *Signals) Drain() { s.drain.Do(func() { close(s.draining) }) }

// Kill gives the signal to stop trying to write to Redis. It may be called repeatedly.
func (s *Signals) Kill() { s.kill.Do(func() { close(s.killed) }) }

// Begun returns a channel that is closed when the worker drains.
func (s *Signals) Begun() <-chan struct{} { return s.draining }

// Killed returns a channel that is closed when the worker is killed.
func (s *Signals) Killed() <-chan struct{} { return s.killed }

// Draining reports whether the worker drains.
func (s *Signals) Draining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// Sleep waits for the duration d. If the worker drains during this time, Sleep returns false at
// once.
func (s *Signals) Sleep(d time.Duration) bool {
	if d <= 0 {
		return !s.Draining()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.draining:
		return false
	}
}
