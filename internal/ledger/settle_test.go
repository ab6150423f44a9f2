package ledger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// settleCases are ways to settle a call, with the statuses of its recipients afterwards. In each
// case the call is call 0 of batch 0.0 in a separate campaign, and has three recipients.
var settleCases = map[string]struct {
	do   func(r *testLedger, id string)
	want string
}{
	"every recipient gets its own status": {func(r *testLedger, id string) {
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		r.settle(c, campaign.SettleAnswer, accepted("m1"), rejected("bad_number"), unknown("unsaid"))
	}, "accepted rejected unknown"},
	"refused for now goes into the next generation, alone": {func(r *testLedger, id string) {
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		r.settle(c, campaign.SettleAnswer, accepted("m1"), refusedForNow(), accepted("m3"))
		g := r.open(id, firstBatch, 0, 1)
		if len(g.To) != 1 || g.To[0].Row != 2 {
			r.Errorf("the next generation holds %v, want row 2", g.To)
		}
		next := r.claim(id, firstBatch, 0, 1, keyed, long)
		if next.Tries != 1 {
			r.Errorf("tries is %d after one answer about the message, want 1", next.Tries)
		}
		r.settle(next, campaign.SettleAnswer, accepted("m2"))
	}, "accepted accepted accepted"},
	"after a doubt, our own refusal counts as unknown": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		if !c.Doubt {
			r.Error("Doubt is not set in the second claim")
		}
		r.settle(c, campaign.SettleVerdict, repeat(3, rejected("refused"))...)
	}, "unknown unknown unknown"},
	"after a doubt, refused for now is unknown": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, refusedForNow())...)
	}, "unknown unknown unknown"},
	"after a doubt, the gateway's own refusal counts": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, accepted("m1"), rejected("bad_number"), accepted("m3"))
	}, "accepted rejected accepted"},
	"a doubtful release stays doubtful": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		_, err := r.Release(r.Context(), r.claim(id, firstBatch, 0, 0, keyed, long), 0, ReleaseAnswered)
		r.ok(err)
		c := r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long)
		if c.Result != ClaimDoubtful || c.Why != "no_key" {
			r.Errorf("the next claim got %q %q, want doubtful no_key", c.Result, c.Why)
		}
		r.settle(c, campaign.SettleAbandon, repeat(3, unknown(c.Why))...)
	}, "unknown unknown unknown"},
	"a doubtful call is not split": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		out, err := r.Split(r.Context(), c)
		r.ok(err)
		if !out.Stale {
			r.Error("a doubtful generation was split")
		}
		r.settle(c, campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"a partial answer leaves the unnamed doubtful under the same uuid": {func(r *testLedger, id string) {
		first := r.claim(id, firstBatch, 0, 0, keyed, long)
		out := r.settle(first, campaign.SettlePartial, accepted("m1"), unknown("unsaid"), rejected("bad_number"))
		if out.Done {
			r.Error("the campaign is done, but one recipient is still in doubt")
		}
		r.sound(id)
		second := r.claim(id, firstBatch, 0, 0, keyed, long)
		if second.IdempotencyKey != first.IdempotencyKey || !second.Doubt || len(r.open(id, firstBatch, 0, 0).To) != 3 {
			r.Error("the second attempt is not the same request as the first")
		}
		r.settle(second, campaign.SettleAnswer, accepted("m1"), accepted("m2"), rejected("bad_number"))
	}, "accepted accepted rejected"},
	"a late accepted beats unknown": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, noKey, lapsed)
		r.settle(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long), campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
		r.settle(late, campaign.SettleAnswer, accepted("m1"), rejected("bad_number"), accepted("m3"))
	}, "accepted rejected accepted"},
	"a late accepted beats rejected": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, rejected("bad_number"))...)
		r.settle(late, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), refusedForNow())
	}, "accepted rejected rejected"},
	"nothing takes accepted back": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, repeat(3, accepted("m"))...)
		r.settle(late, campaign.SettleAnswer, rejected("bad_number"), unknown("unsaid"), refusedForNow())
		r.settle(late, campaign.SettleVerdict, repeat(3, rejected("refused"))...)
	}, "accepted accepted accepted"},
	"a late answer during another claim takes effect at once": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		r.settle(late, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), rejected("bad_number"))
		r.expect(id, "accepted pending rejected")
		if f := r.summary(id).InFlight; f.Calls != 1 || f.Recipients != 1 {
			r.Errorf("in flight is %+v, want one call and one recipient", f)
		}
		r.settle(c, campaign.SettleAnswer, accepted("m1"), accepted("m2"), rejected("bad_number"))
	}, "accepted accepted rejected"},
	"our own late verdict does not affect the current claim": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		c := r.claim(id, firstBatch, 0, 0, keyed, long)
		if out := r.settle(late, campaign.SettleVerdict, repeat(3, rejected("refused"))...); !out.Stale {
			r.Error("the late settle was applied")
		}
		r.settle(c, campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"late not sent of the only claim turns unknown into rejected": {func(r *testLedger, id string) {
		late := r.claim(id, firstBatch, 0, 0, noKey, lapsed)
		r.settle(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long), campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
		out := r.settle(late, campaign.SettleVerdict, repeat(3, notSent())...)
		if !out.Done {
			r.Error("the settle opened a generation again")
		}
		if got := r.rows(id)[0].Reason; got != campaign.ReasonNotSent {
			r.Errorf("reason is %q, want not_sent", got)
		}
	}, "rejected rejected rejected"},
	"late not sent of one claim among several proves nothing": {func(r *testLedger, id string) {
		first := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		second := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long), campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
		r.settle(first, campaign.SettleVerdict, repeat(3, notSent())...)
		r.settle(second, campaign.SettleVerdict, repeat(3, notSent())...)
	}, "unknown unknown unknown"},
	"our own late refusal proves nothing after several claims": {func(r *testLedger, id string) {
		first := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		second := r.claim(id, firstBatch, 0, 0, keyed, lapsed)
		r.settle(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long), campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
		r.settle(first, campaign.SettleVerdict, repeat(3, rejected("refused"))...)
		r.settle(second, campaign.SettleVerdict, repeat(3, rejected("refused"))...)
	}, "unknown unknown unknown"},
	"an abandoned claim is not abandoned again by another worker": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, noKey, lapsed)
		one := r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long)
		two := r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long)
		first := r.settle(one, campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
		if second := r.settle(two, campaign.SettleAbandon, repeat(3, unknown("no_key"))...); !second.Stale {
			r.Error("the second settle was applied")
		}
		if again := r.settle(one, campaign.SettleAbandon, repeat(3, unknown("no_key"))...); !cmp.Equal(again, first) {
			r.Errorf("the repeated settle returned %+v, want %+v as the first time", again, first)
		}
	}, "unknown unknown unknown"},
	"a claim that Redis lost can be settled": {func(r *testLedger, id string) {
		before := r.state(id)
		l, err := r.rdb.Dump(r.Context(), ledgerKey(id)).Result()
		r.ok(err)
		o, err := r.rdb.Dump(r.Context(), openKey(id)).Result()
		r.ok(err)
		c := r.claim(id, firstBatch, 0, 0, noKey, long)
		r.ok(r.rdb.RestoreReplace(r.Context(), ledgerKey(id), 0, l).Err())
		r.ok(r.rdb.RestoreReplace(r.Context(), openKey(id), 0, o).Err())
		if r.state(id) != before {
			r.Fatal("the test did not restore the earlier state of Redis")
		}
		r.settle(c, campaign.SettleAnswer, accepted("m1"), rejected("bad_number"), refusedForNow())
		r.expect(id, "accepted rejected pending")
		r.settle(r.claim(id, firstBatch, 0, 0, noKey, long), campaign.SettleAnswer, accepted("m3"))
	}, "accepted rejected accepted"},
	"split until the bad one is alone": {func(r *testLedger, id string) {
		_, err := r.SplitAfter(r.Context(), r.claim(id, firstBatch, 0, 0, keyed, long), 2)
		r.ok(err)
		r.sound(id)
		_, err = r.Split(r.Context(), r.claim(id, firstBatch, 0, 1, keyed, long))
		r.ok(err)
		r.sound(id)
		r.settle(r.claim(id, firstBatch, 0, 2, keyed, long), campaign.SettleAnswer, accepted("m3"))
		r.settle(r.claim(id, firstBatch, 0, 3, keyed, long), campaign.SettleVerdict, rejected("refused"))
		r.settle(r.claim(id, firstBatch, 0, 4, keyed, long), campaign.SettleAnswer, accepted("m2"))
	}, "rejected accepted accepted"},
}

