package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// cancel cancels a campaign.
func (r *testLedger) cancel(id string) {
	r.Helper()
	_, err := r.Cancel(r.Context(), id, "test")
	r.ok(err)
}

// cancelAgo cancels a campaign, and then sets the time of its end back by the duration "ago".
func (r *testLedger) cancelAgo(id string, ago time.Duration) {
	r.Helper()
	r.cancel(id)
	now, err := r.Now(r.Context())
	r.ok(err)
	r.ok(r.rdb.HSet(r.Context(), ledgerKey(id), fieldFinished, now.Add(-ago).UnixMilli()).Err())
}

// loseClaim claims the first call of a campaign, and lets Redis lose that claim, as if Redis had
// restarted without the writes of the last second.
func (r *testLedger) loseClaim(id string) *Claim {
	r.Helper()
	lost, err := r.rdb.Dump(r.Context(), ledgerKey(id)).Result()
	r.ok(err)
	claim := r.claim(id, "0.0", 0, 0, keyed, long)
	r.ok(r.rdb.RestoreReplace(r.Context(), ledgerKey(id), 0, lost).Err())
	return claim
}

// idCases are campaigns. Each case states whether another campaign may take the ID.
var idCases = map[string]struct {
	make func(r *testLedger)
	free bool
}{
	"cancelled before planning":                  {func(r *testLedger) { r.enqueue("c", campaign.Spec{}, 3); r.cancel("c") }, true},
	"cancelled after planning":                   {func(r *testLedger) { r.sending("c", []int{2, 1}); r.cancelAgo("c", 16*time.Minute) }, true},
	"cancelled after planning, a short time ago": {func(r *testLedger) { r.sending("c", []int{2, 1}); r.cancelAgo("c", 14*time.Minute) }, false},
	"cancelled with a call in flight whose claim Redis has lost": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		claim := r.loseClaim("c")
		r.cancel("c")
		if free, err := r.Index().Free(r.Context(), "c"); err != nil || free {
			r.Errorf("before the answer to the call Free returned %v, %v; want false", free, err)
		}
		_, err := r.Settle(r.Context(), claim, repeat(2, accepted("m")), campaign.SettleAnswer, 1, 0)
		r.ok(err)
		r.ok(r.rdb.HSet(r.Context(), ledgerKey("c"), fieldFinished, 1).Err())
	}, false},
	"never cancelled": {func(r *testLedger) { r.sending("c", []int{2, 1}) }, false},
	"expired": {func(r *testLedger) {
		r.sendingSpec("c", campaign.Spec{ExpiresAt: time.Now().Add(-time.Minute)}, []int{2, 1})
		r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), keyed, long) // a claim notices that the campaign has expired
	}, false},
	"cancelled with a call in flight": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		r.claim("c", "0.0", 0, 0, keyed, long)
		r.cancel("c")
	}, false},
	"cancelled after a claim that was released": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		_, err := r.Release(r.Context(), r.claim("c", "0.0", 0, 0, keyed, long), 0, ReleaseUnsent)
		r.ok(err)
		r.cancelAgo("c", time.Hour)
	}, false},
	"cancelled after a call": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		_, err := r.Settle(r.Context(), r.claim("c", "0.0", 0, 0, keyed, long), repeat(2, accepted("m")), campaign.SettleAnswer, 1, 0)
		r.ok(err)
		r.cancelAgo("c", time.Hour)
	}, false},
	"cancelled after a settle whose claim Redis has lost": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		claim := r.loseClaim("c")
		_, err := r.Settle(r.Context(), claim, repeat(2, accepted("m")), campaign.SettleAnswer, 1, 0)
		r.ok(err)
		r.cancelAgo("c", time.Hour)
	}, false},
	"cancelled with a quarantined record": {func(r *testLedger) {
		r.sending("c", []int{2, 1})
		r.cancelAgo("c", time.Hour)
		r.ok(r.rdb.HSet(r.Context(), ledgerKey("c"), fieldQuarantined, "1").Err())
	}, false},
}

// If a campaign was cancelled before any of its messages was submitted, its ID is free, for the
// same content and for other content. Any other campaign keeps its ID.
func TestCommit_IDOfACancelledCampaign(t *testing.T) {
	t.Parallel()
	for name, c := range idCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for body, conflict := range map[string]bool{"Habari": false, "Kwaheri": true} {
				r := newTestLedger(t)
				c.make(r)
				if free, err := r.Index().Free(t.Context(), "c"); err != nil || free != c.free {
					t.Errorf("Free returned %v, %v; want %v", free, err, c.free)
				}
				before := r.state("c")
				got, err := r.upload("c", campaign.Spec{Body: body}, "254700000001", "254700000002").Commit(t.Context())
				switch {
				case c.free:
					if err != nil || got.Again || got.Total != 2 {
						t.Errorf("the commit of %q returned %+v, %v; want a new campaign of 2", body, got, err)
					}
					r.startPlan("c", 1)
				case r.state("c") != before:
					t.Errorf("the commit of %q changed the campaign, want it unchanged", body)
				case conflict && !errors.Is(err, ErrConflict):
					t.Errorf("the commit of %q returned %v, want ErrConflict", body, err)
				}
			}
		})
	}
}

