package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// switchedStub is a stub that can be made unreachable.
type switchedStub struct {
	*stubGateway
	unreachable atomic.Bool
	largest     atomic.Int64 // the number of recipients of the largest call
	senders     atomic.Value // the sender ID of the last call
}

func newSwitchedStub(info providers.Info) *switchedStub {
	s := &switchedStub{stubGateway: newStubGateway(info)}
	s.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if s.unreachable.Load() {
			return nil, connectionRefusedError()
		}
		s.largest.Store(max(s.largest.Load(), int64(len(b.To))))
		s.senders.Store(b.From)
		return s.accept(ctx, b)
	}
	return s
}

func connectionRefusedError() error {
	return &providers.Error{Op: "stub send", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseConnection, Err: errors.New("refused")}
}

// startRouted starts a worker with one account at each gateway. The accounts have the names "a",
// "b" and so on. One route sends all numbers through these accounts, in this order of preference.
func (r *testTuma) startRouted(after time.Duration, gateways ...providers.Provider) *startedWorker {
	r.t.Helper()
	cfg := worker.Config{FailoverAfter: after, Routes: []worker.Route{{Match: "254"}}}
	for i, p := range gateways {
		name := string(rune('a' + i))
		cfg.Accounts = append(cfg.Accounts, worker.Account{Name: name, Provider: p, Timeout: time.Second, Sender: "FROM-" + name})
		cfg.Routes[0].Via = append(cfg.Routes[0].Via, name)
	}
	return r.startWith(cfg)
}

func (r *testTuma) enqueueRouted(id string, n int) {
	r.t.Helper()
	if _, err := r.producer.Enqueue(r.t.Context(), producer.Campaign{ID: id, Body: "Hello from ACME"}, producer.Numbers(kenyanNumbers(n)...)); err != nil {
		r.t.Fatal(err)
	}
}

// countsFor returns the counts of an account in the status of a campaign.
func countsFor(s producer.Status, account string) producer.AccountCounts {
	for _, c := range s.ByAccount {
		if c.Account == account {
			return c
		}
	}
	return producer.AccountCounts{}
}

// expectOnce checks that the gateways together took exactly one message to each of n recipients.
func expectOnce(t *testing.T, n int, gateways ...*switchedStub) {
	t.Helper()
	total := 0
	for _, g := range gateways {
		for m, count := range g.all() {
			total += count
			if count != 1 {
				t.Errorf("%s was taken %d times, want 1", m.Masked(), count)
			}
		}
	}
	if total != n {
		t.Errorf("%d messages were taken, want %d", total, n)
	}
}

func TestFailover_WorkMovesToTheNextAccountOfTheRoute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ first, second providers.Info }{
		"from large calls to small":      {providers.Info{MaxRecipients: 500, KeyTTL: keyTTL}, providers.Info{MaxRecipients: 100}},
		"from large calls to one a call": {providers.Info{MaxRecipients: 500, KeyTTL: keyTTL}, providers.Info{MaxRecipients: 1}},
		"from small calls to large":      {providers.Info{MaxRecipients: 3}, providers.Info{MaxRecipients: 500, KeyTTL: keyTTL}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			a, b := newSwitchedStub(tt.first), newSwitchedStub(tt.second)
			a.unreachable.Store(true)
			r.startRouted(300*time.Millisecond, a, b)
			r.enqueueRouted("c", 3000)
			s := r.wait("c", 60*time.Second)
			if s.Accepted != 3000 || countsFor(s, "b").Accepted != 3000 || countsFor(s, "a") != (producer.AccountCounts{Account: "a"}) {
				t.Errorf("got the status %+v, want 3000 accepted, all of them at b", s)
			}
			expectOnce(t, 3000, a, b)
			if got, want := b.largest.Load(), int64(min(tt.second.MaxRecipients, tt.first.MaxRecipients*50)); got != want {
				t.Errorf("the largest call has %d, want %d", got, want)
			}
			if from := b.senders.Load(); from != "FROM-b" {
				t.Errorf("got sender %v at the second account, want FROM-b", from)
			}
			for x, err := range r.producer.Results(t.Context(), "c") {
				if err != nil || x.Account != "b" || x.Status != "accepted" || x.MessageID != "m-"+x.MSISDN || x.MessageUUID == "" {
					t.Fatalf("got the result %+v and the error %v, want an accepted message of account b with its IDs", x, err)
				}
			}
		})
	}
}

