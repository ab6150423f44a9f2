package ledger

import (
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// The method "excluding" claims a generation for a worker that has read the opt-outs in x.
func (r *testLedger) excluding(id, batch string, g *Generation, x *Exclusions) *Claim {
	r.Helper()
	_, version, _ := x.In(g.To)
	c, err := r.Claim(r.Context(), ClaimRequest{ID: id, Batch: batch, Gen: g, IdempotencyKey: requestID(batch, g, "login"), Login: "login",
		KeyTTL: keyed, Lease: long, OpenBatchLimit: 1000, Exclusions: version})
	r.ok(err)
	return c
}

func (r *testLedger) exclude(id string, rows ...int) {
	r.Helper()
	var numbers []sms.MSISDN
	for _, row := range rows {
		numbers = append(numbers, msisdnOfRow(row))
	}
	_, err := r.Exclude(r.Context(), id, campaign.AllSenders, numbers)
	r.ok(err)
}

func TestOptOutExclude_ExcludedRecipientsAreNotClaimed(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*testLedger{"redis": newTestLedger(t), "miniredis": newTestLedgerOnMiniredis(t)} {
		r.sending("c", []int{3, 2})
		var x Exclusions
		first := r.excluding("c", "0.0", r.open("c", "0.0", 0, 0), &x)
		if first.Result != ClaimGranted {
			t.Fatalf("%s: the first claim got %s, want go", name, first.Result)
		}
		in, err := r.Exclude(t.Context(), "c", "ACME", []sms.MSISDN{msisdnOfRow(2), msisdnOfRow(5), msisdnOfRow(77)})
		if err != nil || in != (InFlight{Calls: 1, Recipients: 3}) {
			t.Fatalf("%s: in flight are %+v, %v; want 1 call with 3 recipients", name, in, err)
		}
		inFlight, err := r.inFlightTo(t.Context(), "c", "ACME", []sms.MSISDN{msisdnOfRow(2), msisdnOfRow(5)})
		if err != nil || len(inFlight) != 1 || inFlight[0].Recipients != 1 {
			t.Fatalf("%s: calls in flight are %+v, %v; want one call with 1 opted-out recipient", name, inFlight, err)
		}
		g := r.open("c", "0.0", 1, 0)
		if c := r.excluding("c", "0.0", g, &x); c.Result != ClaimExcluded {
			t.Fatalf("%s: a claim without reading the opt-outs got %s, want excluded", name, c.Result)
		}
		r.ok(x.Read(t.Context(), r.Ledger, "c"))
		optedOut, _, lists := x.In(g.To)
		if len(optedOut) != 1 || optedOut[1] != "ACME" || lists != nil {
			t.Fatalf("%s: opted out are %v, on whole lists %v; want index 1 on ACME, and no whole list", name, optedOut, lists)
		}
		out, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", g, optedOut, 1000)
		if err != nil || out.Stale {
			t.Fatalf("%s: Narrow returned %+v, %v; want not stale", name, out, err)
		}
		r.expect("c", "pending pending pending pending skipped")
		if c := r.excluding("c", "0.0", g, &x); c.Result != ClaimChanged {
			t.Errorf("%s: a claim with the old list got %s, want changed", name, c.Result)
		}
		c := r.excluding("c", "0.0", r.open("c", "0.0", 1, 0), &x)
		if c.Result != ClaimGranted || c.IdempotencyKey == requestID("0.0", g, "login") {
			t.Errorf("%s: a claim of the narrowed generation got %s under %s, want go under a new key", name, c.Result, c.IdempotencyKey)
		}
		r.settle(c, campaign.SettleAnswer, accepted("m4"))
		r.settle(first, campaign.SettleAnswer, accepted("m1"), accepted("m2"), accepted("m3"))
		r.expect("c", "accepted accepted accepted accepted skipped")
		if still, err := r.StillInFlight(t.Context(), inFlight); err != nil || len(still) != 0 {
			t.Errorf("%s: still in flight are %v, %v; want none", name, still, err)
		}
		rows := r.rows("c")
		if x := rows[4]; x.Reason != campaign.ReasonOptedOut || x.Code != "ACME" || x.MSISDN != msisdnOfRow(5) || x.MessageUUID != "" || x.Account != "" {
			t.Errorf("%s: row 5 is %+v, want opted out by ACME, and no key or account", name, x)
		}
		if s := r.summary("c"); s.State != campaign.Done || s.Reasons[campaign.ReasonOptedOut] != 1 {
			t.Errorf("%s: summary is %+v, want done with 1 opted out", name, s)
		}
	}
}

func TestOptOutNarrow_CampaignEndsWhenTheLastOnesOptOut(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2}, []int{1})
	r.exclude("c", 1, 2)
	r.exclude("c", 3)
	var x Exclusions
	r.ok(x.Read(t.Context(), r.Ledger, "c"))
	for _, b := range []string{"0.0", "0.1"} {
		g := r.open("c", b, 0, 0)
		optedOut, _, _ := x.In(g.To)
		token := script.NewToken()
		out, err := r.Narrow(t.Context(), "c", token, b, g, optedOut, 1000)
		r.ok(err)
		if again, err := r.Narrow(t.Context(), "c", token, b, g, optedOut, 1000); err != nil || again.Stale || !slices.Equal(again.Wakes, out.Wakes) {
			t.Errorf("the repeated Narrow returned %+v, %v; want %+v", again, err, out)
		}
		if other, err := r.Narrow(t.Context(), "c", script.NewToken(), b, g, optedOut, 1000); err != nil || !other.Stale {
			t.Errorf("Narrow with another token returned %+v, %v; want stale", other, err)
		}
	}
	r.expect("c", "skipped skipped skipped")
	if s := r.summary("c"); s.State != campaign.Done {
		t.Errorf("summary is %+v, want done", s)
	}
}

