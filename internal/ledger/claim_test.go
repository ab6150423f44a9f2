package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// lapseFirst claims the first call with a lease that has already ended.
func lapseFirst(r *testLedger, id string) { r.claim(id, firstBatch, 0, 0, keyed, lapsed) }

// claimCases are states of a call, each with the answer to a claim of that call.
var claimCases = map[string]struct {
	prepare func(r *testLedger, id string)
	request func(q *ClaimRequest)
	want    ClaimResult
	why     string
	doubt   bool
}{
	"ready":                      {want: ClaimGranted},
	"held by another":            {prepare: func(r *testLedger, id string) { r.claim(id, firstBatch, 0, 0, keyed, long) }, want: ClaimBusy},
	"lease over, same request":   {prepare: lapseFirst, want: ClaimGranted, doubt: true},
	"lease over, no key":         {prepare: lapseFirst, request: func(q *ClaimRequest) { q.KeyTTL = 0 }, want: ClaimDoubtful, why: "no_key", doubt: true},
	"lease over, another login":  {prepare: lapseFirst, request: func(q *ClaimRequest) { q.Login = "other" }, want: ClaimDoubtful, why: "login_changed", doubt: true},
	"lease over, the key is old": {prepare: func(r *testLedger, id string) { lapseFirst(r, id); r.travel(id, 26*24*time.Hour) }, want: ClaimDoubtful, why: "key_expired", doubt: true},
	"lease over, the key lives":  {prepare: func(r *testLedger, id string) { lapseFirst(r, id); r.travel(id, 24*24*time.Hour) }, want: ClaimGranted, doubt: true},
	"released, another login": {prepare: func(r *testLedger, id string) {
		_, err := r.Release(r.Context(), r.claim(id, firstBatch, 0, 0, keyed, long), 0, ReleaseUnsent)
		r.ok(err)
	}, request: func(q *ClaimRequest) { q.Login = "other" }, want: ClaimGranted},
	"backing off": {prepare: func(r *testLedger, id string) {
		_, err := r.Release(r.Context(), r.claim(id, firstBatch, 0, 0, keyed, long), time.Hour, ReleaseUnsent)
		r.ok(err)
	}, want: ClaimLater},
	"backed off": {prepare: func(r *testLedger, id string) {
		_, err := r.Release(r.Context(), r.claim(id, firstBatch, 0, 0, keyed, long), time.Hour, ReleaseUnsent)
		r.ok(err)
		r.travel(id, 2*time.Hour)
	}, want: ClaimGranted},
	"settled": {prepare: func(r *testLedger, id string) {
		r.settle(r.claim(id, firstBatch, 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"), accepted("m"))
	}, want: ClaimSettled},
	"paused": {prepare: func(r *testLedger, id string) { _, err := r.Pause(r.Context(), id, "me"); r.ok(err) }, want: ClaimPaused},
	"paused and doubtful": {prepare: func(r *testLedger, id string) {
		lapseFirst(r, id)
		_, err := r.Pause(r.Context(), id, "me")
		r.ok(err)
	}, want: ClaimPaused},
	"cancelled": {prepare: func(r *testLedger, id string) {
		r.claim(id, firstBatch, 1, 0, keyed, long) // this claim keeps the campaign from ending
		_, err := r.Cancel(r.Context(), id, "me")
		r.ok(err)
	}, want: ClaimStopped, why: campaign.ReasonCancelled},
	"cancelled and doubtful": {prepare: func(r *testLedger, id string) {
		lapseFirst(r, id)
		_, err := r.Cancel(r.Context(), id, "me")
		r.ok(err)
	}, want: ClaimStopped, why: campaign.ReasonCancelled, doubt: true},
	"expired":              {prepare: func(r *testLedger, id string) { r.travel(id, 100*24*time.Hour) }, want: ClaimStopped, why: campaign.ReasonExpired},
	"expired and doubtful": {prepare: func(r *testLedger, id string) { lapseFirst(r, id); r.travel(id, 100*24*time.Hour) }, want: ClaimStopped, why: campaign.ReasonExpired, doubt: true},
	"an old wake":          {request: func(q *ClaimRequest) { q.Wake = 1 }, want: ClaimStale},
	"the last wake":        {request: func(q *ClaimRequest) { q.Wake = 2 }, want: ClaimGranted},
	"an unknown batch": {prepare: func(r *testLedger, id string) {
		r.ok(r.rdb.HDel(r.Context(), ledgerKey(id), "b"+firstBatch).Err())
	}, want: ClaimChanged},
}

func TestClaim_ResultForEveryState(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	n := 0
	for name, c := range claimCases {
		n++
		id := "c" + string(rune('a'+n))
		t.Run(name, func(t *testing.T) {
			r := &testLedger{TB: t, rdb: r.rdb, Ledger: r.Ledger}
			r.sendingSpec(id, campaign.Spec{ExpiresAt: time.Now().Add(99 * 24 * time.Hour)}, []int{2, 1})
			_, ok, err := r.RaiseWake(t.Context(), id, Wake{Batch: firstBatch, Number: 1}, time.Second)
			if err != nil || !ok {
				t.Fatal("no second wake", err)
			}
			g := r.open(id, firstBatch, 0, 0)
			if c.prepare != nil {
				c.prepare(r, id)
			}
			q := ClaimRequest{ID: id, Batch: firstBatch, Gen: g, IdempotencyKey: uuid.New(), Login: "login", KeyTTL: keyed, Lease: long, OpenBatchLimit: 4}
			if c.request != nil {
				c.request(&q)
			}
			got, err := r.Claim(t.Context(), q)
			r.ok(err)
			if got.Result != c.want || got.Why != c.why || got.Doubt != c.doubt {
				t.Errorf("got %q %q doubt %t, want %q %q %t", got.Result, got.Why, got.Doubt, c.want, c.why, c.doubt)
			}
			if wantsTime := c.want == ClaimBusy || c.want == ClaimLater; wantsTime != !got.Until.IsZero() {
				t.Errorf("Until is %v, want a time only for busy and later", got.Until)
			}
			if c.want == ClaimGranted && (got.First.IsZero() || got.At.IsZero() || got.IdempotencyKey == uuid.Nil) {
				t.Errorf("granted without an idempotency key or times: %+v", got)
			}
			if name != "an unknown batch" {
				r.sound(id)
			}
		})
	}
}

func TestClaim_DoubtfulRequestIsRepeatedUnchanged(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3})
	first := r.claim("c", "0.0", 0, 0, keyed, lapsed)
	for range 3 {
		c := r.claim("c", "0.0", 0, 0, keyed, lapsed)
		if c.IdempotencyKey != first.IdempotencyKey || !c.First.Equal(first.First) || !cmp.Equal(c.gen.To, first.gen.To) {
			t.Fatalf("resubmitted under %s to %v, want the first request, %s to %v", c.IdempotencyKey, c.gen.To, first.IdempotencyKey, first.gen.To)
		}
	}
	// The outcome of a recipient may arrive before the request is repeated. The recipient then
	// stays in the request, because a repeated request must have the same recipients.
	r.settle(first, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"), unknown("unsaid"))
	if c := r.claim("c", "0.0", 0, 0, keyed, long); len(c.gen.To) != 3 || c.IdempotencyKey != first.IdempotencyKey {
		t.Errorf("resubmitted to %v under %s, want the first request", c.gen.To, c.IdempotencyKey)
	}
	r.sound("c")
}

// A worker reads a generation before the generation is narrowed. The narrowed generation is submitted,
// and its lease ends. If the worker then claims the generation with the recipients that it has read,
// the claim must be refused.
func TestClaim_OldReadingOfADoubtfulGenerationIsRefused(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, repeat(2, unknown("no_key"))...)
	_, err := r.Retry(t.Context(), "c", "op", true, false)
	r.ok(err)
	old := r.open("c", "0.0", 0, 1)
	r.settle(late, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"))
	narrow := r.claim("c", "0.0", 0, 1, keyed, lapsed)
	if c := r.tryClaim("c", "0.0", old, keyed, long); c.Result != ClaimChanged {
		t.Errorf("a claim for %v got %q under %s, which stands for %v; want changed", old.To, c.Result, c.IdempotencyKey, narrow.gen.To)
	}
}

func TestRelease_NewKeyUnlessTheCallIsUnsent(t *testing.T) {
	t.Parallel()
	for of, want := range map[ReleaseOf]struct {
		newKey bool
		calls  int
	}{ReleaseUnused: {true, 1}, ReleaseUnsent: {false, 1}, ReleaseAnswered: {true, 2}} {
		r := newTestLedger(t)
		r.sending("c", []int{2})
		first := r.claim("c", "0.0", 0, 0, keyed, long)
		for range 2 { // the second run repeats the first and changes nothing
			out, err := r.Release(t.Context(), first, 0, of)
			if err != nil || out.Stale {
				t.Fatalf("Release returned %+v, %v; want it not stale", out, err)
			}
		}
		r.expect("c", "pending pending")
		// The stored key takes precedence over the key that the next worker computes.
		second, err := r.Claim(t.Context(), ClaimRequest{ID: "c", Batch: "0.0", Gen: r.open("c", "0.0", 0, 0), IdempotencyKey: uuid.New(), Login: "login",
			KeyTTL: keyed, Lease: long, OpenBatchLimit: 4})
		if err != nil || second.Result != ClaimGranted || second.Doubt {
			t.Fatalf("the next claim returned %+v, %v; want it granted without doubt", second, err)
		}
		if (second.IdempotencyKey != first.IdempotencyKey) != want.newKey {
			t.Errorf("%s: the second request has key %s, the first %s; want a new key: %t", of, second.IdempotencyKey, first.IdempotencyKey, want.newKey)
		}
		if r.summary("c").Calls != want.calls {
			t.Errorf("%s: %d calls, want %d", of, r.summary("c").Calls, want.calls)
		}
	}
}

func TestRelease_EndsOfAReleasedClaimAreStale(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	late := r.claim("c", "0.0", 0, 0, keyed, long)
	_, err := r.Release(t.Context(), late, 0, ReleaseUnsent)
	r.ok(err)
	r.claim("c", "0.0", 0, 0, keyed, long)
	before := r.state("c")
	for name, end := range map[string]func() (Settled, error){
		"release": func() (Settled, error) { return r.Release(t.Context(), late, 0, ReleaseAnswered) },
		"doubt":   func() (Settled, error) { return r.Doubt(t.Context(), late, 0, true) },
		"split":   func() (Settled, error) { return r.Split(t.Context(), late) },
	} {
		if out, err := end(); err != nil || !out.Stale || r.state("c") != before {
			t.Errorf("%s returned %+v, %v; want stale, and no change", name, out, err)
		}
	}
}

func TestRelease_EndsOfAForgottenGenerationAreStale(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	l, err := r.rdb.Dump(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleAnswer, repeat(2, refusedForNow())...)
	one := r.claim("c", "0.0", 0, 1, noKey, long)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, l).Err())
	before := r.state("c")
	for name, end := range map[string]func() (Settled, error){
		"release": func() (Settled, error) { return r.Release(t.Context(), one, 0, ReleaseAnswered) },
		"doubt":   func() (Settled, error) { return r.Doubt(t.Context(), one, 0, true) },
		"split":   func() (Settled, error) { return r.Split(t.Context(), one) },
	} {
		if out, err := end(); err != nil || !out.Stale || r.state("c") != before {
			t.Errorf("%s returned %+v, %v; want stale, and no change", name, out, err)
		}
	}
}

