package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// settleAndClaim settles a claim whose recipients were all accepted, and claims another call.
func (r *testLedger) settleAndClaim(c *Claim, g *Generation, lease time.Duration) (*Claim, bool) {
	r.Helper()
	next, ok, err := r.SettleAndClaim(r.Context(), c, repeat(len(c.gen.To), priced("0191d7a0-0000-7000-8000-000000000001")), 1, r.settleAndClaimRequest(c, g, lease))
	r.ok(err)
	return next, ok
}

func (r *testLedger) settleAndClaimRequest(c *Claim, g *Generation, lease time.Duration) ClaimRequest {
	return ClaimRequest{ID: c.id, Batch: c.batch, Wake: 1, Gen: g, IdempotencyKey: requestID(c.batch, g, "login"), Login: "login", KeyTTL: keyed, Lease: lease, OpenBatchLimit: 1000}
}

// SettleAndClaim has the same result as a separate settle and claim, to the last byte.
func TestSettleAndClaim_EqualsSettleThenClaim(t *testing.T) {
	t.Parallel()
	for name, streams := range map[string]int{"one account": 1, "several accounts": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			var states []string
			for _, together := range []bool{false, true} {
				r.ok(r.rdb.FlushAll(t.Context()).Err())
				r.enqueue("c", campaign.Spec{}, 7)
				page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 9, 1: 9}, Batches: []campaign.PlannedBatch{{Calls: []int{2, 3, 1}, To: plannedRows(1, 6)}}}
				page.Batches = append(page.Batches, campaign.PlannedBatch{Stream: streams - 1, Calls: []int{1}, To: plannedRows(7, 1)})
				_, _, err := r.startPlan("c", streams).CommitPage(t.Context(), "planner token", page)
				r.ok(err)
				c := r.claim("c", "0.0", 0, 0, keyed, long)
				g := r.open("c", "0.0", 1, 0)
				var next *Claim
				if together {
					var ok bool
					if next, ok = r.settleAndClaim(c, g, long); !ok || next.Result != ClaimGranted || next.IdempotencyKey != requestID("0.0", g, "login") || next.Doubt || next.Claims != 1 ||
						next.First.IsZero() || next.At != next.First {
						t.Errorf("the next claim is %+v, %t; want it granted, with equal times", next, ok)
					}
				} else {
					r.settle(c, campaign.SettleAnswer, repeat(2, priced("0191d7a0-0000-7000-8000-000000000001"))...)
					next = r.claim("c", "0.0", 1, 0, keyed, long)
				}
				named := strings.NewReplacer("1.0:1 0.0:1", "0.0:1 1.0:1", c.Token, "<c>", c.Token[:6], "<c>", next.Token, "<next>", r.rdb.HGet(t.Context(), ledgerKey("c"), "up").Val(), "<upload>")
				states = append(states, named.Replace(r.state("c")))
				r.expect("c", "accepted accepted pending pending pending pending pending")
			}
			if states[0] != states[1] {
				t.Errorf("the ledger differs. After a settle and a claim:\n%s\nafter SettleAndClaim:\n%s", states[0], states[1])
			}
		})
	}
}

