package accounts

import (
	"testing"
	"time"
)

// Each worker of an account records the maximum duration of its calls. A worker of an earlier release
// does not record this duration.
func TestUnconfirmed_ReturnsTheLongestCallOfTheWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := []string{"x"}
	for i, worker := range []string{"a", "b", "c"} {
		r.publishAll(worker, r.startOf(), Settings{Country: "KE"}, offer("x", 200))
		r.ok(r.ConfirmRun(t.Context(), worker, "run 1", time.Duration(i+1)*time.Minute, names))
	}
	unconfirmed := func(want int, wantLongest time.Duration) {
		t.Helper()
		late, longest, err := r.Unconfirmed(t.Context(), "a", "run 2", names)
		if err != nil || len(late) != want || longest != wantLongest {
			t.Errorf("got %v, %s, %v; want %d workers and %s", late, longest, err, want, wantLongest)
		}
	}
	unconfirmed(2, 3*time.Minute)
	r.ok(r.ConfirmRun(t.Context(), "c", "run 2", 3*time.Minute, names))
	unconfirmed(1, 2*time.Minute)
	r.ok(r.rdb.HDel(t.Context(), Key("x"), "l:b").Err())
	unconfirmed(1, 0)
	r.ok(r.ConfirmRun(t.Context(), "b", "run 2", time.Minute, names))
	unconfirmed(0, 0)
}
