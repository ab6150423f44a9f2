package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

// A worker compares a call with the campaign's opt-outs, and waits for the call's turn. Meanwhile,
// other people opt out. These opt-outs must not make Redis refuse the claim. Otherwise, a slow account would never
// send again.
func TestOptOutExclude_OptOutsOfOthersDoNotRefuseAClaim(t *testing.T) {
	t.Parallel()
	optOuts := func(rows ...int) func(*testLedger) { return func(r *testLedger) { r.exclude("c", rows...) } }
	many := func(n int) func(*testLedger) {
		return func(r *testLedger) {
			for row := range n {
				r.exclude("c", 100+row)
			}
		}
	}
	for name, c := range map[string]struct {
		before []int // rows of the opt-outs that the worker has read
		after  func(*testLedger)
		want   ClaimResult
	}{
		"of others":             {nil, optOuts(4, 5), ClaimGranted},
		"of others, later":      {[]int{4}, optOuts(5, 77), ClaimGranted},
		"of a recipient":        {nil, optOuts(4, 2), ClaimExcluded},
		"of a recipient, later": {[]int{4}, optOuts(3), ClaimExcluded},
		"of a longer number":    {nil, excluding(campaign.AllSenders, msisdnOfRow(2)*10+1), ClaimGranted},
		"500 of others":         {[]int{4}, many(500), ClaimGranted},
		"too many to compare":   {[]int{4}, many(501), ClaimExcluded},
		"a whole list":          {nil, excluding(campaign.AllSenders), ClaimExcluded},
		"lost, and others":      {[]int{4}, func(r *testLedger) { loseOptOuts(r); r.exclude("c", 5); r.exclude("c", 77) }, ClaimExcluded},
		"lost, and none":        {[]int{4}, func(r *testLedger) { loseOptOuts(r) }, ClaimExcluded},
		"an entry is lost":      {[]int{4}, func(r *testLedger) { r.exclude("c", 5); r.ok(r.rdb.HDel(t.Context(), ledgerKey("c"), "e2").Err()) }, ClaimExcluded},
		"an entry is unreadable": {nil, func(r *testLedger) {
			r.exclude("c", 5)
			r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "e1", "t\nACME").Err())
		}, ClaimExcluded},
		"the known one is longer": {[]int{4}, func(r *testLedger) {
			r.exclude("c", 5)
			r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "e1", "other\n*\n").Err())
		}, ClaimExcluded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{3, 2})
			var x Exclusions
			if c.before != nil {
				r.exclude("c", c.before...)
				r.ok(x.Read(t.Context(), r.Ledger, "c"))
			}
			c.after(r)
			g := r.open("c", "0.0", 0, 0)
			if got := r.excluding("c", "0.0", g, &x); got.Result != ClaimExcluded {
				t.Errorf("a claim without numbers got %s, want excluded", got.Result)
			}
			_, version, _ := x.In(g.To)
			got, err := r.Claim(t.Context(), ClaimRequest{ID: "c", Batch: "0.0", Gen: g, IdempotencyKey: requestID("0.0", g, "login"), Login: "login",
				KeyTTL: keyed, Lease: long, OpenBatchLimit: 1000, Exclusions: version, NameRecipients: true})
			r.ok(err)
			if got.Result != c.want {
				t.Errorf("a claim that names its recipients got %s, want %s", got.Result, c.want)
			}
		})
	}
}

// The function "excluding" returns a function that excludes numbers of a suppression list in campaign c. If
// "numbers" is empty, the returned function excludes all numbers of the list.
func excluding(list string, numbers ...sms.MSISDN) func(*testLedger) {
	return func(r *testLedger) {
		_, err := r.Exclude(r.Context(), "c", list, numbers)
		r.ok(err)
	}
}

