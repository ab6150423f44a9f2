package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

func TestHold_StopsCallsWaitingForARateTurn(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	// The rate allows one call every 500 ms. Each of the eight slots has a batch and waits for a
	// turn.
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Rate, a.Burst = 10, 20, 1 }))
	numbers := kenyanNumbers(160)
	for n := range 8 {
		r.enqueue(fmt.Sprint("c", n), numbers[20*n:20*n+20])
	}
	r.eventually(10*time.Second, "two calls", func() bool { return r.gateway.Stats().Calls >= 2 })
	if err := r.producer.Hold(t.Context(), "kobo-main", "audit"); err != nil {
		t.Fatal(err)
	}
	before := r.gateway.Stats().Calls
	// Within 2 s the calls in flight end, all slots give up their turns, and the sweeper finds the
	// account held. Without the hold, the waiting slots would keep making calls in that time.
	quiet := time.After(2 * time.Second)
	<-quiet
	if now := r.gateway.Stats().Calls; now > before+1 {
		t.Errorf("got %d calls after the hold, want at most 1", now-before)
	}
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	for n := range 8 {
		if s := r.wait(fmt.Sprint("c", n), 40*time.Second); s.Accepted != 20 {
			t.Errorf("got the status %+v, want 20 accepted", s)
		}
	}
}
