package tracking

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

// A report that arrives at the callback URL of its call needs no index. A report that arrives before its call is
// settled is parked. A report with the ID of another message, or about a call that does not exist, changes nothing.
func TestDoor_ReportsToTheURLOfTheCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 2, 3)
	counted := map[Result]int{}
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"kobo", r.calls.Info, time.Hour, func(x Result, n int) { counted[x] += n }}}, nil)
	first, second := r.claim("c", 0, 0, time.Hour), r.claim("c", 0, 1, time.Hour)
	deliver := func(call string, reports ...Report) {
		t.Helper()
		for _, x := range reports {
			x.To = 0 // these callbacks name no recipient
			r.ok(d.Deliver(t.Context(), "kobo", call, []providers.DLR{x.DLR}))
		}
	}
	one, two := CallName(first.claim.Sent()), CallName(second.claim.Sent())
	deliver(one, r.report("c", 2, false)) // early
	r.settle(first, first.accepted("c"))
	deliver(one, r.report("c", 1, true), r.report("c", 1, false), r.report("c", 4, true), r.report("other", 1, true))
	deliver(two, r.report("c", 5, true)) // an early report: its call is settled later
	if got, want := r.statuses("c"), "delivered accepted accepted pending pending pending"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"c:x/0.0.0", strings.Replace(one, "0.0.0", "9.9.9", 1), strings.Replace(one, "0.0.0", "0.0.7", 1), strings.Replace(one, "0.0.0", "0.0.-1", 1), "nothing", "/", strings.Repeat("x", 600)} {
		deliver(bad, r.report("c", 3, true))
	}
	r.settle(second, second.accepted("c"))
	ids, err := r.rdb.HKeys(t.Context(), parkedKey(testLogin)).Result()
	r.ok(err)
	if len(ids) != 4 {
		t.Errorf("%d reports are parked, want the two early ones and two about other messages", len(ids))
	}
	r.lookNow()
	if got, want := r.statuses("c"), "delivered undelivered:AbsentSubscriber accepted accepted delivered accepted"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if counted[Delivered] != 1 || counted[Duplicate] != 1 || counted[Unmatched] != 7 || counted[Parked] != 4 || r.parkedCount() != 2 {
		t.Errorf("counted %v, %d parked", counted, r.parkedCount())
	}
	r.summary("c")
}

func TestCallName_IsParsed(t *testing.T) {
	t.Parallel()
	c := ledger.SentCall{BatchRef: ledger.BatchRef{Campaign: "a:b.c", Upload: "tok_en-1", Name: "3.14"}, Call: 15}
	ref, call, ok := parseCallName(CallName(c))
	if !ok || ref != c.BatchRef || call != 15 || CallName(c) != "a:b.c:tok_en-1/3.14.15" {
		t.Errorf("%s was parsed as %+v, call %d, %t", CallName(c), ref, call, ok)
	}
}

func FuzzParseCallName(f *testing.F) {
	for _, seed := range []string{"a:b/0.0.0", "a:b/0.0", "a/b", ":/.", "a:b/0.0.-1", "a:b/0.0.99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ref, call, ok := parseCallName(name)
		if !ok {
			return
		}
		again, call2, ok := parseCallName(CallName(ledger.SentCall{BatchRef: ref, Call: call}))
		if !ok || again != ref || call2 != call {
			t.Errorf("%q was read as %+v and %d, and then as %+v and %d (%t)", name, ref, call, again, call2, ok)
		}
	})
}