// A claimed generation has two recipients. A late answer about an earlier generation accepts one
// of them. When the claim is released, only the other recipient still waits.
func TestRelease_NextClaimHasOnlyPendingRecipients(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	late := r.claim("c", "0.0", 0, 0, noKey, lapsed)
	r.settle(r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), noKey, long), campaign.SettleAbandon, repeat(2, unknown("no_key"))...)
	_, err := r.Retry(t.Context(), "c", "op", true, false)
	r.ok(err)
	out := r.claim("c", "0.0", 0, 1, noKey, long)
	r.settle(late, campaign.SettleAnswer, accepted("m1"), unknown("unsaid"))
	_, err = r.Release(t.Context(), out, 0, ReleaseUnsent)
	r.ok(err)
	r.expect("c", "accepted pending")
	next := r.claim("c", "0.0", 0, 1, noKey, long)
	if len(next.gen.To) != 1 || next.gen.To[0].Row != 2 || next.IdempotencyKey == out.IdempotencyKey {
		t.Errorf("the next request is %s to %v, want a new key and only row 2", next.IdempotencyKey, next.gen.To)
	}
}

func TestRelease_LostLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	late := r.claim("c", "0.0", 0, 0, keyed, lapsed)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	before := r.state("c")
	for name, end := range map[string]func() (Settled, error){
		"release": func() (Settled, error) { return r.Release(t.Context(), late, 0, ReleaseAnswered) },
		"doubt":   func() (Settled, error) { return r.Doubt(t.Context(), late, 0, true) },
		"split":   func() (Settled, error) { return r.Split(t.Context(), late) },
	} {
		out, err := end()
		r.ok(err)
		if !out.Stale || r.state("c") != before {
			t.Errorf("%s by a claim that lost its lease returned %+v, want stale and no change", name, out)
		}
	}
	r.settle(c, campaign.SettleAnswer, repeat(2, accepted("m"))...)
	r.expect("c", "accepted accepted")
}

