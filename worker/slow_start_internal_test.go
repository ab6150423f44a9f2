package worker

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// The account is not proven. After another trial call has finished, the account's state must be
// read again, because that call may have failed.
func TestALookFromBeforeAnothersTurnIsNoLeaveToTry(t *testing.T) {
	t.Parallel()
	s := &batchSender{Worker: &Worker{drain: make(chan struct{})}, acc: &account{slowStart: newSlowStart()}}
	p := s.acc.slowStart
	before := p.turns.Load()
	done, ok := s.admitFirst(ledger.AccountCheck{}, before)
	if !ok {
		t.Fatal("the first caller was not admitted")
	}
	done()
	if _, ok := s.admitFirst(ledger.AccountCheck{}, before); ok {
		t.Error("a call was admitted with an outdated account state")
	}
	done, ok = s.admitFirst(ledger.AccountCheck{}, p.turns.Load())
	if !ok {
		t.Error("a call with a new account state was not admitted")
	}
	done()
	if _, ok := s.admitFirst(ledger.AccountCheck{LastAccepted: time.Now()}, before); !ok {
		t.Error("a call was not admitted although the account is proven")
	}
}
