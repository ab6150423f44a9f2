package pacing

import "testing"

func TestFairness_OpenBatchLimitIsShared(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ window, campaigns, want int }{{32, 0, 32}, {32, 1, 32}, {32, 2, 16}, {32, 10, 4}, {32, 32, 1}, {4, 100, 1}} {
		if got := divide(x.window, x.campaigns); got != x.want {
			t.Errorf("%d campaigns share a limit of %d: got %d each, want %d", x.campaigns, x.window, got, x.want)
		}
	}
}
