package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/worker"
)

func TestSend_NothingTwiceOrLostUnderGatewayFaults(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"close", "accept_close", "accept_502", "500", "429", "error_gw", "accept_error_gw", "html", "accept_html", "cut", "hang", "accept_hang", "error_billing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{Seed: 1})
			if err := r.gateway.Fail(simulator.Fault{Name: name, P: 0.2}); err != nil {
				t.Fatal(err)
			}
			r.start(r.account(func(c *kobo.Config, a *worker.Account) {
				c.Timeout, a.Timeout, c.MaxRecipients = 200*time.Millisecond, 200*time.Millisecond, 50
			}))
			r.enqueue("c", kenyanNumbers(2000))
			s := r.wait("c", 60*time.Second)
			if s.Accepted != 2000 {
				t.Errorf("got the status %+v, want 2000 accepted", s)
			}
			if got := r.gateway.Stats(); got.Accepted != 2000 || got.Duplicates != 0 || got.Conflicts != 0 || got.Faults == 0 {
				t.Errorf("got the gateway counters %+v, want 2000 accepted, 0 duplicates, 0 conflicts and at least 1 fault", got)
			}
			r.tally("c")
		})
	}
}

func TestHold_RecipientsWaitAndTheAccountRecovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(*testTuma)
		repair func(*testTuma)
		reason string
	}{
		{"wrong password", func(r *testTuma) { r.gateway.SetPassword("demo", "other") }, func(r *testTuma) { r.gateway.SetPassword("demo", "demopass") }, "credentials"},
		{"html from a proxy", func(r *testTuma) { r.fail(simulator.Fault{Name: "html", P: 1, Everything: true}) }, func(r *testTuma) { r.gateway.ClearFaults() }, "not_understood"},
		{"404", func(r *testTuma) { r.fail(simulator.Fault{Name: "404", P: 1, Everything: true}) }, func(r *testTuma) { r.gateway.ClearFaults() }, "configuration"},
		{"no credit", func(r *testTuma) { r.gateway.SetCredit(0.5) }, func(r *testTuma) { r.gateway.SetCredit(10000) }, "credit"},
		{"500 for everything", func(r *testTuma) { r.fail(simulator.Fault{Name: "500", P: 1, Everything: true}) }, func(r *testTuma) { r.gateway.ClearFaults() }, "gateway"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
			tt.spoil(r)
			r.start(r.account())
			r.enqueue("c", kenyanNumbers(3000))
			var block producer.Block
			r.eventually(20*time.Second, "the hold", func() bool {
				s := r.status("c")
				if len(s.BlockedBy) > 0 {
					block = s.BlockedBy[0]
				}
				return len(s.BlockedBy) > 0
			})
			if block.Account != "kobo-main" || block.Reason != tt.reason || block.Until == nil {
				t.Errorf("got the block %+v, want kobo-main held for %s with a time of the next try", block, tt.reason)
			}
			if s := r.status("c"); s.Pending != 3000 {
				t.Errorf("a recipient is no longer pending: %+v", s)
			}
			if n := r.gateway.Stats().Calls; n > 8+3 {
				t.Errorf("got %d calls before the hold, want at most 11", n)
			}
			tt.repair(r)
			if s := r.wait("c", 60*time.Second); s.Accepted != 3000 {
				t.Errorf("got the status after the repair %+v, want 3000 accepted", s)
			}
			if got := r.gateway.Stats(); got.Accepted != 3000 || got.Duplicates != 0 {
				t.Errorf("got the gateway counters %+v, want 3000 accepted and 0 duplicates", got)
			}
		})
	}
}

func TestHold_ByHandLastsUntilReleased(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account())
	r.eventually(5*time.Second, "the account card", func() bool {
		return r.producer.Hold(t.Context(), "kobo-main", "audit") == nil
	})
	r.enqueue("c", kenyanNumbers(10))
	r.eventually(10*time.Second, "planning", func() bool { return r.status("c").State == producer.Sending })
	if got := r.status("c").BlockedBy; len(got) != 1 || got[0].Reason != "audit" || got[0].By != "operator" || got[0].Until != nil {
		t.Errorf("got the blocks %+v, want one: a hold by operator for audit without an end", got)
	}
	if n := r.gateway.Stats().Calls; n != 0 {
		t.Errorf("got %d calls on a held account, want 0", n)
	}
	if had, err := r.producer.Release(t.Context(), "kobo-main"); err != nil || !had {
		t.Fatal(had, err)
	}
	if s := r.wait("c", 20*time.Second); s.Accepted != 10 {
		t.Errorf("got the status %+v, want 10 accepted", s)
	}
}

