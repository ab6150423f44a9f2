package accounts

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// The method "refuse" reports a call of the account "a" whose n recipients the gateway refused. It
// returns how many of these recipients may be rejected, and the hold.
func (r *rig) refuse(n int, bulk bool, claimed time.Time) (int, Hold) {
	r.Helper()
	granted, hold, err := r.ReportRefusal(r.Context(), "a", Refusal{Recipients: n, Bulk: bulk, Claimed: claimed, Code: "104", ProvenFor: 10 * time.Minute, Jitter: 1})
	r.ok(err)
	return granted, hold
}

func (r *rig) openFor(class campaign.Class) Check {
	r.Helper()
	l, err := r.Check(r.Context(), "a", class, time.Minute)
	r.ok(err)
	return l
}

// Four workers, each with eight slots, report at once. Exactly MaxRefusals recipients may be
// rejected, whatever the sizes of the calls are.
func TestRefusal_ConcurrentCallsShareOneLimit(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"one recipient a call": 1, "seven": 7, "five hundred": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.publish("a")
			start := r.clock()
			var all atomic.Int64
			var slots sync.WaitGroup
			for range 32 {
				slots.Go(func() {
					for range 4 {
						granted, _, err := r.ReportRefusal(t.Context(), "a", Refusal{Recipients: size, Bulk: true, Claimed: start, ProvenFor: time.Minute})
						if err != nil {
							t.Error(err)
						}
						all.Add(int64(granted))
					}
				})
			}
			slots.Wait()
			if all.Load() != MaxRefusals {
				t.Errorf("%d recipients may be rejected, want %d", all.Load(), MaxRefusals)
			}
			if h := r.account("a").Hold; h.Reason != HoldNothingAccepted || !h.BulkOnly || h.By != "worker" || !h.Until.After(h.Since) {
				t.Errorf("the hold is %+v, want nothing_accepted for bulk campaigns, by worker, with an end", h)
			}
		})
	}
}

func TestRefusal_HoldStopsBulkOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	if granted, h := r.refuse(MaxRefusals-1, true, r.clock()); granted != MaxRefusals-1 || h.Held() || !r.openFor(campaign.Marketing).Open {
		t.Fatalf("one before the last: %d may be rejected, hold %+v, want all and no hold", granted, h)
	}
	if granted, h := r.refuse(3, true, r.clock()); granted != 1 || h.Reason != HoldNothingAccepted {
		t.Fatalf("at the limit: %d may be rejected, hold %+v, want 1 and a hold", granted, h)
	}
	if l := r.openFor(campaign.Marketing); l.Open || l.Probe || l.Reason != HoldNothingAccepted {
		t.Errorf("a bulk campaign gets %+v, want held", l)
	}
	if l := r.openFor(campaign.Transactional); !l.Open {
		t.Errorf("a transactional campaign gets %+v, want open", l)
	}
	if granted, _ := r.refuse(2, false, r.clock()); granted != 2 {
		t.Errorf("of a transactional campaign %d may be rejected, want 2", granted)
	}
	a := r.account("a")
	if a.Hold.Code != "104" || a.Hold.Stops(campaign.Transactional) || !a.Hold.Stops(campaign.Marketing) || !a.Hold.Stops("") {
		t.Errorf("the hold is %+v, want code 104, and only bulk campaigns stopped", a.Hold)
	}
}

func TestRefusal_AcceptedCallOrReleaseStartsTheCountAgain(t *testing.T) {
	t.Parallel()
	for name, lift := range map[string]func(*rig, time.Time){
		"an accepted call": func(r *rig, _ time.Time) { r.report("a", campaign.CallOK, r.clock().Add(time.Millisecond)) },
		"an accepted call that was claimed before the hold": func(r *rig, before time.Time) { r.report("a", campaign.CallOK, before) },
		"a release": func(r *rig, _ time.Time) {
			had, err := r.Release(r.Context(), "a")
			r.ok(err)
			if !had {
				r.Error("Release found no hold")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.publish("a")
			before := r.clock()
			r.refuse(MaxRefusals, true, before)
			if !r.account("a").Hold.Held() {
				t.Fatal("no hold")
			}
			lift(r, before)
			if h := r.account("a").Hold; h.Held() || !r.openFor(campaign.Marketing).Open {
				t.Errorf("the hold is still %+v", h)
			}
			r.ageAccount("a", time.Hour) // the last accepted call was an hour ago
			if granted, h := r.refuse(MaxRefusals-1, true, r.clock()); granted != MaxRefusals-1 || h.Held() {
				t.Errorf("after it %d may be rejected, hold %+v, want %d and no hold", granted, h, MaxRefusals-1)
			}
		})
	}
}

