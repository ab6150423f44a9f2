package worker

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// Of an account that has accepted nothing, a look is worth nothing once another call has had its turn: it may have ended badly.
func TestALookFromBeforeAnothersTurnIsNoLeaveToTry(t *testing.T) {
	t.Parallel()
	s := &batchSender{Worker: &Worker{drain: make(chan struct{})}, acc: &account{slowStart: newSlowStart()}}
	p := s.acc.slowStart
	before := p.turns.Load()
	done, ok := s.admitFirst(ledger.AccountCheck{}, before)
	if !ok {
		t.Fatal("nobody was there, and it had to look again")
	}
	done()
	if _, ok := s.admitFirst(ledger.AccountCheck{}, before); ok {
		t.Error("it was let through on a look from before")
	}
	done, ok = s.admitFirst(ledger.AccountCheck{}, p.turns.Load())
	if !ok {
		t.Error("it had looked again, and was not let through")
	}
	done()
	if _, ok := s.admitFirst(ledger.AccountCheck{LastAccepted: time.Now()}, before); !ok {
		t.Error("the account has accepted something, and it had to look again")
	}
}
