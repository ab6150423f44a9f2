package e2e

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// The method "refusing" yields the gateways that can refuse a number, with their indexes in x.kinds.
func (x *allGateways) refusing() iter.Seq2[int, providers.Kind] {
	return func(yield func(int, providers.Kind) bool) {
		for i, k := range x.kinds {
			if x.gateway.Gateway(k.Name).ReplyScope(simulator.Reject) != simulator.ScopeNone && !yield(i, k) {
				return
			}
		}
	}
}

// The method "reply" sets the reply of the gateway with the given name. The reply is for the first n test numbers of
// gateway i.
func (x *allGateways) reply(name string, i, n int, reply simulator.Reply) {
	x.t.Helper()
	var all []uint64
	for k := range n {
		all = append(all, number(i, k))
	}
	if err := x.gateway.Gateway(name).SetReply(reply, all...); err != nil {
		x.t.Fatal(err)
	}
}

// answerTime is how long a slow gateway takes for each answer, including refusals.
const answerTime = 300 * time.Millisecond

// A list of dead numbers is sent through an account that has never accepted a message. The answers of its
// gateway take answerTime. The list must not cause a hold of the account, and a one-time code two seconds later
// must not wait.
func TestRefusal_DeadNumbersHoldNothing(t *testing.T) {
	t.Parallel()
	const n = 30
	x := newAllGateways(t, simulator.Options{Latency: answerTime}, nil)
	x.start()
	tried := 0
	for i, k := range x.refusing() {
		tried++
		t.Run(k.Name, func(t *testing.T) {
			x := &allGateways{deployment: x.deployment, kinds: x.kinds}
			x.reply(k.Name, i, n, simulator.Reject)
			begun := time.Now()
			x.enqueueAt(k.Name, k.Name, i, n)
			x.eventually(10*time.Second, "the first call", func() bool { return x.gateway.Gateway(k.Name).Stats().Calls > 0 })
			<-time.After(time.Until(begun.Add(2 * time.Second)))
			asked := time.Now()
			code := k.Name + ":code"
			if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: code, Via: k.Name, Body: text, Class: producer.Transactional},
				producer.Numbers("254711999999")); err != nil {
				t.Fatal(err)
			}
			s := x.wait(code, 20*time.Second)
			answered := time.Since(asked)
			if s.Accepted != 1 || answered > 2*time.Second {
				t.Errorf("the one-time code took %s: %+v", answered, s)
			}
			if s := x.wait(k.Name, 30*time.Second); s.Rejected != n || time.Since(begun) > 15*time.Second {
				t.Errorf("the dead numbers took %s: %+v", time.Since(begun), s)
			}
			t.Logf("code after %s, all after %s, %d calls", answered, time.Since(begun), x.gateway.Gateway(k.Name).Stats().Calls)
		})
	}
	if tried < 4 {
		t.Fatalf("only %d gateways can refuse a number", tried)
	}
}

// Each gateway refuses all 10,000 numbers of a list as if they were dead. Each answer takes answerTime. With two
// workers, at most 50 numbers may be rejected. Then bulk campaigns must wait, and a one-time code must get its answer
// at once. After the repair each recipient gets the message once.
func TestRefusal_GatewayThatRefusesEverybody(t *testing.T) {
	t.Parallel()
	const all = 10_000
	x := newAllGateways(t, simulator.Options{Latency: answerTime}, nil)
	x.start()
	x.spawn()
	x.eventually(20*time.Second, "two workers", func() bool { return x.serving() == 2 })
	for i, k := range x.refusing() {
		x.reply(k.Name, i, all+1, simulator.Reject)
		x.enqueueAt(k.Name, k.Name, i, all)
	}
	for i, k := range x.refusing() {
		x.eventually(60*time.Second, "the hold of "+k.Name, func() bool {
			return slices.ContainsFunc(x.status(k.Name).BlockedBy, func(b producer.Block) bool { return b.Reason == "nothing_accepted" && b.Account == k.Name })
		})
		x.eventually(20*time.Second, "the calls in flight", func() bool { return x.status(k.Name).InFlight.Calls == 0 })
		if s := x.status(k.Name); s.Rejected > 50 || s.Rejected < 40 || s.Pending != all-s.Rejected {
			t.Errorf("%s: got %+v, want at most 50 rejected and the others pending", k.Name, s)
		}
		const why = "nothing accepted yet; the numbers may be dead, or the account is not set up"
		if out := x.must("status", k.Name); !strings.Contains(out, why) {
			t.Errorf("tuma status does not say why the campaign waits:\n%s", out)
		}
		if out, notes, _ := x.tuma("accounts"); !strings.Contains(out, "nothing_accepted") || !strings.Contains(notes, k.Name+": "+why) {
			t.Errorf("tuma accounts does not explain the hold:\n%s%s", out, notes)
		}
		// A one-time code to a dead number gets its answer at once, although bulk campaigns wait.
		code := k.Name + ":code"
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: code, Via: k.Name, Body: text, Class: producer.Transactional},
			producer.Numbers(fmt.Sprint(number(i, all)))); err != nil {
			t.Fatal(err)
		}
		if s := x.wait(code, 20*time.Second); s.Rejected != 1 {
			t.Errorf("%s: a one-time code to a dead number: %+v", k.Name, s)
		}
		t.Logf("%s: held after %d rejected", k.Name, x.status(k.Name).Rejected)
		x.reply(k.Name, i, all, simulator.Accept) // the repair
		x.must("release", k.Name)
	}
	x.gateway.SetLatency(0) // with the latency, the 10,000 calls would take minutes, because each call has one recipient
	for i, k := range x.refusing() {
		s := x.wait(k.Name, 3*time.Minute)
		if s.Rejected > 50 || s.Accepted != all-s.Rejected {
			t.Errorf("%s: after the repair: %+v", k.Name, s)
		}
		x.optIn(k.Name)
		x.must("retry", k.Name, "--rejected", "--yes")
		if s := x.wait(k.Name, time.Minute); s.Accepted != all {
			t.Errorf("%s: after the retry: %+v", k.Name, s)
		}
		x.audit(i, all)
	}
}

// optIn removes a campaign's rejected recipients from the suppression list. A refusal of Africa's Talking had added
// these recipients.
func (x *allGateways) optIn(id string) {
	x.t.Helper()
	var rejected []string
	for r, err := range x.client.Results(x.t.Context(), id, "rejected") {
		if err != nil {
			x.t.Fatal(err)
		}
		rejected = append(rejected, r.MSISDN)
	}
	x.must(append([]string{"optout", "remove", "--sender", "ACME"}, rejected...)...)
}
