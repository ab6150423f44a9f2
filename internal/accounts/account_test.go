package accounts

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func (r *rig) publish(name string) {
	r.Helper()
	r.ok(r.Publish(r.Context(), "worker", campaign.Card{Name: name, Provider: "kobo", Rate: 50, Unit: "messages", Concurrency: 8}))
}

func (r *rig) account(name string) Account {
	r.Helper()
	a, err := r.Account(r.Context(), name)
	r.ok(err)
	return a
}

func (r *rig) checkAccount(name string) Check {
	r.Helper()
	l, err := r.Check(r.Context(), name, campaign.Marketing, time.Minute)
	r.ok(err)
	return l
}

// The method "report" reports the outcome of a call that was claimed at the given time by Redis'
// clock.
func (r *rig) report(name string, went campaign.CallOutcome, claimed time.Time) Hold {
	r.Helper()
	h, err := r.ReportCall(r.Context(), name, CallReport{Outcome: went, Claimed: claimed, Reason: "gateway", Code: "http 502", Jitter: 1})
	r.ok(err)
	return h
}

func (r *rig) clock() time.Time {
	r.Helper()
	now, err := r.scripts.Now(r.Context())
	r.ok(err)
	return now
}

// ageAccount moves all times in an account's record into the past by the duration d.
func (r *rig) ageAccount(name string, d time.Duration) {
	r.Helper()
	all, err := r.rdb.HGetAll(r.Context(), Key(name)).Result()
	r.ok(err)
	for _, f := range []string{"hold_at", "hold_until", "probe_until", "released_at", "ok_at"} {
		if n, err := strconv.ParseInt(all[f], 10, 64); err == nil && n > 0 {
			r.ok(r.rdb.HSet(r.Context(), Key(name), f, n-d.Milliseconds()).Err())
		}
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		calls string // one character for each call, in order: "." succeeded, "x" was bad
		held  bool
	}{
		"two in a row":                     {"xx", false},
		"three in a row":                   {"xxx", true},
		"a good one between":               {"xx.xx", false},
		"four of the last ten":             {".x.x.x.x..", false},
		"five of the last ten":             {".x.x.x.x.x", true},
		"five of the last eleven":          {"x.x.x...x.x", false},
		"half of fewer than ten":           {"x.x.x.x", false},
		"five of ten after a good stretch": {"............x.x.x.x.x", true},
	}
	r := newRig(t)
	for name, c := range cases {
		r.publish(name)
		start := r.clock()
		for _, x := range c.calls {
			r.report(name, map[rune]campaign.CallOutcome{'.': campaign.CallOK, 'x': campaign.CallBad}[x], start)
		}
		a := r.account(name)
		if a.Hold.Held() != c.held || r.checkAccount(name).Open == c.held {
			t.Errorf("%s: hold is %+v, want held %t", name, a.Hold, c.held)
		}
		if c.held && (a.Hold.Reason != "gateway" || a.Hold.Code != "http 502" || a.Hold.By != "worker" || a.Hold.Until.Before(a.Hold.Since)) {
			t.Errorf("%s: hold is %+v, want reason gateway, code http 502, by worker, and an end after its start", name, a.Hold)
		}
	}
}

func TestBreaker_CallHoldHoldsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	h, err := r.ReportCall(t.Context(), "a", CallReport{Outcome: campaign.CallHold, Claimed: r.clock(), Reason: "credit", Balance: "12.5", Jitter: 1})
	if err != nil || h.Reason != "credit" || h.Until.IsZero() {
		t.Errorf("hold is %+v, %v; want reason credit and an end", h, err)
	}
	if l := r.checkAccount("a"); l.Open || l.Probe || l.Reason != "credit" || l.BalanceBefore != "12.5" || l.Until.IsZero() {
		t.Errorf("Check returned %+v, want held for credit with balance 12.5 and an end", l)
	}
}