func TestFailover_DoubtfulCallsDoNotMove(t *testing.T) {
	t.Parallel()
	for name, ttl := range map[string]time.Duration{"keyed": keyTTL, "without keys": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			a, b := newSwitchedStub(providers.Info{MaxRecipients: 50, KeyTTL: ttl}), newSwitchedStub(providers.Info{MaxRecipients: 20})
			usual := a.send
			var lost atomic.Int64
			a.send = func(ctx context.Context, batch providers.Batch) ([]providers.Result, error) {
				if !a.unreachable.Swap(true) { // the first call becomes doubtful, because the gateway takes the call and does not answer
					if _, err := a.accept(ctx, batch); err != nil {
						return nil, err
					}
					lost.Store(int64(len(batch.To)))
					return nil, noAnswerError()
				}
				return usual(ctx, batch)
			}
			r.startRouted(300*time.Millisecond, a, b)
			r.enqueueRouted("c", 1000)
			r.eventually(30*time.Second, "all recipients but the doubtful ones to go through b", func() bool {
				return lost.Load() > 0 && int64(countsFor(r.status("c"), "b").Accepted) == 1000-lost.Load()
			})
			if ttl == 0 {
				if s := r.wait("c", 20*time.Second); int64(countsFor(s, "a").Unknown) != lost.Load() {
					t.Errorf("got the status %+v, want %d unknown at a", s, lost.Load())
				}
				expectOnce(t, 1000, a, b)
				return
			}
			if s := r.status("c"); int64(countsFor(s, "a").Pending) != lost.Load() || s.Pending != countsFor(s, "a").Pending {
				t.Errorf("got the status %+v, want %d pending, all of them at a", s, lost.Load())
			}
			// The worker repeats the call under the same key, and the gateway repeats its answer.
			a.send = func(_ context.Context, batch providers.Batch) ([]providers.Result, error) {
				return slices.Repeat([]providers.Result{{Outcome: providers.Accepted, MessageID: "m"}}, len(batch.To)), nil
			}
			if _, err := r.producer.Release(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if s := r.wait("c", 30*time.Second); s.Accepted != 1000 {
				t.Errorf("got the status %+v, want 1000 accepted", s)
			}
			expectOnce(t, 1000, a, b)
		})
	}
}