// loseOptOuts removes the opt-outs of campaign c, as a Redis that restarts with older data does.
func loseOptOuts(r *testLedger) {
	r.Helper()
	for field := range r.hash("c") {
		if field == "ex" || strings.HasPrefix(field, "e1") {
			r.ok(r.rdb.HDel(r.Context(), ledgerKey("c"), field).Err())
		}
	}
}

// Gateways repeat an opt-out until they get an answer. One opt-out may come a thousand times.
func TestOptOutExclude_RepeatedOptOutIsWrittenOnce(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3, 2})
	for range 3 {
		for row := 1; row <= 5; row++ {
			r.exclude("c", row)
		}
		r.exclude("c", 1, 2)
	}
	if n, _ := versionParts(r.hash("c")["ex"]); n != 6 {
		t.Errorf("six opt-outs that come three times have %d entries, want 6", n)
	}
	for range 2 { // an entry for the whole list is written each time, because the list may have grown
		excluding(campaign.AllSenders)(r)
		excluding("ACME", msisdnOfRow(1))(r)
	}
	if n, _ := versionParts(r.hash("c")["ex"]); n != 9 {
		t.Errorf("the campaign has %d entries, want 9: one for each whole list, one for the other list", n)
	}
}

// Tuma answers a person's STOP after every open campaign has excluded the person. Earlier, this took 180 round trips
// for 60 open batches. A busy Redis then did not answer within the time limit of a callback.
func TestOptOutExcludeOpen_TakesFewRoundTrips(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	batches := make([][]int, 60)
	for i := range batches {
		batches[i] = []int{2, 1}
	}
	r.sending("c", batches...)
	for _, b := range []int{3, 40, 59} {
		r.claim("c", fmt.Sprint("0.", b), 1, 0, keyed, long)
	}
	trips := redistest.CountTrips(r.rdb)
	in, err := r.ExcludeOpen(t.Context(), campaign.AllSenders, []sms.MSISDN{msisdnOfRow(3*40 + 3), msisdnOfRow(3*59 + 1)})
	if err != nil || len(in) != 1 || in[0].Recipients != 1 || in[0].Doubtful {
		t.Errorf("calls in flight are %+v, %v; want the call of batch 0.40 with one recipient", in, err)
	}
	if n := trips(); n > 15 {
		t.Errorf("an opt-out took %d round trips with 60 open batches, want at most 15", n)
	}
}

// While a gateway does not answer, many single messages are open. The opt-out of one person is not written to the
// messages of other people.
func TestOptOutExcludeOpen_LeavesOutMessagesToOthers(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	const n = 600
	for i := range n {
		r.sending(fmt.Sprint("m", i), []int{1})
	}
	r.enqueue("unplanned", campaign.Spec{}, 1)
	r.sending("two", []int{2})
	trips := redistest.CountTrips(r.rdb)
	_, err := r.ExcludeOpen(t.Context(), campaign.AllSenders, []sms.MSISDN{msisdnOfRow(2)})
	r.ok(err)
	if got := trips(); got > 20 {
		t.Errorf("an opt-out took %d round trips with %d open messages to others, want at most 20", got, n)
	}
	for id, want := range map[string]bool{"m0": false, "m599": false, "unplanned": true, "two": true} {
		if _, got := r.hash(id)["ex"]; got != want {
			t.Errorf("campaign %s has the opt-out: %t, want %t", id, got, want)
		}
	}
	_, err = r.ExcludeOpen(t.Context(), campaign.AllSenders, []sms.MSISDN{msisdnOfRow(1)})
	r.ok(err)
	for _, id := range []string{"m0", "m300", "m599"} {
		if _, ok := r.hash(id)["ex"]; !ok {
			t.Errorf("message %s has no opt-out of its recipient", id)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.ExcludeOpen(ended, campaign.AllSenders, []sms.MSISDN{msisdnOfRow(1)}); err == nil || len(err.Error()) > 300 {
		t.Errorf("got the error %v after the end of the context, want one of at most 300 characters", err)
	}
}