func TestBreaker_OneProbeAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	r.report("a", campaign.CallHold, r.clock())
	if l := r.checkAccount("a"); l.Probe || l.Open {
		t.Errorf("during the hold Check returned %+v, want held", l)
	}
	r.ageAccount("a", time.Hour)
	if l := r.checkAccount("a"); !l.Probe || l.Open {
		t.Errorf("after the hold the first Check returned %+v, want a probe", l)
	}
	if l := r.checkAccount("a"); l.Probe || l.Open {
		t.Errorf("during a probe another Check returned %+v, want held", l)
	}
	r.ageAccount("a", time.Hour) // this is long enough for the probe to expire, as if its worker had died
	if l := r.checkAccount("a"); !l.Probe {
		t.Errorf("after the worker with the probe died Check returned %+v, want a probe", l)
	}
	r.report("a", campaign.CallOK, time.Time{})
	if l := r.checkAccount("a"); !l.Open || l.LastAccepted.IsZero() {
		t.Errorf("after a successful probe Check returned %+v, want open", l)
	}
	if a := r.account("a"); a.Hold.Held() || a.Bad != 0 {
		t.Errorf("after a successful probe the account is %+v, want no hold", a)
	}
}

func TestBreaker_BackOffDoublesOnlyAfterAFailedProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	underWay := r.clock()
	h := r.report("a", campaign.CallHold, underWay)
	want := holdFirst
	for range 12 {
		wait := h.Until.Sub(r.clock())
		if wait > want || wait < want-time.Second {
			t.Fatalf("the hold lasts %v, want %v", wait, want)
		}
		// Calls that were in flight when the hold began do not prolong it. If a worker checked
		// the account just before the hold began, it may claim calls during the hold. These
		// calls do not prolong the hold either.
		for range 3 {
			if again := r.report("a", campaign.CallBad, underWay); !again.Until.Equal(h.Until) {
				t.Fatalf("a call in flight moved the end of the hold from %v to %v", h.Until, again.Until)
			}
			if again := r.report("a", campaign.CallBad, r.clock()); !again.Until.Equal(h.Until) {
				t.Fatalf("a call claimed during the hold moved its end from %v to %v", h.Until, again.Until)
			}
		}
		r.ageAccount("a", time.Hour)
		if l := r.checkAccount("a"); !l.Probe {
			t.Fatalf("Check after the hold returned no probe: got %+v", l)
		}
		h = r.report("a", campaign.CallBad, r.clock())
		want = min(2*want, holdLongest)
	}
	// After a successful call, the next back-off begins with holdFirst.
	r.report("a", campaign.CallOK, time.Time{})
	h = r.report("a", campaign.CallHold, r.clock().Add(time.Second))
	if wait := h.Until.Sub(r.clock()); wait > holdFirst {
		t.Errorf("after a successful call a hold lasts %v, want %v", wait, holdFirst)
	}
}

// One report of the outcome CallHold is enough to hold the account, and one failed probe prolongs the
// hold.
func TestBreaker_OneFailedProbeProlongsTheHold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	_, err := r.ReportCall(t.Context(), "a", CallReport{Outcome: campaign.CallHold, Claimed: r.clock(), Reason: "credit", Balance: "12.5", Jitter: 1})
	r.ok(err)
	since := r.account("a").Hold.Since
	r.ageAccount("a", time.Hour)
	if !r.checkAccount("a").Probe {
		t.Fatal("Check after the hold returned no probe, want a probe")
	}
	h, err := r.ReportCall(t.Context(), "a", CallReport{Outcome: campaign.CallBad, Reason: "credit", Balance: "3", Jitter: 1})
	if err != nil || !h.Held() {
		t.Errorf("after a failed probe the hold is %+v, %v; want the account held", h, err)
	}
	if got := r.account("a").Hold.Since; !got.Equal(since.Add(-time.Hour)) {
		t.Errorf("Hold.Since is %v, want %v", got, since.Add(-time.Hour))
	}
	// The failed probe has ended, so the next probe may follow as soon as the longer hold is over.
	r.ageAccount("a", 10*time.Second)
	if l := r.checkAccount("a"); !l.Probe || l.BalanceBefore != "12.5" {
		t.Errorf("the next Check returned %+v, want a probe with balance 12.5", l)
	}
	// Calls that were claimed before the successful probe are not counted any more.
	before := r.clock()
	r.report("a", campaign.CallOK, time.Time{})
	if h := r.report("a", campaign.CallHold, before.Add(-time.Millisecond)); h.Held() || !r.checkAccount("a").Open {
		t.Errorf("a call claimed before the successful probe holds the account again: %+v", h)
	}
}

