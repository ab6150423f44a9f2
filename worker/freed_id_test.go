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

// A campaign waits for a held account, so workers have read it, planned it and queued its batches. It
// is cancelled, and another campaign takes its ID, with another text and numbers, at the same or at
// another account. The gateways get only the second campaign, each number once.
func TestFreedID_OnlyTheNewCampaignIsSent(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"kobo-main", "other"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			r := newTestTumaOn(t, simulator.Options{}, withConfig())
			var mu sync.Mutex
			texts := map[string]map[string]int{} // for each account, how often each text was sent
			gateway := func(name string) worker.Account {
				gw := newStubGateway(providers.Info{MaxRecipients: 5})
				gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
					mu.Lock()
					defer mu.Unlock()
					if texts[name] == nil {
						texts[name] = map[string]int{}
					}
					texts[name][b.Body] += len(b.To)
					return gw.accept(ctx, b)
				}
				a := stubAccount(gw)
				a.Name = name
				return a
			}
			accounts := []worker.Account{gateway("kobo-main"), gateway("other")}
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
				if round == 1 {
					first.drain(t) // its queued work goes to the other worker
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
			mu.Lock()
			defer mu.Unlock()
			for name, sent := range texts {
				if name != via || len(sent) != 1 || sent["third"] != 20 {
					t.Errorf("account %s got %v, want only 20 messages %q at %s", name, sent, "third", via)
				}
			}
		})
	}
}