// A campaign that gets a free ID is stored as if the ID had never been used.
func TestCommit_ReplacedCampaignLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1}, []int{3})
	r.cancelAgo("c", time.Hour)
	spec := campaign.Spec{Body: "Kwaheri"}
	_, err := r.upload("c", spec, "1", "2").Commit(t.Context())
	r.ok(err)
	_, err = r.upload("fresh", spec, "1", "2").Commit(t.Context())
	r.ok(err)
	replaced, err := r.rdb.HKeys(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	fresh, err := r.rdb.HLen(t.Context(), ledgerKey("fresh")).Result()
	r.ok(err)
	if len(replaced) != int(fresh)+1 {
		t.Errorf("the new campaign has the fields %v, want %s and the %d of any new campaign", replaced, fieldBefore, fresh)
	}
	if open, err := r.rdb.ZRange(t.Context(), openKey("c"), 0, -1).Result(); err != nil || len(open) != 1 {
		t.Errorf("the open set holds %v (%v), want only the plan", open, err)
	}
	newest := ""
	for id, err := range r.Index().Campaigns(t.Context()) {
		r.ok(err)
		if newest == "" {
			newest = id
		}
		if id == "c" && newest != "fresh" {
			t.Errorf("the list begins with %s, want fresh, and then c", newest)
		}
	}
	// When retention removes a cancelled campaign, it leaves no tombstone. So the ID stays free.
	r.cancel("c")
	_, err = r.Purge(t.Context(), "c", time.Now().Add(time.Minute))
	r.ok(err)
	if free, err := r.Index().Free(t.Context(), "c"); err != nil || !free {
		t.Errorf("after retention Free returned %v, %v; want true", free, err)
	}
}

// lateSteps returns steps of planners and workers that have read the campaign c and write later.
// The test has planned c with the helper `sending`.
func (r *testLedger) lateSteps() map[string]func() error {
	ctx := r.Context()
	g := r.open("c", "0.0", 0, 0)
	request := ClaimRequest{ID: "c", Batch: "0.0", Gen: g, IdempotencyKey: requestID("0.0", g, "login"), Login: "login", KeyTTL: keyed, Lease: long, OpenBatchLimit: 1000}
	movable, err := r.Movable(ctx, "c", "0.0", time.Now().Add(time.Hour))
	r.ok(err)
	snapshot, _, err := r.Snapshot(ctx, "c")
	r.ok(err)
	// A claim is granted, and then Redis loses the claim, as if it had restarted without the writes of the
	// last second.
	lost, err := r.rdb.Dump(ctx, ledgerKey("c")).Result()
	r.ok(err)
	open, err := r.rdb.Dump(ctx, openKey("c")).Result()
	r.ok(err)
	claim := r.claim("c", "0.0", 0, 0, keyed, long)
	r.ok(r.rdb.RestoreReplace(ctx, ledgerKey("c"), 0, lost).Err())
	r.ok(r.rdb.RestoreReplace(ctx, openKey("c"), 0, open).Err())
	return map[string]func() error{
		"claim": func() error { _, err := r.Claim(ctx, request); return err },
		"narrow": func() error {
			_, err := r.Narrow(ctx, "c", script.NewToken(), "0.0", g, map[int]string{0: "*"}, 1000)
			return err
		},
		"settle": func() error {
			_, err := r.Settle(ctx, claim, repeat(2, accepted("m")), campaign.SettleAnswer, 1, 0)
			return err
		},
		"doubt":   func() error { _, err := r.Doubt(ctx, claim, 0, true); return err },
		"release": func() error { _, err := r.Release(ctx, claim, 0, ReleaseUnsent); return err },
		"split":   func() error { _, err := r.Split(ctx, claim); return err },
		"move": func() error {
			_, err := r.Move(ctx, "c", script.NewToken(), movable, snapshot, 1000, func(campaign.Planned, string) int { return 0 })
			return err
		},
	}
}

// Another campaign has taken the ID. A late step of the old campaign changes nothing, although the
// new campaign has batches, calls and generations of the same names.
func TestReplaced_LateStepsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1})
	late := r.lateSteps()
	r.cancelAgo("c", time.Hour)
	r.sendingSpec("c", campaign.Spec{Body: "Kwaheri"}, []int{2, 1})
	before := r.state("c")
	for name, step := range late {
		if err := step(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s returned %v, want ErrNotFound", name, err)
		}
		if r.state("c") != before {
			t.Fatalf("%s changed the new campaign", name)
		}
	}
	if c := r.claim("c", "0.0", 0, 0, keyed, long); c.Claims != 1 {
		t.Errorf("the first claim of the new campaign has the number %d, want 1", c.Claims)
	}
}

// A planner that has read the old campaign must not plan a page of the new campaign. The new
// campaign may take the ID while the planner prepares the plan, or between two pages.
func TestReplaced_LatePlannerPlansNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{}, 3)
	replace := func(body string) {
		r.cancelAgo("c", time.Hour)
		r.enqueue("c", campaign.Spec{Body: body}, 3)
	}
	snapshot := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "a0", MaxRecipients: 500, BatchSize: 500}}}
	p, err := r.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) {
		replace("first")
		return snapshot, nil
	})
	if p != nil || !errors.Is(err, ErrNotFound) {
		t.Errorf("StartPlan returned %+v, %v; want ErrNotFound", p, err)
	}
	p = r.startPlan("c", 1)
	replace("second")
	before := r.state("c")
	_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, Batches: []campaign.PlannedBatch{{Calls: []int{3}, To: plannedRows(1, 3)}}})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("the commit of a page returned %v, want ErrNotFound", err)
	}
	if r.state("c") != before {
		t.Error("the old planner changed the new campaign")
	}
}