func TestDoubt_CountsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	want := 0
	for i, count := range []bool{true, false, true} {
		c := r.claim("c", "0.0", 0, 0, keyed, long)
		if count {
			want++
		}
		for range 2 {
			out, err := r.Doubt(t.Context(), c, 0, count)
			if err != nil || out.Count != want || out.Stale {
				t.Errorf("doubt %d returned %+v, %v; want count %d", i, out, err, want)
			}
		}
	}
	r.expect("c", "pending")
}

func TestClaim_LoginThatIsNotOneWordIsRefused(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	before := r.state("c")
	for _, login := range []string{"", "two words", " x", "a\nb"} {
		_, err := r.Claim(t.Context(), ClaimRequest{ID: "c", Batch: "0.0", Gen: r.open("c", "0.0", 0, 0), IdempotencyKey: uuid.New(), Login: login, Lease: long})
		if err == nil {
			t.Errorf("login %q was accepted, want an error", login)
		}
	}
	if r.state("c") != before {
		t.Error("a refused claim changed the ledger")
	}
}

func TestLedger_CampaignOfANewerReleaseIsNotChanged(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	g := r.open("c", "0.0", 0, 0)
	c := r.claim("c", "0.0", 0, 0, keyed, long)
	plan := &Plan{ID: "c", ledger: r.Ledger}
	r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), "v", "2").Err())
	before := r.state("c")
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"claim": func() error {
			_, err := r.Claim(ctx, ClaimRequest{ID: "c", Batch: "0.0", Gen: g, Login: "x", Lease: long})
			return err
		},
		"settle": func() error {
			_, err := r.Settle(ctx, c, repeat(2, accepted("m")), campaign.SettleAnswer, 1, 0)
			return err
		},
		"release": func() error { _, err := r.Release(ctx, c, 0, ReleaseUnsent); return err },
		"doubt":   func() error { _, err := r.Doubt(ctx, c, 0, false); return err },
		"split":   func() error { _, err := r.Split(ctx, c); return err },
		"pause":   func() error { _, err := r.Pause(ctx, "c", "me"); return err },
		"start plan": func() error {
			_, err := r.StartPlan(ctx, "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return campaign.PlanSnapshot{}, nil })
			return err
		},
		"plan page": func() error { _, _, err := plan.CommitPage(ctx, script.NewToken(), campaign.PlannedPage{}); return err },
		"top up":    func() error { _, _, err := r.TopUp(ctx, "c", map[int]int{0: 9}); return err },
		"wake":      func() error { _, _, err := r.RaiseWake(ctx, "c", Wake{"0.0", 1}, 0); return err },
		"retry":     func() error { _, err := r.Retry(ctx, "c", "op", true, true); return err },
		"purge":     func() error { _, err := r.Purge(ctx, "c", time.Now().Add(time.Hour)); return err },
		"load work": func() error { _, err := r.LoadWork(ctx, "c", "0.0"); return err },
		"summary":   func() error { _, err := r.Summary(ctx, "c"); return err },
	} {
		if err := do(); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, want ErrNewer", name, err)
		}
	}
	if r.state("c") != before {
		t.Error("an operation that returned ErrNewer changed the ledger")
	}
}