func TestReportCall_WithoutClaimTimeCountsAsNow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	r.ok(r.Hold(t.Context(), "a", "maintenance", "me"))
	if h := r.report("a", campaign.CallOK, time.Time{}); h.Reason != "maintenance" {
		t.Errorf("a successful call during a hold by hand returned %+v, want the reason maintenance", h)
	}
	_, err := r.Release(t.Context(), "a")
	r.ok(err)
	if h := r.report("a", campaign.CallHold, time.Time{}); !h.Held() {
		t.Error("a report of a bad call after the release did not hold the account")
	}
}

func TestBreaker_SuccessClaimedBeforeTheHoldDoesNotLiftIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	before := r.clock().Add(-time.Second)
	r.report("a", campaign.CallHold, r.clock())
	r.report("a", campaign.CallOK, before)
	if !r.account("a").Hold.Held() {
		t.Error("a call claimed before the hold lifted it")
	}
	r.report("a", campaign.CallOK, r.clock().Add(time.Millisecond))
	if r.account("a").Hold.Held() {
		t.Error("a successful call claimed during the hold did not lift it")
	}
}

func TestHoldAccount_LastsUntilReleasedByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	claimed := r.clock()
	r.ok(r.Hold(t.Context(), "a", "maintenance", "me"))
	r.report("a", campaign.CallOK, time.Time{})
	r.report("a", campaign.CallBad, r.clock())
	r.report("a", campaign.CallHold, r.clock())
	r.ageAccount("a", 1000*time.Hour)
	a := r.account("a")
	if h := a.Hold; h.Reason != "maintenance" || h.By != "me" || !h.Until.IsZero() || h.Since.IsZero() {
		t.Errorf("hold is %+v, want reason maintenance, by me, with a start and no end", h)
	}
	if l := r.checkAccount("a"); l.Open || l.Probe {
		t.Errorf("Check returned %+v, want held", l)
	}
	for i, want := range []bool{true, false} {
		if was, err := r.Release(t.Context(), "a"); err != nil || was != want {
			t.Errorf("release %d found a hold: %t, %v", i+1, was, err)
		}
	}
	// Calls that were claimed before the release cannot hold the account again.
	for range 5 {
		r.report("a", campaign.CallBad, claimed)
		r.report("a", campaign.CallHold, claimed)
	}
	if !r.checkAccount("a").Open {
		t.Error("a call claimed before the release holds the account again")
	}
	r.report("a", campaign.CallHold, r.clock().Add(time.Millisecond))
	if r.checkAccount("a").Open {
		t.Error("a call claimed after the release does not hold the account")
	}
}

func TestHoldAccount_ReplacesAnAutomaticHold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	r.report("a", campaign.CallHold, r.clock())
	r.ok(r.Hold(t.Context(), "a", "maintenance", "me"))
	r.ageAccount("a", time.Hour)
	if l := r.checkAccount("a"); l.Open || l.Probe || l.Reason != "maintenance" {
		t.Errorf("Check returned %+v, want held for maintenance", l)
	}
}

func TestAccount_ListsWorkersCardsAndRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	card := campaign.Card{Name: "a", Provider: "kobo", Rate: 50, Burst: 5, Unit: "messages", Sender: "ACME", Concurrency: 8, Price: "0.80 KES"}
	r.ok(r.Publish(ctx, "one", card))
	r.ok(r.Publish(ctx, "two", card))
	r.ok(r.SetBalance(ctx, "a", "KES 12.50"))
	a := r.account("a")
	if a.Workers != 2 || a.Slots != 16 || !cmp.Equal(a.Card, card) || a.Balance != "KES 12.50" || a.BalanceAt.IsZero() || a.LastSeen.IsZero() {
		t.Errorf("account is %+v, want 2 workers, 16 slots, the published card and the balance KES 12.50", a)
	}
	r.ok(r.Withdraw(ctx, "two", "a"))
	silent := r.clock().Add(-WorkerLife)
	r.ok(r.rdb.HSet(ctx, Key("a"), "w:three", strconv.FormatInt(silent.UnixMilli(), 10)+" 8").Err())
	if a := r.account("a"); a.Workers != 1 || a.Slots != 8 {
		t.Errorf("with one worker withdrawn and one silent: %d workers with %d slots, want 1 with 8", a.Workers, a.Slots)
	}
	r.publish("b")
	all, err := r.All(ctx)
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Errorf("accounts are %+v, %v; want a and b", all, err)
	}
	r.ok(r.Forget(ctx, "a"))
	if _, err := r.Account(ctx, "a"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("after Forget: got %v, want ErrNoAccount", err)
	}
	for name, do := range map[string]func() error{
		"hold":    func() error { return r.Hold(ctx, "a", "x", "me") },
		"release": func() error { _, err := r.Release(ctx, "a"); return err },
	} {
		if err := do(); !errors.Is(err, ErrNoAccount) {
			t.Errorf("%s of an unknown account: got %v, want ErrNoAccount", name, err)
		}
	}
	routes := []campaign.Route{{Match: "254", Via: []string{"a", "b"}}}
	if got, err := r.Routes(ctx); err != nil || got != nil {
		t.Errorf("routes are %v, %v before any are published; want none", got, err)
	}
	r.ok(r.PublishRoutes(ctx, routes))
	if got, err := r.Routes(ctx); err != nil || !cmp.Equal(got, routes) {
		t.Errorf("routes are %v, %v; want the published routes", got, err)
	}
}

func TestBreaker_WorksOnMiniredis(t *testing.T) {
	t.Parallel()
	rdb := redistest.Mini(t)
	r := rigOn(t, rdb)
	r.publish("a")
	r.report("a", campaign.CallHold, r.clock())
	r.ageAccount("a", time.Hour)
	if !r.checkAccount("a").Probe {
		t.Error("Check after the hold returned no probe, want a probe")
	}
	r.report("a", campaign.CallOK, time.Time{})
	if !r.checkAccount("a").Open {
		t.Error("the account is still held, want open")
	}
}

func TestAccount_LastSeenRemainsAfterWithdraw(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ok(r.Publish(r.Context(), "w1", campaign.Card{Name: "a", Concurrency: 3}))
	r.ok(r.Withdraw(r.Context(), "w1", "a"))
	a, err := r.Account(r.Context(), "a")
	r.ok(err)
	if a.Workers != 0 || a.LastSeen.IsZero() {
		t.Errorf("%d workers, last seen %v; want 0 workers, and a time", a.Workers, a.LastSeen)
	}
}

func TestPublish_ForgetsWorkersThatAreLongGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ok(r.rdb.HSet(r.Context(), Key("a"), "w:dead", "1000 8", "w:slow", fmt.Sprintf("%d 8", time.Now().Add(-time.Minute).UnixMilli())).Err())
	r.ok(r.Publish(r.Context(), "w1", campaign.Card{Name: "a", Concurrency: 3}))
	f, err := r.rdb.HGetAll(r.Context(), Key("a")).Result()
	r.ok(err)
	if _, there := f["w:dead"]; there || f["w:slow"] == "" || f["w:w1"] == "" {
		t.Errorf("workers are %v, want slow and w1 but not dead", f)
	}
}

func TestEndProbe_AllowsAnotherProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ok(r.Publish(r.Context(), "w1", campaign.Card{Name: "a"}))
	_, err := r.ReportCall(r.Context(), "a", CallReport{Outcome: campaign.CallHold, Reason: "credit"})
	r.ok(err)
	r.ok(r.rdb.HSet(r.Context(), Key("a"), "hold_until", "1").Err())
	look := func() Check {
		t.Helper()
		l, err := r.Check(r.Context(), "a", campaign.Marketing, time.Minute)
		r.ok(err)
		return l
	}
	if first, second := look(), look(); !first.Probe || second.Probe {
		t.Fatalf("first Check returned %+v, second %+v; want a probe for the first only", first, second)
	}
	r.ok(r.EndProbe(r.Context(), "a"))
	if again := look(); !again.Probe {
		t.Errorf("after EndProbe: got %+v, want a probe", again)
	}
}
