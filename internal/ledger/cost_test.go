package ledger

import (
	"context"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// Each of costCases has the costs of a call's three recipients, the argument for settle.lua, and the
// amount that the ledger counts, in millionths.
var costCases = map[string]struct {
	costs [3]string
	arg   string
	cost  int64
	in    string
}{
	"none":            {[3]string{"", "", ""}, "", 0, ""},
	"one currency":    {[3]string{"KES 0.8", "KES 1", "KES 0.000001"}, "KES:1800001", 1800001, "KES"},
	"one is missing":  {[3]string{"KES 0.80", "", "KES 2."}, "KES:2800000", 2800000, "KES"},
	"zero":            {[3]string{"KES 0", "KES 0.00", "KES 0"}, "", 0, ""},
	"no numbers":      {[3]string{"KES 1e3", "KES -1", "KES .5"}, "", 0, ""},
	"too many digits": {[3]string{"KES 1234567890", "KES 0.1234567", "KES 3"}, "KES:3000000", 3000000, "KES"},
	"no ISO code":     {[3]string{"kes 1", "KE 1", "KESH 1"}, "", 0, ""},
	"two currencies":  {[3]string{"KES 1", "UGX 30", "KES 1"}, mixedCosts, 0, ""},
}

// settle.lua has a short way, which takes the sum of the costs from the argument, and a long way, which
// reads the records. Both ways must count the same costs.
func TestSettle_CountsCosts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, x := range costCases {
		var records []campaign.Record
		for _, c := range x.costs {
			currency, cost, _ := strings.Cut(c, " ")
			records = append(records, campaign.Record{Status: campaign.Accepted, MessageID: "m", Cost: cost, Currency: currency})
		}
		if got := costArg(records); got != x.arg {
			t.Errorf("%s: the argument is %q, want %q", name, got, x.arg)
		}
		for _, doubtful := range []bool{false, true} {
			id := strings.ReplaceAll(name, " ", "-")
			if doubtful {
				id += "-doubtful"
			}
			r.sending(id, []int{3})
			if doubtful { // for a partial answer, settle.lua reads the costs from the records
				c := r.claim(id, firstBatch, 0, 0, keyed, long)
				r.settle(c, campaign.SettlePartial, records...)
			} else {
				r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, records...)
			}
			sum, err := r.Summary(t.Context(), id)
			r.ok(err)
			got, err := Usage(t.Context(), r.Ledger, sum)
			r.ok(err)
			if len(got) != 1 || got[0].Messages != 3 || got[0].Segments != 3 {
				t.Fatalf("%s: usage is %+v, want 3 messages", name, got)
			}
			// If the costs have two currencies, settle.lua counts those in the first currency. Either
			// currency may be the first.
			mixed := got[0].Currency == "KES" && got[0].Cost == 2_000_000 || got[0].Currency == "UGX" && got[0].Cost == 30_000_000
			if x.arg == mixedCosts && !mixed || x.arg != mixedCosts && (got[0].Cost != x.cost || got[0].Currency != x.in) {
				t.Errorf("%s (the long way: %t): cost is %d %s, want %d %s", name, doubtful, got[0].Cost, got[0].Currency, x.cost, x.in)
			}
		}
	}
}

// If the texts of a record are too long, its stored form may lack a part of the cost. Then costArg must
// return mixedCosts, so that settle.lua takes the costs from the stored records.
func TestCostArg_LeavesCutRecordsToTheScript(t *testing.T) {
	t.Parallel()
	long := priced(strings.Repeat("m", 240))
	if got := costArg([]campaign.Record{priced("m"), long}); got != mixedCosts {
		t.Errorf("the argument is %q, want %q", got, mixedCosts)
	}
}

// A result may arrive after the campaign has left the open index. Reconcile then puts the
// campaign back, so that the sweeper counts the campaign's usage.
func TestReconcile_PutsACountedCampaignBackIntoTheOpenIndex(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	r.settle(r.claim("c", firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, unknown("no_answer"))
	r.ok(r.rdb.ZRem(t.Context(), openIndex, "c").Err())
	_, err := r.Reconcile(t.Context(), attempts.Attempt{Campaign: "c", Batch: firstBatch}, map[sms.MSISDN]string{msisdnOfRow(1): "m"}, 1, 9)
	r.ok(err)
	if _, ok := r.indexed("c"); !ok {
		t.Error("the sweeper does not look at the campaign again")
	}
	r.expect("c", "accepted")
}

// The method "usage" checks that the messages, segments and costs of each account match the results.
func (a *stateAudit) usage(ctx context.Context, l *Ledger, sum Summary) {
	got, err := Usage(ctx, l, sum)
	if err != nil {
		a.failf("usage: %v", err)
		return
	}
	want := map[string]campaign.Usage{}
	for _, row := range a.rows {
		if row.Status < campaign.Accepted || row.Status > campaign.Undelivered {
			continue
		}
		u, n := want[row.Account], 1
		if sum.Spec.Personalized() {
			n = segmentsOf(personalizedBody(row.Row))
		}
		u.Account, u.Messages, u.Segments = row.Account, u.Messages+1, u.Segments+n
		if cost, ok := costOf(row.Record); ok {
			u.Cost, u.Currency = u.Cost+cost, row.Currency
		}
		want[row.Account] = u
	}
	for _, u := range got {
		if w := want[u.Account]; u != w && (u.Messages != 0 || w.Messages != 0) {
			a.failf("the results have for account %s the usage %+v, the ledger has %+v", u.Account, w, u)
		}
	}
}