func TestFailover_RecipientDoesNotReturnToAnAccount(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a, b := newSwitchedStub(providers.Info{MaxRecipients: 50}), newSwitchedStub(providers.Info{MaxRecipients: 50})
	a.unreachable.Store(true)
	b.unreachable.Store(true)
	r.startRouted(300*time.Millisecond, a, b)
	// No call has failed at the account "b" yet, so all recipients move to "b".
	r.enqueueRouted("c", 40)
	r.eventually(30*time.Second, "all recipients to be at b, and b to be held", func() bool {
		s := r.status("c")
		return countsFor(s, "b").Pending == 40 && slices.ContainsFunc(s.BlockedBy, func(x producer.Block) bool { return x.Account == "b" })
	})
	a.unreachable.Store(false)
	if _, err := r.producer.Release(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for range 20 { // wait for 20 sweeps
		r.waitForSweep()
	}
	if s := r.status("c"); countsFor(s, "b").Pending != 40 {
		t.Errorf("recipients returned to the first account: %+v", s)
	}
	b.unreachable.Store(false)
	if _, err := r.producer.Release(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); countsFor(s, "b").Accepted != 40 {
		t.Errorf("got the status %+v, want 40 accepted at b", s)
	}
	expectOnce(t, 40, a, b)
}

func TestFailover_AccountHeldByHandKeepsItsWork(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a, b := newSwitchedStub(providers.Info{}), newSwitchedStub(providers.Info{})
	r.startRouted(100*time.Millisecond, a, b)
	if err := r.producer.Hold(t.Context(), "a", "audit"); err != nil {
		t.Fatal(err)
	}
	r.enqueueRouted("c", 100)
	r.eventually(10*time.Second, "planning", func() bool { return r.status("c").State == producer.Sending })
	for range 20 {
		r.waitForSweep()
	}
	if s := r.status("c"); countsFor(s, "a").Pending != 100 {
		t.Errorf("got the status %+v, want 100 pending at a", s)
	}
	if _, err := r.producer.Release(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); countsFor(s, "a").Accepted != 100 {
		t.Errorf("got the status %+v, want 100 accepted at a", s)
	}
}

func TestFailover_PlanSkipsAnAccountHeldForLong(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a, b := newSwitchedStub(providers.Info{}), newSwitchedStub(providers.Info{})
	r.startRouted(100*time.Millisecond, a, b)
	a.unreachable.Store(true)
	l := ledger.New(r.rdb)
	hold, err := accounts.New(l.Runner()).ReportCall(t.Context(), "a", accounts.CallReport{Outcome: campaign.CallHold, Reason: "connection", Jitter: 1})
	if err != nil || !hold.Held() {
		t.Fatal(hold, err)
	}
	r.eventually(10*time.Second, "the hold to be long", func() bool {
		x, err := accounts.New(l.Runner()).Account(t.Context(), "a")
		return err == nil && time.Since(x.Hold.Since) > 200*time.Millisecond
	})
	r.enqueueRouted("c", 100)
	if s := r.wait("c", 30*time.Second); countsFor(s, "b").Accepted != 100 {
		t.Errorf("got the status %+v, want 100 accepted at b", s)
	}
	// When the hold's time has passed, the account "a" must get a call of one of the campaigns
	// d-0, d-1 and so on. This call is the probe.
	a.unreachable.Store(false)
	r.eventually(10*time.Second, "the hold's time to end", func() bool { return !time.Now().Before(hold.Until) })
	for i := 0; a.calls.Load() == 0; i++ { // after 100 ms, work that waits for the probe may move to another account
		if i == 20 {
			t.Fatal("no call probed the account")
		}
		id := fmt.Sprint("d-", i)
		r.enqueueRouted(id, 100)
		if s := r.wait(id, 30*time.Second); s.Accepted != 100 {
			t.Errorf("got the status %+v, want 100 accepted", s)
		}
	}
}

// waitForSweep waits longer than the time between two sweeps.
func (r *testTuma) waitForSweep() { <-time.After(100 * time.Millisecond) }

func TestFailover_NoMoveToAnIncompatibleAccount(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a, b := newSwitchedStub(providers.Info{}), newSwitchedStub(providers.Info{})
	a.unreachable.Store(true)
	first := r.startRouted(time.Hour, a, b)
	c := producer.Campaign{ID: "c", From: "LONGSENDER", Body: "Hello from ACME"}
	if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers(kenyanNumbers(100)...)); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	first.drain(t)
	b.info.SenderAlphaMax = 5 // the gateway's limit is lowered after the campaign was enqueued
	r.startRouted(100*time.Millisecond, a, b)
	r.eventually(10*time.Second, "the status to name the incompatibility", func() bool {
		s := r.status("c")
		return len(s.BlockedBy) == 1 && s.BlockedBy[0].Account == "a" && slices.ContainsFunc(s.BlockedBy[0].Incompatible, func(x string) bool {
			return strings.HasPrefix(x, "b: from: ")
		})
	})
	for range 20 {
		r.waitForSweep()
	}
	if s := r.status("c"); countsFor(s, "a").Pending != 100 {
		t.Errorf("got the status %+v, want 100 pending at a", s)
	}
	a.unreachable.Store(false)
	if _, err := r.producer.Release(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); countsFor(s, "a").Accepted != 100 {
		t.Errorf("got the status %+v, want 100 accepted at a", s)
	}
}
