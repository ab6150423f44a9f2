package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// withResend sets Resend in a claim.
func withResend(c *Claim) *Claim {
	c.resend = true
	return c
}

// firstBatch is the name of the only batch of a small campaign.
const firstBatch = "0.0"

// firstOf claims the first submission of the call in a resend case. secondOf claims the second submission.
func firstOf(r *testLedger, id string) *Claim {
	return withResend(r.claim(id, firstBatch, 0, 0, noKey, long))
}

func secondOf(r *testLedger, id string) *Claim {
	return withResend(r.claim(id, firstBatch, 0, 1, noKey, long))
}

// lostCall has the records of three recipients whose call got no answer.
var lostCall = repeat(3, unknown("no_answer"))

// resendCases maps a name to what happens to a call of three recipients, and to the statuses that
// the recipients must have afterwards.
var resendCases = map[string]struct {
	do   func(r *testLedger, id string)
	want string
}{
	"an unknown recipient waits for its resend": {func(r *testLedger, id string) {
		out := r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		if s := r.summary(id); out.Done || !s.FinishedAt.IsZero() || s.State != campaign.Sending || s.InFlight != (InFlight{}) {
			r.Errorf("done %t, summary %+v; want not done, sending, and nothing in flight", out.Done, s)
		}
	}, "pending pending pending"},
	"the second answer counts": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		two := secondOf(r, id)
		if two.IdempotencyKey == one.IdempotencyKey || two.Doubt || two.Tries != 0 {
			r.Errorf("the second claim is %+v, want a separate request without doubt", two)
		}
		r.settle(two, campaign.SettleAnswer, accepted("m1"), rejected("bad_number"), accepted("m3"))
	}, "accepted rejected accepted"},
	"unknown twice is unknown": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		two := secondOf(r, id)
		if out := r.settle(two, campaign.SettleVerdict, repeat(3, unknown("reset"))...); !out.Done {
			r.Error("the campaign is not done")
		}
		if row := r.rows(id)[0]; row.Reason != "reset" || row.MessageUUID != two.IdempotencyKey.String() {
			r.Errorf("row 1 is unknown for %q under %s, want the second request", row.Reason, row.MessageUUID)
		}
	}, "unknown unknown unknown"},
	"only the recipient without an answer is resent": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), rejected("bad_number"))
		if g := r.open(id, firstBatch, 0, 1); len(g.To) != 1 || g.To[0].Row != 2 {
			r.Errorf("the next generation holds %v, want row 2", g.To)
		}
		r.expect(id, "accepted pending rejected")
		r.settle(secondOf(r, id), campaign.SettleAnswer, accepted("m2"))
	}, "accepted accepted rejected"},
	"a resend and a refusal for now are separate generations": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleAnswer, refusedForNow(), unknown("unsaid"), accepted("m3"))
		r.sound(id)
		later := secondOf(r, id)
		anew := withResend(r.claim(id, firstBatch, 0, 2, noKey, long))
		if later.Tries != 1 || anew.Tries != 0 {
			r.Errorf("tries are %d and %d, want 1 for the one that returned", later.Tries, anew.Tries)
		}
		r.settle(anew, campaign.SettleVerdict, unknown("no_answer"))
		r.settle(later, campaign.SettleVerdict, unknown("no_answer")) // the first unknown outcome of this recipient, so it is resent
		r.expect(id, "pending unknown accepted")
		r.settle(withResend(r.claim(id, firstBatch, 0, 3, noKey, long)), campaign.SettleAnswer, accepted("m1"))
	}, "accepted unknown accepted"},
	"a call whose lease ended is resent": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, noKey, lapsed)
		c := withResend(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long))
		if c.Result != ClaimDoubtful {
			r.Fatalf("the next claim got %q, want doubtful", c.Result)
		}
		r.settle(c, campaign.SettleAbandon, repeat(3, unknown(c.Why))...)
		r.expect(id, "pending pending pending")
		r.settle(secondOf(r, id), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"two workers that abandon a call make one resend": {func(r *testLedger, id string) {
		r.claim(id, firstBatch, 0, 0, noKey, lapsed)
		one := withResend(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long))
		two := withResend(r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 0), noKey, long))
		r.settle(one, campaign.SettleAbandon, repeat(3, unknown(one.Why))...)
		before := r.state(id)
		if out := r.settle(two, campaign.SettleAbandon, repeat(3, unknown(two.Why))...); !out.Stale || r.state(id) != before {
			r.Error("the second settle was applied")
		}
		r.settle(secondOf(r, id), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"a late answer removes its recipients before the second call": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		r.settle(one, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), rejected("bad_number"))
		if g := r.open(id, firstBatch, 0, 1); len(g.To) != 2 || g.To[0].Row != 2 || g.To[1].Row != 3 {
			r.Errorf("the resend holds %v, want rows 2 and 3", g.To)
		}
		r.settle(secondOf(r, id), campaign.SettleAnswer, repeat(2, accepted("m"))...)
		if s := r.summary(id); s.Resent != 0 {
			r.Errorf("resent is %d, want 0", s.Resent)
		}
	}, "accepted accepted accepted"},
	"a late answer to all leaves nothing to resend": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		if out := r.settle(one, campaign.SettleAnswer, repeat(3, accepted("m"))...); !out.Done {
			r.Error("the campaign is not done")
		}
	}, "accepted accepted accepted"},
	"both messages went out: both ids are kept and counted": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		two := secondOf(r, id)
		r.settle(one, campaign.SettleAnswer, accepted("a1"), accepted("a2"), unknown("unsaid")) // a late result of the first request, while the second request is in flight
		r.expect(id, "accepted accepted pending")
		r.settle(two, campaign.SettleAnswer, accepted("b1"), unknown("unsaid"), accepted("b3"))
		r.settle(one, campaign.SettleAnswer, accepted("a1"), accepted("a2"), accepted("a3")) // one more late result, after the second request is settled
		for i, want := range []string{"a1 b1", "a2 ", "b3 a3"} {
			if row := r.rows(id)[i]; row.MessageID+" "+strings.Join(row.Resent, " ") != want {
				r.Errorf("row %d has the ids %s %v, want %s", i+1, row.MessageID, row.Resent, want)
			}
		}
		if s := r.summary(id); s.Resent != 2 {
			r.Errorf("resent is %d, want 2", s.Resent)
		}
	}, "accepted accepted accepted"},
	"a repeated settle changes nothing": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		for _, end := range []func(){func() {}, func() { r.settle(secondOf(r, id), campaign.SettleVerdict, lostCall...) }} {
			r.settle(one, campaign.SettleVerdict, lostCall...)
			end()
			before := r.state(id)
			r.settle(one, campaign.SettleVerdict, lostCall...)
			if r.state(id) != before {
				r.Error("the ledger changed, want no change")
			}
		}
	}, "unknown unknown unknown"},
	"cancelled before the resend, it is unknown again": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		_, err := r.Cancel(r.Context(), id, "me")
		r.ok(err)
		if row := r.rows(id)[0]; row.Reason != "no_answer" || row.MessageUUID != one.IdempotencyKey.String() {
			r.Errorf("row 1 is unknown for %q under %s, want the first request", row.Reason, row.MessageUUID)
		}
		if s := r.summary(id); s.FinishedAt.IsZero() {
			r.Error("the campaign has not finished")
		}
		r.expect(id, "unknown unknown unknown")
		r.settle(one, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), unknown("unsaid"))
	}, "accepted unknown unknown"},
	"expired before the resend, it is unknown again": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		g := r.open(id, firstBatch, 0, 1)
		r.travel(id, 2*time.Hour)
		if c := r.tryClaim(id, firstBatch, g, noKey, long); c.Result != ClaimStopped || c.Doubt {
			r.Errorf("the claim got %+v, want stopped without doubt", c)
		}
	}, "unknown unknown unknown"},
	"cancelled before the first answer, it is not resent": {func(r *testLedger, id string) {
		one := firstOf(r, id)
		_, err := r.Cancel(r.Context(), id, "me")
		r.ok(err)
		if out := r.settle(one, campaign.SettleVerdict, lostCall...); !out.Done {
			r.Error("the campaign is not done")
		}
	}, "unknown unknown unknown"},
	"cancelled during the second call, which was not sent": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		two := secondOf(r, id)
		_, err := r.Cancel(r.Context(), id, "me")
		r.ok(err)
		r.expect(id, "pending pending pending")
		_, err = r.Release(r.Context(), two, 0, ReleaseUnsent)
		r.ok(err)
	}, "unknown unknown unknown"},
	"a pause stops the resend": {func(r *testLedger, id string) {
		_, err := r.Pause(r.Context(), id, "me")
		r.ok(err)
		_, err = r.Resume(r.Context(), id, "me")
		r.ok(err)
		one := firstOf(r, id)
		_, err = r.Pause(r.Context(), id, "me")
		r.ok(err)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		g := r.open(id, firstBatch, 0, 1)
		if c := r.tryClaim(id, firstBatch, g, noKey, long); c.Result != ClaimPaused {
			r.Errorf("the claim got %q, want paused", c.Result)
		}
		_, err = r.Resume(r.Context(), id, "me")
		r.ok(err)
		r.settle(secondOf(r, id), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"the resend backs off": {func(r *testLedger, id string) {
		_, err := r.Settle(r.Context(), firstOf(r, id), lostCall, campaign.SettleVerdict, 1, time.Hour)
		r.ok(err)
		if c := r.tryClaim(id, firstBatch, r.open(id, firstBatch, 0, 1), noKey, long); c.Result != ClaimLater {
			r.Errorf("the claim got %q, want later", c.Result)
		}
		r.travel(id, time.Hour)
		r.settle(secondOf(r, id), campaign.SettleAnswer, repeat(3, accepted("m"))...)
	}, "accepted accepted accepted"},
	"the parts of a resend are not resent again": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		_, err := r.Split(r.Context(), secondOf(r, id))
		r.ok(err)
		r.sound(id)
		r.settle(withResend(r.claim(id, firstBatch, 0, 2, noKey, long)), campaign.SettleVerdict, lostCall[:1]...)
		r.settle(withResend(r.claim(id, firstBatch, 0, 3, noKey, long)), campaign.SettleAnswer, refusedForNow())
		r.settle(withResend(r.claim(id, firstBatch, 0, 4, noKey, long)), campaign.SettleVerdict, lostCall[:1]...)
		r.settle(withResend(r.claim(id, firstBatch, 0, 5, noKey, long)), campaign.SettleVerdict, lostCall[:1]...)
	}, "unknown unknown unknown"},
	"a retry by hand is one more submission": {func(r *testLedger, id string) {
		r.settle(firstOf(r, id), campaign.SettleVerdict, lostCall...)
		r.settle(secondOf(r, id), campaign.SettleVerdict, lostCall...)
		n, err := r.Retry(r.Context(), id, "op", true, false)
		if r.ok(err); n != 3 {
			r.Errorf("Retry returned %d, want 3", n)
		}
		r.expect(id, "pending pending pending")
		if out := r.settle(withResend(r.claim(id, firstBatch, 0, 2, noKey, long)), campaign.SettleVerdict, lostCall...); !out.Done {
			r.Error("the campaign is not done")
		}
	}, "unknown unknown unknown"},
	"after data loss a first call is resent, a second is not": {func(r *testLedger, id string) {
		l, err := r.rdb.Dump(r.Context(), ledgerKey(id)).Result()
		r.ok(err)
		o, err := r.rdb.Dump(r.Context(), openKey(id)).Result()
		r.ok(err)
		forget := func() {
			r.ok(r.rdb.RestoreReplace(r.Context(), ledgerKey(id), 0, l).Err())
			r.ok(r.rdb.RestoreReplace(r.Context(), openKey(id), 0, o).Err())
		}
		one := firstOf(r, id)
		r.settle(one, campaign.SettleVerdict, lostCall...)
		two := secondOf(r, id)
		forget()
		r.settle(one, campaign.SettleVerdict, lostCall...)
		r.expect(id, "pending pending pending")
		r.settle(two, campaign.SettleVerdict, lostCall...)
		r.expect(id, "unknown unknown unknown")

		forget()
		r.settle(two, campaign.SettleVerdict, lostCall...) // the second request is settled before the first one
		r.settle(one, campaign.SettleVerdict, lostCall...)
	}, "unknown unknown unknown"},
}