func TestSettle(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, c := range settleCases {
		t.Run(name, func(t *testing.T) {
			sub := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			id := nameID(name)
			sub.sending(id, []int{3})
			c.do(sub, id)
			sub.expect(id, c.want)
		})
	}
}

func TestSettle_RepeatedSettleChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	// The campaign has two batches and an open-batch limit of one. So when the first batch ends, the
	// second batch is handed out.
	r.enqueue("c", campaign.Spec{}, 4)
	_, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1},
		Batches: []campaign.PlannedBatch{{Calls: []int{2}, To: plannedRows(1, 2)}, {Calls: []int{2}, To: plannedRows(3, 2)}}})
	r.ok(err)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	c.openBatchLimit = 1
	first := r.settle(c, campaign.SettleAnswer, accepted("m1"), accepted("m2"))
	if want := []Wake{{Batch: "0.1", Number: 1}}; !cmp.Equal(first.Wakes, want) {
		t.Fatalf("settle handed out %v, want %v", first.Wakes, want)
	}
	before := r.state("c")
	second := r.settle(c, campaign.SettleAnswer, accepted("m1"), accepted("m2"))
	if !cmp.Equal(first, second) {
		t.Errorf("the repeated settle returned %+v, want %+v as the first time", second, first)
	}
	if r.state("c") != before {
		t.Error("the repeated settle changed the ledger")
	}
	r.sound("c")
}

