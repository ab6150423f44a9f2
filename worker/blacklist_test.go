package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// blacklistingGateway returns a gateway and a switch. While the switch is true, the gateway answers
// that the number of every recipient is blacklisted.
func blacklistingGateway(info providers.Info) (*stubGateway, *atomic.Bool) {
	gw := newStubGateway(info)
	blacklists := new(atomic.Bool)
	blacklists.Store(true)
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if !blacklists.Load() {
			return gw.accept(ctx, b)
		}
		out := make([]providers.Result, len(b.To))
		for i := range out {
			out[i] = providers.Result{Outcome: providers.Rejected, Reason: providers.ReasonBlacklisted, Code: "406"}
		}
		return out, nil
	}
	return gw, blacklists
}

// wantNoOptOuts fails the test if any suppression list has an entry.
func (r *testTuma) wantNoOptOuts() {
	r.t.Helper()
	counts, err := r.producer.OptOutCounts(r.t.Context())
	if err != nil || len(counts) > 0 {
		r.t.Errorf("got suppression lists with %v entries and the error %v, want none", counts, err)
	}
}

// A gateway does not know the sender ID. So it answers that the number of every recipient is
// blacklisted. The campaign must be paused, and no number may be added to the suppression list.
// After the repair all recipients get the message.
func TestBlacklist_OfEveryRecipientPausesTheCampaign(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		max  int // recipients of one call
		body string
	}{
		"a call of all recipients":  {200, "Hello"},
		"calls of one recipient":    {1, "Hello"},
		"calls with texts":          {200, greeting},
		"calls of a few recipients": {7, "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n, mostRejected = 500, 50
			r := newTestTuma(t, simulator.Options{})
			gw, blacklists := blacklistingGateway(providers.Info{MaxRecipients: tc.max, BlacklistBySender: true})
			r.start(worker.Account{Name: "a", Provider: gw, Sender: "ACME", Concurrency: 4})
			if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "first", Via: "a", Body: tc.body}, namedRecipients(n, 1)); err != nil {
				t.Fatal(err)
			}
			var s producer.Status
			r.eventually(30*time.Second, "the pause or the hold", func() bool {
				var err error
				s, err = r.producer.Status(t.Context(), "first")
				return err == nil && (s.State == producer.Paused || len(s.BlockedBy) > 0 && s.Rejected > 0)
			})
			if s.Rejected > mostRejected || s.Accepted > 0 {
				t.Errorf("got %d rejected and %d accepted, want at most %d rejected before the pause or hold", s.Rejected, s.Accepted, mostRejected)
			}
			r.wantNoOptOuts()

			blacklists.Store(false)
			if _, err := r.producer.Release(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if s.State == producer.Paused {
				if _, err := r.producer.Resume(t.Context(), "first"); err != nil {
					t.Fatal(err)
				}
			}
			s = r.wait("first", 30*time.Second)
			if s.Rejected > 0 {
				if _, err := r.producer.Retry(t.Context(), "first", producer.RetryOptions{Rejected: true}); err != nil {
					t.Fatal(err)
				}
				s = r.wait("first", 30*time.Second)
			}
			if s.Accepted != n || len(gw.all()) != n {
				t.Errorf("after the repair: got %d accepted, and %d recipients at the gateway, want %d", s.Accepted, len(gw.all()), n)
			}
			r.wantNoOptOuts()
		})
	}
}

// A message without a sender ID is sent under the gateway's shared sender. An answer for the shared
// sender proves nothing about our own sender IDs.
func TestBlacklist_OfASharedSenderSuppressesNoRecipient(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 10, BlacklistBySender: true})
	barred := mustParse(t, "0710000001")
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		out, err := gw.accept(ctx, b)
		for i, m := range b.To {
			if m == barred && b.From == "" {
				out[i] = providers.Result{Outcome: providers.Rejected, Reason: providers.ReasonBlacklisted, Code: "406"}
			}
		}
		return out, err
	}
	r.start(worker.Account{Name: "a", Provider: gw})
	for _, tc := range []struct {
		id, from           string
		accepted, rejected int
	}{{"shared", "", 1, 1}, {"ours", "ACME", 2, 0}} {
		if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: tc.id, Via: "a", From: tc.from, Body: "Hello"}, producer.Numbers("0710000001", "0710000002")); err != nil {
			t.Fatal(err)
		}
		if s := r.wait(tc.id, 20*time.Second); s.Accepted != tc.accepted || s.Rejected != tc.rejected {
			t.Errorf("campaign %s: got %+v, want %d accepted and %d rejected", tc.id, s, tc.accepted, tc.rejected)
		}
	}
	r.wantNoOptOuts()
}

// If a call has only the blacklisted recipient, its answer does not show that the sender ID works.
// The worker adds the number to the suppression list only after the gateway has accepted another
// message with the same sender ID.
func TestBlacklist_AddsOnceTheSenderIsProven(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1, BlacklistBySender: true})
	barred := mustParse(t, "0710000001")
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if b.To[0] == barred {
			return []providers.Result{{Outcome: providers.Rejected, Reason: providers.ReasonBlacklisted, Code: "406"}}, nil
		}
		return gw.accept(ctx, b)
	}
	r.start(worker.Account{Name: "a", Provider: gw, Sender: "ACME", Concurrency: 1})
	send := func(id, number string) {
		t.Helper()
		if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "a", Body: "Hello"}, producer.Numbers(number)); err != nil {
			t.Fatal(err)
		}
		r.wait(id, 20*time.Second)
	}
	send("before", "0710000009")
	send("barred", "0710000001")
	r.wantNoOptOuts()
	send("other", "0710000002")
	r.eventually(10*time.Second, "the suppression list entry", func() bool {
		found, err := r.producer.OptOutsOf(t.Context(), "0710000001", "KE")
		return err == nil && len(found) == 1 && found[0].Sender == "ACME"
	})
}

// A gateway answers that recipients are blacklisted, because the sender ID is not registered yet. When
// the sender ID is registered later, these recipients must not be added to the suppression list.
func TestBlacklist_UnprovenSenderSuppressesNoRecipient(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw, blacklists := blacklistingGateway(providers.Info{MaxRecipients: 1, BlacklistBySender: true})
	r.start(worker.Account{Name: "a", Provider: gw, Sender: "ACME", Concurrency: 1})
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "before", Via: "a", Body: "Hello"}, producer.Numbers(kenyanNumbers(9)...)); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("before", 20*time.Second); s.Rejected != 9 {
		t.Fatalf("got %+v, want 9 rejected", s)
	}
	blacklists.Store(false)
	// If the campaign "after" had added numbers to the list, the campaign "again" would skip these numbers.
	for _, id := range []string{"after", "again"} {
		if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "a", Body: "Hello"}, producer.Numbers(kenyanNumbers(9)...)); err != nil {
			t.Fatal(err)
		}
		if s := r.wait(id, 20*time.Second); s.Accepted != 9 {
			t.Errorf("campaign %s: got %+v, want 9 accepted", id, s)
		}
	}
	r.wantNoOptOuts()
}
