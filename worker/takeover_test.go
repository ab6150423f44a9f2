package worker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// A planner puts 800 recipients of the first page into batches, and carries over the page's other recipients.
// Then the planner dies. The second page repeats ten planned recipients and ten carried-over recipients. It also
// has five new recipients, which are two more than the campaign's MaxMessages allows. Another planner must continue.
func TestPlan_NextPlannerKnowsPlannedRecipients(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	l := ledger.New(r.rdb)
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	if err := accounts.New(l.Runner()).Publish(t.Context(), "dead", campaign.Card{Name: "kobo-main", Info: gw.info, Unit: worker.UnitMessages, Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	const planned = campaign.MaxPageRows
	all := kenyanNumbers(planned + 5)
	list := slices.Concat(all[:planned], all[:10], all[planned-10:planned], all[planned:])
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "b", MaxMessages: planned + 3},
		producer.Numbers(list...)); err != nil {
		t.Fatal(err)
	}
	snapshot := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "kobo-main", MaxRecipients: 400, BatchSize: 400}}}
	plan, err := l.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return snapshot, nil })
	if err != nil {
		t.Fatal(err)
	}
	var to []campaign.Planned
	for i := range planned {
		to = append(to, campaign.Planned{Row: i + 1, MSISDN: 254_710_000_000 + sms.MSISDN(i)})
	}
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 4}, Carry: [][]campaign.Call{{{To: to[800:]}}},
		Batches: []campaign.PlannedBatch{{Calls: []int{400}, To: to[:400]}, {Calls: []int{400}, To: to[400:800]}}}
	if _, _, err := plan.CommitPage(t.Context(), script.NewToken(), page); err != nil {
		t.Fatal(err)
	}
	r.start(stubAccount(gw))
	if s := r.wait("c", 40*time.Second); s.Accepted != planned+3 || s.Skipped != 22 {
		t.Errorf("got status %+v, want %d accepted and 22 skipped", s, planned+3)
	}
	for n, times := range gw.all() {
		if times != 1 {
			t.Errorf("%s was taken %d times, want 1", n.Masked(), times)
		}
	}
}
