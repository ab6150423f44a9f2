package ledger

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// A worker's clock may be wrong. Leases, back-offs and watches use only Redis' clock, which in this
// test stands still and is far from the local time.
func TestNow_LeasesAndBackOffsUseTheClockOfRedis(t *testing.T) {
	t.Parallel()
	is := time.UnixMilli(1_000_000_000_000)
	rdb := redistest.MiniAt(t, is)
	r := &testLedger{TB: t, rdb: rdb, Ledger: New(rdb)}
	if now, err := r.Now(t.Context()); err != nil || !now.Equal(is) {
		t.Errorf("Now returned %s, %v; want Redis' time", now, err)
	}
	r.sending("c", []int{2, 1})
	c := r.claim("c", "0.0", 0, 0, keyed, time.Minute)
	if !c.At.Equal(is) || !c.First.Equal(is) {
		t.Errorf("claimed at %s, first at %s; want both at Redis' time", c.At, c.First)
	}
	if busy := r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), keyed, time.Minute); busy.Result != ClaimBusy || !busy.Until.Equal(is.Add(time.Minute)) {
		t.Errorf("another claim got %q until %s, want busy until the end of the lease", busy.Result, busy.Until)
	}
	if _, err := r.Doubt(t.Context(), c, time.Hour, false); err != nil {
		t.Fatal(err)
	}
	if due := r.open("c", "0.0", 0, 0).Due; !due.Equal(is.Add(time.Hour)) {
		t.Errorf("due at %s, want one hour after Redis' time", due)
	}
	if later := r.tryClaim("c", "0.0", r.open("c", "0.0", 0, 0), keyed, time.Minute); later.Result != ClaimLater {
		t.Errorf("a claim during the back-off got %q, want later", later.Result)
	}
}
