package accounts

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

func TestSegmentCost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		balance, price string
		want           float64
		ok             bool
	}{
		"credits":                   {"10000", "", 1, true},
		"credits at a price":        {"10000", "0.80 KES", 0.8, true},
		"money at a price":          {"KES 12.5", "0.80 KES", 0.8, true},
		"money without a price":     {"KES 12.5", "", 0, false},
		"money of another currency": {"USD 12.5", "0.80 KES", 0, false},
		"a free account":            {"10", "0 KES", 0, true},
		"a debt":                    {"KES -3", "1 KES", 1, true},
	} {
		balance, ok := Money(tt.balance)
		if !ok {
			t.Errorf("%s: %q was not parsed as an amount", name, tt.balance)
		}
		if got, ok := SegmentCost(balance, tt.price); got != tt.want || ok != tt.ok {
			t.Errorf("%s: SegmentCost returned %v, %t, want the cost and ok of this case", name, got, ok)
		}
	}
	for _, s := range []string{"", "KES", "1 2 3", "KES x"} {
		if got, ok := Money(s); ok || got != (providers.Balance{}) {
			t.Errorf("%q was parsed as %+v, want no amount", s, got)
		}
	}
}

// creditRig reports calls of the account "a" that are refused for missing credit.
type creditRig struct{ *rig }

// The method "tell" reports that the gateway refused a call with the given number of segments, and
// returns the hold.
func (r creditRig) tell(balance string, size int) Hold {
	r.Helper()
	h, err := r.ReportCall(r.Context(), "a", CallReport{Outcome: campaign.CallHold, Reason: "credit", Code: "101", Balance: balance, Size: size, Jitter: 1})
	r.ok(err)
	return h
}

// The method "wait" returns how long a hold lasts from now, in whole seconds.
func (r creditRig) wait(h Hold) time.Duration { return h.Until.Sub(r.clock()).Round(time.Second) }

// The method "next" waits until the hold is over, and returns the result of the check after
// the hold.
func (r creditRig) next() Check {
	r.Helper()
	r.ageAccount("a", time.Hour)
	return r.checkAccount("a")
}

func TestCredit_SmallerCallIsTriedAtOnceThenBacksOff(t *testing.T) {
	t.Parallel()
	r := creditRig{newRig(t)}
	r.publish("a")
	if d := r.wait(r.tell("200", 500)); d != 2*time.Second {
		t.Errorf("held for %s, want 2s", d)
	}
	if l := r.next(); !l.Probe || l.BalanceBefore != "200" || l.Refused != 500 || l.RefusedAt.IsZero() {
		t.Errorf("Check returned %+v, want a probe with balance 200 and 500 segments refused", l)
	}
	if d := r.wait(r.tell("200", 250)); d > 0 {
		t.Errorf("a smaller call at the same balance: held for %s more, want 0s", d)
	}
	if l := r.checkAccount("a"); !l.Probe || l.Refused != 250 {
		t.Errorf("Check returned %+v, want a probe with 250 segments refused", l)
	}
	if d := r.wait(r.tell("200", 250)); d != 4*time.Second {
		t.Errorf("the same size and balance again: held for %s, want 4s", d)
	}
	r.next()
	if d := r.wait(r.tell("150", 0)); d != 8*time.Second {
		t.Errorf("only the balance was read: held for %s, want 8s", d)
	}
	if l := r.next(); l.BalanceBefore != "150" || l.Refused != 250 {
		t.Errorf("after a lower balance: Check returned %+v, want balance 150 and 250 segments refused", l)
	}
	if d := r.wait(r.tell("151", 0)); d != 16*time.Second {
		t.Errorf("only the balance was read: held for %s, want 16s", d)
	}
	if l := r.next(); l.BalanceBefore != "150" {
		t.Errorf("after a higher balance without a call: Check returned %+v, want balance 150", l)
	}
	for range 3 {
		if d := r.wait(r.tell("150", 0)); d > 30*time.Second {
			t.Errorf("held for %s, want at most 30s", d)
		}
		r.next()
	}
	if d := r.wait(r.tell("9000", 499)); d != 30*time.Second {
		t.Errorf("after a call at a higher balance: held for %s, want 30s", d)
	}
	if l := r.next(); l.BalanceBefore != "9000" || l.Refused != 499 {
		t.Errorf("Check returned %+v, want balance 9000 and 499 segments refused", l)
	}
	if _, err := r.Release(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if f, err := r.rdb.HGetAll(t.Context(), Key("a")).Result(); err != nil || f["hold_size"]+f["hold_call"]+f["hold_balance"] != "" {
		t.Errorf("after the release the account's fields are %v, %v; want no hold_size, hold_call or hold_balance", f, err)
	}
}