func TestRefusal_IsNotCountedIfTheAccountWorks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	r.report("a", campaign.CallOK, r.clock())
	for range 3 {
		if granted, h := r.refuse(500, true, r.clock()); granted != 500 || h.Held() {
			t.Fatalf("%d may be rejected, hold %+v, want all and no hold", granted, h)
		}
	}
	r.ageAccount("a", 11*time.Minute)
	if granted, h := r.refuse(500, true, r.clock()); granted != MaxRefusals || !h.Held() {
		t.Errorf("long after the last accepted call %d may be rejected, hold %+v, want %d and a hold", granted, h, MaxRefusals)
	}
}

// Only a refused probe makes the hold longer, up to refusalLongest. A refused call that was in
// flight when the hold began does not make it longer. A transactional call does not make it
// longer either.
func TestRefusal_BackOffDoublesAfterARefusedProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	underWay := r.clock()
	_, h := r.refuse(MaxRefusals, true, underWay)
	want := holdFirst
	for range 7 {
		if wait := h.Until.Sub(r.clock()); wait > want || wait < want-time.Second {
			t.Fatalf("the hold lasts %v, want %v", wait, want)
		}
		if granted, again := r.refuse(1, true, underWay); granted != 0 || !again.Until.Equal(h.Until) {
			t.Fatalf("a call in flight: %d may be rejected, the hold ends %v, want 0 and %v", granted, again.Until, h.Until)
		}
		r.ageAccount("a", time.Hour)
		if _, again := r.refuse(1, false, r.clock()); again.Until.After(h.Until) {
			t.Fatalf("a transactional call moved the end of the hold from %v to %v", h.Until, again.Until)
		}
		if l := r.openFor(campaign.Marketing); !l.Probe || l.Reason != HoldNothingAccepted {
			t.Fatalf("after the hold Check returned %+v, want a probe", l)
		}
		var granted int
		if granted, h = r.refuse(1, true, r.clock()); granted != 0 {
			t.Fatalf("%d recipients of a probe may be rejected, want 0", granted)
		}
		want = min(2*want, refusalLongest)
	}
}

func TestRefusal_OtherHoldsTakePrecedence(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	r.refuse(MaxRefusals, true, r.clock())
	if h := r.report("a", campaign.CallBad, r.clock()); h.Held() && !r.openFor(campaign.Transactional).Open {
		t.Errorf("one bad call holds the account: %+v", h)
	}
	r.report("a", campaign.CallHold, r.clock())
	a := r.account("a")
	if a.Hold.Reason != "gateway" || a.Hold.BulkOnly || r.openFor(campaign.Transactional).Open {
		t.Fatalf("after a failed call the hold is %+v, want one for every campaign", a.Hold)
	}
	if granted, h := r.refuse(1, true, r.clock()); granted != 0 || h.Reason != "gateway" {
		t.Errorf("a call in flight: %d may be rejected, hold %+v, want 0 and the reason gateway", granted, h)
	}
	r.ageAccount("a", time.Hour)
	r.refuse(1, true, r.clock()) // a probe: the gateway answers again, but accepts nothing
	if a := r.account("a"); a.Hold.Reason != HoldNothingAccepted || !a.Hold.BulkOnly || !r.openFor(campaign.Transactional).Open {
		t.Errorf("after a refused probe the hold is %+v, want nothing_accepted for bulk campaigns", a.Hold)
	}
	r.ok(r.Hold(t.Context(), "a", "audit", "me"))
	r.refuse(1, true, r.clock().Add(time.Hour))
	if a := r.account("a"); a.Hold.Reason != "audit" || a.Hold.BulkOnly || !a.Hold.Until.IsZero() || r.openFor(campaign.Transactional).Open {
		t.Errorf("a hold by hand became %+v, want the reason audit for every campaign", a.Hold)
	}
}

// The account is released while calls are in flight. The gateway refuses these calls, but the refusals show nothing
// about the account after its release. So they reject no recipient, are not counted, and do not hold the account again.
func TestRefusal_CallClaimedBeforeTheReleaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a")
	before := r.clock().Add(-time.Millisecond)
	r.refuse(MaxRefusals, true, before)
	if had, err := r.Release(t.Context(), "a"); err != nil || !had {
		t.Fatalf("Release returned %v, %v, want a hold", had, err)
	}
	if granted, h := r.refuse(MaxRefusals, true, before); granted != 0 || h.Held() {
		t.Errorf("%d recipients of a call from before the release may be rejected, hold %+v, want 0 and no hold", granted, h)
	}
	if granted, h := r.refuse(2, false, before); granted != 2 || h.Held() {
		t.Errorf("of a transactional call from before the release %d may be rejected, hold %+v, want 2 and no hold", granted, h)
	}
	after := r.clock().Add(time.Millisecond)
	if granted, h := r.refuse(MaxRefusals-2, true, after); granted != MaxRefusals-2 || !h.Held() {
		t.Errorf("after the release %d may be rejected, hold %+v, want %d and a hold", granted, h, MaxRefusals-2)
	}
	if granted, h := r.refuse(1, true, before); granted != 0 || h.Reason != HoldNothingAccepted {
		t.Errorf("while the account is held %d of a call from before the release may be rejected, hold %+v, want 0 and the hold", granted, h)
	}
}
