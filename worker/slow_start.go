package worker

import (
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// slowStart lets one call at a time through to an account that has not accepted a message within
// provenFor. If the gateway's address is wrong, or the gateway drops connections, only the
// recipients of one call are then in doubt. Without slowStart, the recipients of one call in every
// slot would be in doubt.
//
// This also holds at gateways with idempotency keys. Repeating a call under its key resolves doubt,
// but not after the address was corrected, because the key belongs to a different login.
type slowStart struct {
	turn     chan struct{} // has room for one entry, which stands for the trial call in progress
	accepted atomic.Int64  // when this worker last saw a call accepted, in Unix milliseconds
	turns    atomic.Int64  // how many trial calls have finished
}

func newSlowStart() *slowStart { return &slowStart{turn: make(chan struct{}, 1)} }

// noteAccepted records that a call was accepted.
func (p *slowStart) noteAccepted(at time.Time) { p.accepted.Store(at.UnixMilli()) }

// proven reports whether the account has accepted a message within provenFor.
func (p *slowStart) proven(look ledger.AccountCheck, now time.Time) bool {
	last := time.UnixMilli(p.accepted.Load())
	if look.LastAccepted.After(last) {
		last = look.LastAccepted
	}
	return now.Sub(last) < provenFor
}

// admitFirst lets one call at a time through to an account that has not accepted a message within
// provenFor. turns is the number of finished trial calls, as read before the account state. If
// another trial call has finished since then, ok is false and the caller must read the account
// state again. ok is also false if the worker drains. The caller calls done to end the trial.
func (s *batchSender) admitFirst(look ledger.AccountCheck, turns int64) (done func(), ok bool) {
	p := s.acc.slowStart
	if p.proven(look, time.Now()) {
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
	case <-s.drain:
	case <-time.After(s.acc.Timeout + leaseMargin):
		return func() {}, true // do not wait any longer: a provider that ignores its deadline must not block the other slots
	}
	return nil, false
}
