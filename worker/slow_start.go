package worker

import (
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// pioneer lets one call at a time through to an account that has accepted nothing
// lately: a wrong address or a gateway that hangs up then leaves the recipients of one
// call in doubt, and not those of every slot. Where there is a key doubt can be cleared
// up, but not once the address has been put right: it is another login then.
type slowStart struct {
	turn     chan struct{} // has room for one
	accepted atomic.Int64  // when this worker last saw a call accepted, in unix ms
	turns    atomic.Int64  // how many turns have ended
}

func newSlowStart() *slowStart { return &slowStart{turn: make(chan struct{}, 1)} }

// seen notes that a call was accepted.
func (p *slowStart) noteAccepted(at time.Time) { p.accepted.Store(at.UnixMilli()) }

// proven says whether the account has accepted something lately.
func (p *slowStart) proven(look ledger.AccountCheck, now time.Time) bool {
	last := time.UnixMilli(p.accepted.Load())
	if look.LastAccepted.After(last) {
		last = look.LastAccepted
	}
	return now.Sub(last) < provenFor
}

// first waits until no other call tries an account that is not proven; turns had ended
// before it was looked at. ok is false if another has since, since what that call came to
// has to be looked at first, or if the worker drains. With ok comes what ends the turn.
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
		return func() {}, true // a call that does not keep its own time must not hold up the others
	}
	return nil, false
}