// The status counts the calls that were submitted. A claim under which no call was made does not
// count, unless an earlier claim of the generation submitted the call.
func TestRelease_UnusedCallIsNotCounted(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	calls := func(when string, want int) {
		sum, err := r.Summary(t.Context(), "c")
		if r.ok(err); sum.Calls != want {
			t.Errorf("%s: got %d calls, want %d", when, sum.Calls, want)
		}
	}
	unused := func(c *Claim) {
		for range 2 { // the second release is a repeated request
			_, err := r.Release(t.Context(), c, 0, ReleaseUnused)
			r.ok(err)
		}
	}
	unused(r.claim("c", "0.0", 0, 0, keyed, long))
	calls("released", 0)
	sent := r.claim("c", "0.0", 0, 0, keyed, long)
	calls("claimed again", 1)
	_, err := r.Release(t.Context(), sent, 0, ReleaseUnsent)
	r.ok(err)
	again := r.claim("c", "0.0", 0, 0, keyed, long)
	if unused(again); again.IdempotencyKey != sent.IdempotencyKey {
		t.Errorf("the key changed from %s to %s", sent.IdempotencyKey, again.IdempotencyKey)
	}
	calls("submitted, then released unused", 1)
	_, err = r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	calls("cancelled", 1)
	r.sound("c")
}
