package pacing

import (
	"testing"
	"time"
)

// The account is not proven. After the end of another trial call, the account's state must be
// read again, because that call may have failed.
func TestSlowStart_OutdatedAccountStateIsNotAdmitted(t *testing.T) {
	t.Parallel()
	p, stop := NewSlowStart(), make(chan struct{})
	admit := func(lastAccepted time.Time, turns int64) (func(), bool) {
		return p.Admit(lastAccepted, turns, stop, time.Minute)
	}
	before := p.Turns()
	done, ok := admit(time.Time{}, before)
	if !ok {
		t.Fatal("the first caller was not admitted")
	}
	done()
	if _, ok := admit(time.Time{}, before); ok {
		t.Error("a call was admitted with an outdated account state")
	}
	done, ok = admit(time.Time{}, p.Turns())
	if !ok {
		t.Error("a call with a new account state was not admitted")
	}
	done()
	if _, ok := admit(time.Now(), before); !ok {
		t.Error("a call was not admitted although the account is proven")
	}
}