func TestOptOutNarrow_DoubtfulCallKeepsItsRecipients(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	var x Exclusions
	g := r.open("c", "0.0", 0, 0)
	c := r.excluding("c", "0.0", g, &x)
	_, err := r.Doubt(t.Context(), c, 0, false)
	r.ok(err)
	r.exclude("c", 1)
	if out, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", g, map[int]string{0: "*"}, 1000); err != nil || !out.Stale {
		t.Errorf("narrowing a doubtful generation returned %+v, %v; want stale", out, err)
	}
	again := r.excluding("c", "0.0", g, &x)
	if again.Result != ClaimGranted || again.IdempotencyKey != c.IdempotencyKey || !again.Doubt {
		t.Errorf("the doubtful generation got %s under %s, doubt %t; want the same request again", again.Result, again.IdempotencyKey, again.Doubt)
	}
	if out, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", g, map[int]string{0: "*"}, 1000); err != nil || !out.Stale {
		t.Errorf("narrowing a generation in flight returned %+v, %v; want stale", out, err)
	}
	r.settle(again, campaign.SettleAnswer, accepted("m1"), accepted("m2"))
	r.expect("c", "accepted accepted")
}

func TestOptOutRetry_LeavesOutOptedOutRecipients(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2}, []int{2})
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, rejected("no"), unknown("?"))
	r.settle(r.claim("c", "0.1", 0, 0, keyed, long), campaign.SettleAnswer, rejected("no"), unknown("?"))
	_, err := optout.New(r.Runner()).Add(t.Context(), campaign.AllSenders, []optout.Entry{{MSISDN: msisdnOfRow(1)}, {MSISDN: msisdnOfRow(4)}}, true)
	r.ok(err)
	if n, err := r.Retry(t.Context(), "c", "op", true, true); err != nil || n != 2 {
		t.Errorf("retried %d, %v; want 2", n, err)
	}
	r.expect("c", "rejected pending pending unknown")
	if got, err := r.LastRetry(t.Context(), "c"); err != nil || got != (RetryResult{Count: 2, OptedOut: 2}) {
		t.Errorf("LastRetry returned %+v, %v; want 2 retried and 2 opted out", got, err)
	}
	// Recipients that were unknown become unknown again if they opt out before the retry is
	// submitted.
	r.exclude("c", 2, 3)
	var x Exclusions
	r.ok(x.Read(t.Context(), r.Ledger, "c"))
	for _, b := range []string{"0.0", "0.1"} {
		g := r.open("c", b, 0, 1)
		optedOut, _, _ := x.In(g.To)
		_, err := r.Narrow(t.Context(), "c", script.NewToken(), b, g, optedOut, 1000)
		r.ok(err)
	}
	r.expect("c", "rejected unknown skipped unknown")
	if n, err := r.Retry(t.Context(), "c", "op2", false, true); err != nil || n != 0 {
		t.Errorf("retried %d, %v; want 0, because all rejected recipients have opted out", n, err)
	}
	r.expect("c", "rejected unknown skipped unknown")
}

func TestOptOutNarrow_LateResultOfExcludedRecipientsCounts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3})
	before, err := r.rdb.Dump(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, before).Err()) // as if Redis had lost the claim
	r.exclude("c", 1, 2, 3)
	out, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", r.open("c", "0.0", 0, 0), map[int]string{0: "*", 1: "*", 2: "*"}, 1000)
	if err != nil || !out.Done {
		t.Fatalf("Narrow returned %+v, %v; want done", out, err)
	}
	for range 2 {
		r.settle(c, campaign.SettleAnswer, accepted("m1"), rejected("no"), unknown("?"))
		r.expect("c", "accepted rejected unknown")
	}
	if s := r.summary("c"); s.Skipped != 0 || len(s.Reasons) != 0 {
		t.Errorf("summary is %+v, want nothing skipped", s)
	}
}

