package e2e

import (
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// The defaults keep CI short. A full run has 15,000 messages with credit for 10,000.
var (
	creditMessages = flag.Int("credit.messages", 1500, "messages of each gateway")
	creditFor      = flag.Int("credit.for", 1000, "messages that each gateway has credit for at first")
)

// withCreditCode returns the gateways that document a reply for missing credit.
func (x *allGateways) withCreditCode() []int {
	var out []int
	for i, k := range x.kinds {
		if x.gateway.Gateway(k.Name).CanReply("credit") {
			out = append(out, i)
		}
	}
	return out
}

func (x *allGateways) heldForCredit(name string) bool {
	return slices.ContainsFunc(x.status(name).BlockedBy, func(b producer.Block) bool { return b.Reason == string(providers.CauseCredit) })
}

func TestCredit_TopUpSendsTheRest(t *testing.T) {
	t.Parallel()
	n, first := *creditMessages, *creditFor
	for name, credit := range map[string]int{"whole calls": first, "no multiple of a call": first + 37} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newAllGateways(t, simulator.Options{}, nil)
			for _, i := range x.withCreditCode() {
				x.gateway.Gateway(x.kinds[i].Name).SetCredit(float64(credit))
			}
			x.start()
			var all sync.WaitGroup
			for _, i := range x.withCreditCode() {
				all.Go(func() { x.runOut(i, n, credit) })
			}
			all.Wait()
		})
	}
}

// runOut sends n messages through a gateway whose credit is for fewer messages. It waits until the credit is used
// up, tops up the account, and waits for the remaining messages.
func (x *allGateways) runOut(i, n, credit int) {
	t, k := x.t, x.kinds[i]
	gateway := x.gateway.Gateway(k.Name)
	if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: text}, numbers(i, n)); err != nil {
		t.Error(err)
		return
	}
	begun := time.Now()
	x.eventually(3*time.Minute, k.Name+" to use up its credit", func() bool { return x.status(k.Name).Accepted >= credit && x.heldForCredit(k.Name) })
	x.eventually(30*time.Second, "the calls in flight of "+k.Name, func() bool { return x.status(k.Name).InFlight.Calls == 0 })
	usedUp := time.Since(begun)
	s, st := x.status(k.Name), gateway.Stats()
	if s.Accepted != credit || s.Pending != n-credit || st.Accepted != int64(credit) {
		t.Errorf("%s, without credit: got %+v, gateway %+v, want %d accepted, %d pending and %d accepted", k.Name, s, st, credit, n-credit, int64(credit))
	}
	// As long as the account has no credit, the worker must read the balance, and make at most one call, which is
	// a probe.
	quiet := gateway.Stats().Calls
	rest := time.After(8 * time.Second)
	<-rest
	if more := gateway.Stats().Calls - quiet; more > 1 {
		t.Errorf("%s: got %d calls without credit, want at most 1", k.Name, more)
	}
	gateway.SetCredit(float64(n))
	topUp := time.Now()
	x.eventually(time.Minute, k.Name+" to continue", func() bool { return gateway.Stats().Accepted > int64(credit) })
	resumed := time.Since(topUp)
	done := x.wait(k.Name, 3*time.Minute)
	a := x.audit(i, n)
	end := gateway.Stats()
	if done.State != producer.Done || a.accepted != n || a.rejected+a.unknown != 0 || end.Accepted != int64(n) || end.Duplicates != 0 {
		t.Errorf("%s: got %+v, gateway %+v, want state done and %d accepted, once each", k.Name, done, end, n)
	}
	size := x.info(k.Name).MaxRecipients
	if spare := st.Calls - int64((credit+size-1)/size); spare > 60 {
		t.Errorf("%s: %d calls more than needed until the credit was used up, want at most 60", k.Name, spare)
	}
	t.Logf("%s, %d a call: %d of %d with credit for %d in %d calls (%d refused) after %s; continued %s after the top-up, %d accepted, %d calls in all, %d twice",
		k.Name, size, st.Accepted, n, credit, st.Calls, st.Rejected, usedUp.Round(100*time.Millisecond), resumed.Round(100*time.Millisecond),
		end.Accepted, end.Calls, end.Duplicates)
}