// Each case is call 0 of batch 0.0, with three recipients, at a gateway without idempotency keys.
// Each case has a separate campaign that resends recipients with an unknown outcome.
func TestResend(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, c := range resendCases {
		t.Run(name, func(t *testing.T) {
			sub := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			id := strings.ReplaceAll(nameID(name), ":", "")
			sub.sendingSpec(id, campaign.Spec{ExpiresAt: time.Now().Add(90 * time.Minute)}, []int{3})
			c.do(sub, id)
			sub.expect(id, c.want)
		})
	}
}

// A resend may have only some recipients of a call. The positions of the resend must still refer to
// the call, and the sweeper must find the resend's batch.
func TestResend_BatchIsWatched(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1})
	r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleAnswer, repeat(2, accepted("m"))...)
	r.settle(withResend(r.claim("c", "0.0", 1, 0, noKey, long)), campaign.SettleVerdict, unknown("no_answer"))
	r.expect("c", "accepted accepted pending")
	due, err := r.DueBatches(t.Context(), "c", time.Now().Add(time.Minute))
	if r.ok(err); len(due) != 1 || due[0].Batch != "0.0" {
		t.Errorf("due is %v, want batch 0.0", due)
	}
	if g := r.open("c", "0.0", 1, 1); len(g.To) != 1 || g.To[0].Row != 3 {
		t.Errorf("the resend holds %v, want row 3", g.To)
	}
}