func TestOptOutExclusions_ReadAgainAfterRedisLostSome(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{9})
	r.exclude("c", 1)
	before, err := r.rdb.Dump(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	r.exclude("c", 2)
	var x Exclusions
	read := func(want ...int) {
		t.Helper()
		r.ok(x.Read(t.Context(), r.Ledger, "c"))
		optedOut, _, _ := x.In(plannedRows(1, 9))
		var got []int
		for i := range 9 {
			if optedOut[i] != "" {
				got = append(got, i+1)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("excluded are rows %v, want %v", got, want)
		}
	}
	read(1, 2)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, before).Err())
	read(1)
	r.exclude("c", 2)
	read(1, 2)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, before).Err())
	r.exclude("c", 3)
	r.exclude("c", 4)
	read(1, 3, 4)
	r.exclude("c", 5)
	read(1, 3, 4, 5)
	// The numbers nil mean every number on the suppression list. A caller passes nil if there are too many numbers.
	_, err = r.Exclude(t.Context(), "c", "ACME", nil)
	r.ok(err)
	read(1, 3, 4, 5)
	if _, _, lists := x.In(nil); !slices.Equal(lists, []string{"ACME"}) {
		t.Errorf("In returned the lists %v, want ACME", lists)
	}
}

func TestOptOutExcludeOpen_ReachesOpenCampaignsOfTheSender(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.ok(accounts.New(r.Runner()).Publish(t.Context(), "w", campaign.Card{Name: "a0", Sender: "Other"}))
	r.sendingSpec("acme", campaign.Spec{From: "Acme", Via: "a0"}, []int{1})
	r.sendingSpec("other", campaign.Spec{Via: "a0"}, []int{1})
	r.sendingSpec("paused", campaign.Spec{From: "ACME", Via: "a0"}, []int{1})
	_, err := r.Pause(t.Context(), "paused", "me")
	r.ok(err)
	r.sendingSpec("done", campaign.Spec{From: "ACME", Via: "a0"}, []int{1})
	r.settle(r.claim("done", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	told := func(want ...string) {
		t.Helper()
		var got []string
		for _, id := range []string{"acme", "other", "paused", "done"} {
			if ok, err := r.rdb.HExists(t.Context(), ledgerKey(id), "ex").Result(); err != nil || ok {
				got = append(got, id)
			}
			r.ok(r.rdb.HDel(t.Context(), ledgerKey(id), "ex").Err())
		}
		if !slices.Equal(got, want) {
			t.Errorf("campaigns with opt-outs are %v, want %v", got, want)
		}
	}
	for _, c := range []struct {
		list    string
		numbers []sms.MSISDN
		want    []string
	}{
		{"ACME", []sms.MSISDN{msisdnOfRow(1)}, []string{"acme", "paused"}}, {"OTHER", []sms.MSISDN{msisdnOfRow(1)}, []string{"other"}},
		{campaign.AllSenders, []sms.MSISDN{msisdnOfRow(2), msisdnOfRow(1)}, []string{"acme", "other", "paused"}}, {"EMPTY", []sms.MSISDN{msisdnOfRow(1)}, nil},
		{"ACME", []sms.MSISDN{msisdnOfRow(2)}, nil}, // each campaign has only row 1
		{"ACME", nil, []string{"acme", "paused"}},
	} {
		_, err := r.ExcludeOpen(t.Context(), c.list, c.numbers)
		r.ok(err)
		told(c.want...)
	}
}

// The gateway refused row 1 for now, so row 1 waits in a second generation. Row 1 opts out there, and its status
// becomes "skipped". The settle of the first generation is then repeated with the outcome "unknown", which must not
// replace "skipped".
func TestOptOutNarrow_RepeatedSettleOfAnEarlierGeneration(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleLookup, refusedForNow(), unknown("unsaid"))
	doubtful := r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long)
	r.settle(doubtful, campaign.SettleAbandon, repeat(2, unknown("no_key"))...)
	r.exclude("c", 1)
	var x Exclusions
	r.ok(x.Read(t.Context(), r.Ledger, "c"))
	g := r.open("c", "0.0", 0, 1)
	optedOut, _, _ := x.In(g.To)
	_, err := r.Narrow(t.Context(), "c", script.NewToken(), "0.0", g, optedOut, 1000)
	r.ok(err)
	r.expect("c", "skipped unknown")
	r.settle(doubtful, campaign.SettleAbandon, repeat(2, unknown("no_key"))...)
	r.expect("c", "skipped unknown")
}