func TestSettle_SecondAcceptedCountsAsResent(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	cases := map[string]struct {
		first, second campaign.Record
		wantID        string
		wantResent    []string
	}{
		"uuids": {accepted("0191d7a0-0000-7000-8000-000000000001"), accepted("0191d7a0-0000-7000-8000-000000000002"),
			"0191d7a0-0000-7000-8000-000000000002", []string{"0191d7a0-0000-7000-8000-000000000001"}},
		"other ids, with what they cost": {campaign.Record{Status: campaign.Accepted, MessageID: "a", Cost: "0.8", Currency: "KES"}, accepted("b"), "b", []string{"a"}},
		"no ids at all":                  {accepted(""), accepted(""), "", []string{""}},
		"long ids, the second settled first": {accepted(strings.Repeat("a", 240)), campaign.Record{Status: campaign.Accepted, MessageID: "b", Code: strings.Repeat("c", 200)},
			"b", []string{""}},
		"long details, only the id is kept": {campaign.Record{Status: campaign.Accepted, MessageID: "a", Code: strings.Repeat("c", 200)}, campaign.Record{Status: campaign.Accepted, MessageID: "b", Code: strings.Repeat("d", 200)},
			"b", []string{"a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			id := nameID(name)
			r.sending(id, []int{2})
			late := r.claim(id, "0.0", 0, 0, noKey, lapsed)
			r.settle(r.tryClaim(id, "0.0", r.open(id, "0.0", 0, 0), noKey, long), campaign.SettleAbandon, repeat(2, unknown("no_key"))...)
			if n, err := r.Retry(t.Context(), id, "op", true, false); err != nil || n != 2 {
				t.Fatalf("Retry returned %d, %v; want 2", n, err)
			}
			resend := r.claim(id, "0.0", 0, 1, noKey, long)
			r.settle(resend, campaign.SettleAnswer, c.second, rejected("bad_number"))
			for range 2 { // the late result arrives twice and is counted once
				r.settle(late, campaign.SettleAnswer, c.first, accepted("x"))
			}
			r.expect(id, "accepted accepted")
			row := r.rows(id)[0]
			if row.MessageID != c.wantID || !cmp.Equal(row.Resent, c.wantResent) || row.MessageUUID != resend.IdempotencyKey.String() {
				t.Errorf("ids are %q and %q under %s, want %q and %q under %s", row.MessageID, row.Resent, row.MessageUUID, c.wantID, c.wantResent, resend.IdempotencyKey)
			}
			if s := r.summary(id); s.Resent != 1 {
				t.Errorf("resent is %d, want 1", s.Resent)
			}
		})
	}
}

func TestSettle_LateAcceptedLeavesANewerGeneration(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3})
	late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, repeat(3, unknown("no_key"))...)
	_, err := r.Retry(t.Context(), "c", "op", true, false)
	r.ok(err)
	stale := r.open("c", "0.0", 0, 1)
	r.settle(late, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), accepted("m3"))
	r.expect("c", "accepted pending accepted")

	if c := r.tryClaim("c", "0.0", stale, noKey, long); c.Result != ClaimChanged {
		t.Errorf("a claim for all three got %q, want changed", c.Result)
	}
	c := r.claim("c", "0.0", 0, 1, noKey, long)
	if len(c.gen.To) != 1 || c.gen.To[0].Row != 2 || c.IdempotencyKey == requestID("0.0", stale, "login") {
		t.Errorf("the newer generation is %v under %s, want row 2 under a new key", c.gen.To, c.IdempotencyKey)
	}
	r.settle(c, campaign.SettleAnswer, accepted("m2"))
	r.expect("c", "accepted accepted accepted")
	if s := r.summary("c"); s.Resent != 0 || s.State != campaign.Done {
		t.Errorf("resent %d, state %s; want 0, done", s.Resent, s.State)
	}
}