// notSimple has the states in which settle_and_claim.lua leaves a call to settle.lua and
// claim.lua.
var notSimple = map[string]func(r *testLedger, c *Claim, g *Generation, q *ClaimRequest){
	"paused": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Pause(r.Context(), c.id, "me")
		r.ok(err)
	},
	"cancelled": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Cancel(r.Context(), c.id, "me")
		r.ok(err)
	},
	"cancelled beside another call": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.claim(c.id, "0.0", 2, 0, keyed, long)
		_, err := r.Cancel(r.Context(), c.id, "me")
		r.ok(err)
	},
	"released, claimed again": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Release(r.Context(), c, 0, ReleaseUnsent)
		r.ok(err)
		r.claim(c.id, "0.0", 0, 0, keyed, long)
	},
	"expired": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "exp", time.Now().Add(-time.Second).UnixMilli()).Err())
	},
	"a later wake": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "w0.0", 2).Err())
	},
	"closed": func(_ *testLedger, _ *Claim, _ *Generation, q *ClaimRequest) {
		q.Open = []Span{{From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}}
	},
	"settled meanwhile": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.settle(c, campaign.SettleAnswer, accepted("m"))
	},
	"released": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Release(r.Context(), c, 0, ReleaseUnsent)
		r.ok(err)
	},
	"in doubt": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Doubt(r.Context(), c, 0, true)
		r.ok(err)
	},
	"lease over, claimed again": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.travel(c.id, 2*long)
		r.claim(c.id, "0.0", 0, 0, keyed, long)
	},
	"the next is claimed": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) { r.claim(c.id, "0.0", 1, 0, keyed, long) },
	"settled, and the next call has another claim": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) { // the settle comes too late
		r.settle(c, campaign.SettleAnswer, accepted("m"))
		r.claim(c.id, "0.0", 1, 0, keyed, long)
	},
	"the next is settled": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.settle(r.claim(c.id, "0.0", 1, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	},
	"the next was refused": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		_, err := r.Release(r.Context(), r.claim(c.id, "0.0", 1, 0, keyed, long), time.Minute, ReleaseAnswered)
		r.ok(err)
	},
	"the last of the batch": func(r *testLedger, c *Claim, g *Generation, q *ClaimRequest) {
		r.settle(r.claim(c.id, "0.0", 2, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
		r.settle(r.claim(c.id, "0.0", 1, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	},
	"the last by the batch's counter": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "l0.0", 1).Err())
	},
	"a campaign of a newer release": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "v", 2).Err())
	},
	"gone": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.Del(r.Context(), ledgerKey(c.id)).Err())
	},
	"an unreadable record": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "g0.0.0.0", "s x").Err())
	},
	"newer opt-outs": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "ex", "1 token").Err())
	},
	"a failure threshold": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "lim", "5 100 1000 0 0 0 0 0 -").Err())
	},
	"existing results": func(r *testLedger, c *Claim, _ *Generation, _ *ClaimRequest) {
		r.ok(r.rdb.HSet(r.Context(), ledgerKey(c.id), "r0.0.0", "\x03\x00").Err())
	},
}