func TestSplit_OnlyBadNumbersAreRejected(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	kobosim.Of(r.gateway).SetInvalid("error_limit", 254710000123, 254710000400)
	r.start(r.account())
	r.enqueue("c", kenyanNumbers(500))
	s := r.wait("c", 60*time.Second)
	if s.Accepted != 498 || s.Rejected != 2 {
		t.Errorf("got the status %+v, want 498 accepted and 2 rejected", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 498 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 498 accepted and 0 duplicates", got)
	}
	r.tally("c")
}

func TestPause_StopsNewCallsAndResumeRepeatsNone(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 20 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(3000))
	for i := range 5 {
		r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > int64(i*20+10) })
		in, err := r.producer.Pause(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		r.eventually(10*time.Second, "calls in flight to end", func() bool { return r.status("c").InFlight.Calls == 0 })
		quiet := r.gateway.Stats().Calls
		if in.Calls > 8 {
			t.Errorf("got %d calls in flight, want at most 8, one for each slot", in.Calls)
		}
		// If a worker ignored the pause, it would make a call within this time.
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		<-ctx.Done()
		cancel()
		if now := r.gateway.Stats().Calls; now != quiet {
			t.Fatalf("got %d calls after the pause, want 0", now-quiet)
		}
		if s := r.status("c"); s.State != producer.Paused {
			t.Fatalf("got state %s, want paused", s.State)
		}
		if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != 3000 {
		t.Errorf("got the status %+v, want 3000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 3000 || got.Duplicates != 0 || got.Calls != 300 {
		t.Errorf("got the gateway counters %+v, want 3000 accepted, 0 duplicates and 300 calls", got)
	}
}

func TestCancel_SkipsUnclaimedRecipients(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 20 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(3000))
	r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 20 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s := r.wait("c", 20*time.Second)
	if s.State != producer.Cancelled || int64(s.Accepted) != r.gateway.Stats().Accepted || s.Accepted+s.Skipped != 3000 {
		t.Errorf("got the status %+v and the gateway counters %+v, want state cancelled, equal numbers accepted and all others skipped", s, r.gateway.Stats())
	}
	if got := r.tally("c"); got["skipped"] != s.Skipped || got["accepted"] != s.Accepted {
		t.Errorf("results %v do not match status %+v", got, s)
	}
}

func TestSweep_RebuildsTheWholeQueue(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 5 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	r.enqueue("c", kenyanNumbers(5000))
	for i := range 4 {
		r.eventually(20*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > int64(i*100) })
		keys, err := r.rdb.Keys(t.Context(), "asynq:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			continue
		}
		if err := r.rdb.Del(t.Context(), keys...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.wait("c", 60*time.Second); s.Accepted != 5000 {
		t.Errorf("got the status %+v, want 5000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 5000 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 5000 accepted and 0 duplicates", got)
	}
}

func TestDrain_WorkersMayComeAndGo(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 10 * time.Millisecond})
	small := func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }
	workers := []*startedWorker{r.start(r.account(small)), r.start(r.account(small)), r.start(r.account(small))}
	r.enqueue("c", kenyanNumbers(10000))
	for i := range workers {
		r.eventually(20*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > int64(100*(i+1)) })
		workers[i].drain(t)
		workers[i] = r.start(r.account(small))
	}
	if s := r.wait("c", 60*time.Second); s.Accepted != 10000 {
		t.Errorf("got the status %+v, want 10000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Accepted != 10000 || got.Duplicates != 0 || got.Calls != 1000 {
		t.Errorf("got the gateway counters %+v, want 10000 accepted, 0 duplicates and 1000 calls", got)
	}
}

func (r *testTuma) fail(f simulator.Fault) {
	r.t.Helper()
	if err := r.gateway.Fail(f); err != nil {
		r.t.Fatal(err)
	}
}