func TestSettle_LateAcceptedEndsANewerGenerationInFlight(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, unknown("no_key"))
	_, err := r.Retry(t.Context(), "c", "op", true, false)
	r.ok(err)
	out := r.claim("c", "0.0", 0, 1, noKey, long)
	if got := r.settle(late, campaign.SettleAnswer, accepted("m1")); !got.Done {
		t.Error("the campaign is not done, though no recipient waits any more")
	}
	r.expect("c", "accepted")
	r.settle(out, campaign.SettleAnswer, accepted("m2"))
	r.expect("c", "accepted")
	if s := r.summary("c"); s.Resent != 1 || s.InFlight != (InFlight{}) {
		t.Errorf("resent %d, in flight %+v; want 1 and nothing", s.Resent, s.InFlight)
	}
}

// A late result of an older generation does not change an unknown outcome of a newer generation.
func TestSettle_LateResultDoesNotChangeANewerUnknown(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(r *testLedger, late *Claim){
		"not sent":             func(r *testLedger, late *Claim) { r.settle(late, campaign.SettleVerdict, notSent()) },
		"rejected by us":       func(r *testLedger, late *Claim) { r.settle(late, campaign.SettleVerdict, rejected("refused")) },
		"rejected by the gate": func(r *testLedger, late *Claim) { r.settle(late, campaign.SettleAnswer, rejected("bad_number")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{1})
			late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
			r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, unknown("no_key"))
			_, err := r.Retry(t.Context(), "c", "op", true, false)
			r.ok(err)
			r.settle(r.claim("c", "0.0", 0, 1, noKey, long), campaign.SettleVerdict, unknown("no_answer"))
			say(r, late)
			r.expect("c", "unknown")
		})
	}
}

func TestSettle_InvalidRecordsAreRefused(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	before := r.state("c")
	if _, err := r.Settle(t.Context(), c, repeat(2, campaign.Record{Status: campaign.Skipped}), campaign.SettleAnswer, 1, 0); err == nil {
		t.Error("a skipped record was accepted")
	}
	if _, err := r.Settle(t.Context(), c, repeat(1, accepted("m")), campaign.SettleAnswer, 1, 0); err == nil {
		t.Error("one record was accepted for two recipients")
	}
	if r.state("c") != before {
		t.Error("a refused settle changed the ledger")
	}
}

// The settle of generation 0 opens generation 1, and a worker claims generation 1. Then Redis loses
// both writes, so that only generation 0 exists. After that, the result of generation 1 arrives.
func TestSettle_LostGenerationLeavesTheBatchOpen(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	l, err := r.rdb.Dump(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	zero := r.claim("c", "0.0", 0, 0, noKey, long)
	r.settle(zero, campaign.SettleAnswer, repeat(2, refusedForNow())...)
	one := r.claim("c", "0.0", 0, 1, noKey, long)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, l).Err())

	r.settle(one, campaign.SettleAnswer, accepted("m1"), refusedForNow())
	r.expect("c", "accepted pending")
	r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleAnswer, refusedForNow())
	r.expect("c", "accepted pending")
	// The number of the lost generation 1 was not assigned again: the new generation has the number 2.
	r.settle(r.claim("c", "0.0", 0, 2, noKey, long), campaign.SettleAnswer, accepted("m2"))
	r.expect("c", "accepted accepted")
}

// A worker is slow to abandon a doubtful generation. Meanwhile another worker submits the
// generation again, under the login of the first attempt.
func TestSettle_AbandonOfACallInFlightIsStale(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1})
	r.claim("c", "0.0", 0, 0, keyed, lapsed)
	g := r.open("c", "0.0", 0, 0)
	slow, err := r.Claim(t.Context(), ClaimRequest{ID: "c", Batch: "0.0", Gen: g, IdempotencyKey: requestID("0.0", g, "other"), Login: "other", KeyTTL: keyed,
		Lease: long, OpenBatchLimit: 1000})
	if err != nil || slow.Result != ClaimDoubtful {
		t.Fatalf("the slow worker's claim is %+v, %v; want doubtful", slow, err)
	}
	again := r.claim("c", "0.0", 0, 0, keyed, long)
	if out := r.settle(slow, campaign.SettleAbandon, unknown(slow.Why), unknown(slow.Why)); !out.Stale {
		t.Errorf("the generation in flight was abandoned: the settle returned %+v, want stale", out)
	}
	r.expect("c", "pending pending pending")
	r.settle(again, campaign.SettleAnswer, accepted("m1"), accepted("m2"))
	r.expect("c", "accepted accepted pending")
	r.sound("c")
}