// In the states of notSimple, SettleAndClaim leaves the call to settle.lua and claim.lua, and
// writes nothing.
func TestSettleAndClaim_OtherStatesChangeNothing(t *testing.T) {
	t.Parallel()
	for name, bend := range notSimple {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			id := nameID(name)
			r.sending(id, []int{1, 1, 1})
			c := r.claim(id, "0.0", 0, 0, keyed, long)
			g := r.open(id, "0.0", 1, 0)
			q := r.settleAndClaimRequest(c, g, long)
			bend(r, c, g, &q)
			before := r.state(id)
			if next, ok, err := r.SettleAndClaim(t.Context(), c, []campaign.Record{accepted("m")}, 1, q); ok || err != nil || next == nil {
				t.Errorf("SettleAndClaim returned %+v, %v; want a claim with ok false and no error", next, err)
			}
			if after := r.state(id); after != before {
				t.Errorf("the ledger changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// If a field with a counter cannot be read, SettleAndClaim must not change anything. settle.lua
// or claim.lua run instead and report the field.
func TestSettleAndClaim_UnreadableCounterChangesNothing(t *testing.T) {
	t.Parallel()
	for i, field := range []string{"l0.0", "l0.0", "pending", "pending", "fly", "accepted", "seg", "calls", "w0.0", "exp"} {
		r := newTestLedger(t)
		r.sending("c", []int{1, 1, 1})
		c := r.claim("c", "0.0", 0, 0, keyed, long)
		g := r.open("c", "0.0", 1, 0)
		r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), field, []string{"many", "2.5"}[i%2]).Err())
		before := r.state("c")
		_, ok, err := r.SettleAndClaim(t.Context(), c, []campaign.Record{accepted("m")}, 1, r.settleAndClaimRequest(c, g, long))
		if ok || err != nil && AsUnreadable(err) == nil {
			t.Errorf("%s: got %t, %v; want false, and no error or an Unreadable", field, ok, err)
		}
		if after := r.state("c"); after != before {
			t.Errorf("%s: the ledger changed:\n%s\nbefore:\n%s", field, after, before)
		}
	}
}

// No script runs if the caller's data already show that settle_and_claim.lua cannot handle the
// request.
func TestSettleAndClaim_RunsNoScriptInOtherCases(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1, 1}, []int{1})
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	g, other := r.open("c", "0.0", 1, 0), r.open("c", "0.1", 0, 0)
	ok := repeat(2, accepted("m"))
	for name, x := range map[string]struct {
		records []campaign.Record
		bend    func(c *Claim, q *ClaimRequest)
	}{
		"one is rejected":                  {[]campaign.Record{accepted("m"), rejected("no")}, nil},
		"one is unknown":                   {[]campaign.Record{accepted("m"), unknown("x")}, nil},
		"one is refused for now":           {[]campaign.Record{accepted("m"), refusedForNow()}, nil},
		"too few":                          {ok[:1], nil},
		"doubt":                            {ok, func(c *Claim, _ *ClaimRequest) { c.Doubt = true }},
		"a claim that was not granted":     {ok, func(c *Claim, _ *ClaimRequest) { c.Result = ClaimDoubtful }},
		"the same call":                    {ok, func(c *Claim, q *ClaimRequest) { q.Gen = c.gen }},
		"another batch":                    {ok, func(_ *Claim, q *ClaimRequest) { q.Batch, q.Gen = "0.1", other }},
		"backing off":                      {ok, func(_ *Claim, q *ClaimRequest) { q.Gen.Due = time.Now() }},
		"another generation":               {ok, func(_ *Claim, q *ClaimRequest) { q.Gen.Number = 1 }},
		"another request":                  {ok, func(_ *Claim, q *ClaimRequest) { q.Gen.Revision = "1" }},
		"a part of a call":                 {ok, func(_ *Claim, q *ClaimRequest) { q.Gen.positions = "\x00\x00" }},
		"a doubtful generation":            {ok, func(_ *Claim, q *ClaimRequest) { q.Gen.Ready, q.Gen.Doubtful = false, true }},
		"the settle of a part of a call":   {ok, func(c *Claim, _ *ClaimRequest) { c.gen.positions = "\x00\x00\x00\x01" }},
		"the settle of a later generation": {ok, func(c *Claim, _ *ClaimRequest) { c.gen.Number = 1 }},
	} {
		one, gen, own := *c, *g, *c.gen
		one.gen = &own
		q := r.settleAndClaimRequest(&one, &gen, long)
		if x.bend != nil {
			x.bend(&one, &q)
		}
		before := r.state("c")
		if _, ok, err := r.SettleAndClaim(t.Context(), &one, x.records, 1, q); ok || err != nil {
			t.Errorf("%s: SettleAndClaim returned %t, %v; want false", name, ok, err)
		}
		if r.state("c") != before {
			t.Errorf("%s: the ledger changed, want no change", name)
		}
	}
	if _, ok := r.settleAndClaim(c, g, long); !ok {
		t.Error("SettleAndClaim returned ok false in a simple case, want true")
	}
}

// A caller that lost the answer can repeat the request. It gets the same answer as long as the
// next claim is valid.
func TestSettleAndClaim_RepeatedRequestGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1, 1, 1})
	say := &replayHook{armed: true, snapshot: func() (string, error) { return ledgerText(t.Context(), r.server.Client(), "c") }}
	r.rdb.AddHook(say)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	next, ok := r.settleAndClaim(c, r.open("c", "0.0", 1, 0), long)
	if !ok || next.Result != ClaimGranted {
		t.Fatalf("the repeated request returned %+v, %t; want the claim granted again", next, ok)
	}
	third, ok := r.settleAndClaim(next, r.open("c", "0.0", 2, 0), long)
	if !ok {
		t.Fatal("the third call was not claimed")
	}
	for _, p := range say.problems {
		t.Error(p)
	}
	r.settle(third, campaign.SettleAnswer, accepted("m"))
	r.expect("c", "accepted accepted accepted")
}

