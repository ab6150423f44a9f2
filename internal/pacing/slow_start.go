package pacing

import (
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/verdict"
)

// SlowStart lets one call at a time through to an account that has not accepted a message within
// verdict.ProvenFor. If the gateway's address is wrong, or the gateway drops connections, only the
// recipients of one call are then in doubt. Without SlowStart, the recipients of one call in every
// slot would be in doubt.
//
// SlowStart also limits calls at gateways with idempotency keys. A repeated call under the same
// key resolves doubt, but not after a correction of the address, because the key then belongs to a
// different login.
//
// Make a SlowStart with NewSlowStart. Its methods are safe for concurrent use.
type SlowStart struct {
	turn     chan struct{} // has at most one entry, which stands for the trial call in progress
	accepted atomic.Int64  // when a call of this worker was last accepted, in Unix milliseconds
	turns    atomic.Int64  // how many trial calls have finished
}

// NewSlowStart returns a SlowStart for an account that has not answered this worker yet.
func NewSlowStart() *SlowStart { return &SlowStart{turn: make(chan struct{}, 1)} }

// NoteAccepted records that a call was accepted.
func (p *SlowStart) NoteAccepted(at time.Time) { p.accepted.Store(at.UnixMilli()) }

// Turns returns how many trial calls have finished.
func (p *SlowStart) Turns() int64 { return p.turns.Load() }

// proven reports whether the account has accepted a message within verdict.ProvenFor. The
// parameter "lastAccepted" is when the account last accepted a message, according to Redis.
func (p *SlowStart) proven(lastAccepted, now time.Time) bool {
	last := time.UnixMilli(p.accepted.Load())
	if lastAccepted.After(last) {
		last = lastAccepted
	}
	return now.Sub(last) < verdict.ProvenFor
}

// Admit lets one call at a time through to an account that has not accepted a message within
// verdict.ProvenFor. The parameter "lastAccepted" is when the account last accepted a message,
// according to Redis. The parameter "turns" is the result of Turns before the caller read
// lastAccepted. If another trial call has finished since then, the result "ok" is false, and the
// caller must read the account state again. The result "ok" is also false if the channel "stop" is
// closed. The parameter "longest" is the maximum time for which Admit waits for another trial call.
// The caller must call the result "done" once, to end the trial.
func (p *SlowStart) Admit(lastAccepted time.Time, turns int64, stop <-chan struct{}, longest time.Duration) (done func(), ok bool) {
	if p.proven(lastAccepted, time.Now()) {
		return func() {}, true
	}
	done = func() {
		p.turns.Add(1)
		<-p.turn
	}
	select {
	case p.turn <- struct{}{}:
		if p.turns.Load() == turns {
			return done, true
		}
		<-p.turn
		return nil, false
	default:
	}
	select {
	case p.turn <- struct{}{}:
		<-p.turn
	case <-stop:
	case <-time.After(longest):
		return func() {}, true // do not wait any longer, because a provider that ignores its deadline must not block the other slots
	}
	return nil, false
}
