package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// sentTexts counts the messages that accounts send, by account and text.
type sentTexts struct {
	mu     sync.Mutex
	counts map[string]map[string]int
}

// account returns an account at a gateway that accepts every message.
func (s *sentTexts) account(name string) worker.Account {
	gw := newStubGateway(providers.Info{MaxRecipients: 5})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.counts == nil {
			s.counts = map[string]map[string]int{}
		}
		if s.counts[name] == nil {
			s.counts[name] = map[string]int{}
		}
		s.counts[name][b.Body] += len(b.To)
		return gw.accept(ctx, b)
	}
	a := stubAccount(gw)
	a.Name = name
	return a
}

// A campaign waits for a held account, so workers have read it, planned it and queued its batches.
// Then the campaign is cancelled. Another campaign gets the same ID, with another text and other
// numbers, at the same or at another account. The gateways must get only the messages of the second
// campaign, each number once.
func TestFreedID_OnlyTheNewCampaignIsSent(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"kobo-main", "other"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			r := newTestTumaOn(t, simulator.Options{}, withConfig())
			sent := &sentTexts{}
			accounts := []worker.Account{sent.account("kobo-main"), sent.account("other")}
			first := r.startWith(worker.Config{Accounts: accounts})
			r.startWith(worker.Config{Accounts: accounts})
			for round, text := range []string{"first", "second", "third"} {
				to := "kobo-main"
				if round > 0 {
					to = via
				}
				for _, name := range []string{"kobo-main", "other"} {
					if err := r.producer.Hold(t.Context(), name, "test"); err != nil {
						t.Fatal(err)
					}
				}
				receipt, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: to, Body: text}, producer.Numbers(kenyanNumbers(40-10*round)...))
				if err != nil || receipt.Again {
					t.Fatalf("the enqueue of %q returned %+v, %v; want a new campaign", text, receipt, err)
				}
				r.eventually(20*time.Second, "the plan of "+text, func() bool { return r.status("c").State == producer.Sending })
				if text == "third" {
					break
				}
				if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
					t.Fatal(err)
				}
				// A planned campaign frees its ID only 15 minutes after its end, so the test moves
				// its end back by an hour.
				if err := r.rdb.HSet(t.Context(), "tuma:{c}:l", "fin", time.Now().Add(-time.Hour).UnixMilli()).Err(); err != nil {
					t.Fatal(err)
				}
				if round == 1 {
					first.drain(t) // the other worker then gets the tasks of the cancelled campaign
				}
			}
			for _, name := range []string{"kobo-main", "other"} {
				if _, err := r.producer.Release(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			if s := r.wait("c", 60*time.Second); s.Accepted != 20 || s.Total != 20 {
				t.Errorf("got the status %+v, want 20 of 20 accepted", s)
			}
			sent.mu.Lock()
			defer sent.mu.Unlock()
			for name, texts := range sent.counts {
				if name != via || len(texts) != 1 || texts["third"] != 20 {
					t.Errorf("account %s got %v, want only 20 messages %q at %s", name, texts, "third", via)
				}
			}
		})
	}
}