// If a caller repeats the request after another worker has claimed the next call, the request is
// not granted and changes nothing.
func TestSettleAndClaim_RepeatedAfterAnotherClaimIsRefused(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1, 1, 1})
	say := &replayHook{keep: func([]any) bool { return true }}
	r.rdb.AddHook(say)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	next, _ := r.settleAndClaim(c, r.open("c", "0.0", 1, 0), long)
	asked := say.late[len(say.late)-1]
	_, err := r.Release(t.Context(), next, 0, ReleaseUnsent)
	r.ok(err)
	r.claim("c", "0.0", 1, 0, keyed, long)
	before := r.state("c")
	if out, err := r.rdb.Do(t.Context(), asked...).StringSlice(); err != nil || !slices.Equal(out, []string{""}) {
		t.Errorf("the repeated request got %q, %v; want an empty answer", out, err)
	}
	if after := r.state("c"); after != before {
		t.Errorf("the ledger changed:\n%s\nbefore:\n%s", after, before)
	}
}

// The answer to a claim is lost. The caller must be able to release the claim with the claim's
// token.
func TestSettleAndClaim_LostAnswerIsReleasedByItsToken(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{true, false} {
		r := newTestLedger(t)
		r.sending("c", []int{1, 1})
		c := r.claim("c", "0.0", 0, 0, keyed, long)
		g := r.open("c", "0.0", 1, 0)
		next := r.settleAndClaimRequest(c, g, long).claim()
		if done {
			next, _ = r.settleAndClaim(c, g, long)
		}
		r.settle(c, campaign.SettleAnswer, accepted("m"))
		out, err := r.Release(t.Context(), next, 0, ReleaseUnsent)
		if err != nil || out.Stale == done {
			t.Errorf("done %t: Release returned %+v, %v; want it stale only if not done", done, out, err)
		}
		r.expect("c", "accepted pending")
		if n := r.summary("c").InFlight; n.Calls != 0 || n.Recipients != 0 {
			t.Errorf("done %t: in flight are %+v, want nothing", done, n)
		}
		r.settle(r.claim("c", "0.0", 1, 0, noKey, long), campaign.SettleAnswer, accepted("m"))
		r.expect("c", "accepted accepted")
	}
}

// The next claim has its own lease. When this lease ends without a settle, the call is doubtful
// and the claim's token is no longer valid.
func TestSettleAndClaim_ExpiredLeaseIsDoubtful(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1, 1, 1})
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	g := r.open("c", "0.0", 1, 0)
	next, _ := r.settleAndClaim(c, g, lapsed)
	if got := r.tryClaim("c", "0.0", r.open("c", "0.0", 1, 0), noKey, long); got.Result != ClaimDoubtful {
		t.Errorf("the claim got %q, want doubtful", got.Result)
	}
	last := r.open("c", "0.0", 2, 0)
	if _, ok := r.settleAndClaim(next, last, long); ok {
		t.Error("SettleAndClaim settled a doubtful claim")
	}
	r.settle(next, campaign.SettleAnswer, accepted("m"))
	r.expect("c", "accepted accepted pending")
}

// A full Redis accepts the settle, but not the claim.
func TestSettleAndClaim_FullRedisRefusesItButTakesTheSettle(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t, redistest.WithConfig("maxmemory", "64mb", "maxmemory-policy", "noeviction"))
	r.sending("c", []int{1, 1})
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	g := r.open("c", "0.0", 1, 0)
	before := r.state("c")
	r.ok(r.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	next, ok, err := r.SettleAndClaim(t.Context(), c, []campaign.Record{accepted("m")}, 1, r.settleAndClaimRequest(c, g, long))
	if ok || next == nil || err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("got %+v, %t, %v; want a claim, ok false and an OOM error", next, ok, err)
	}
	if r.state("c") != before {
		t.Error("the ledger changed, want no change")
	}
	r.settle(c, campaign.SettleAnswer, accepted("m"))
	if out, err := r.Release(t.Context(), next, 0, ReleaseUnsent); err != nil || !out.Stale {
		t.Errorf("Release of a claim that was never made returned %+v, %v; want stale", out, err)
	}
	r.expect("c", "accepted pending")
}
