package campaign

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// A sample from a million rows must have exactly the given size. The size limits the number of
// requests: with six polls for each message, a sample of 1,000 messages costs at most 6,000 requests.
func TestSample_HasExactlyItsSize(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ total, size, want int }{{1_000_000, 1000, 1000}, {1001, 1000, 1000}, {1000, 1000, 1000}, {7, 1000, 7}, {5000, 0, 5000}, {2, 1, 1}, {1025, 3, 3}} {
		s, n := NewSample("c", x.total, x.size), 0
		for row := 1; row <= x.total; row++ {
			if s.Has(row) {
				n++
			}
		}
		if n != x.want || s.IsAll() != (x.want == x.total) {
			t.Errorf("%+v: %d rows, all: %t", x, n, s.IsAll())
		}
		if !s.IsAll() && (s.Has(0) || s.Has(x.total+1)) {
			t.Errorf("%+v: the sample has a row that does not exist", x)
		}
	}
}

func TestSample_IsReproducibleAndNested(t *testing.T) {
	t.Parallel()
	small, same, large, other := NewSample("c", 50_000, 100), NewSample("c", 50_000, 100), NewSample("c", 50_000, 2000), NewSample("d", 50_000, 100)
	common := 0
	for row := 1; row <= 50_000; row++ {
		if small.Has(row) != same.Has(row) || small.Has(row) && !large.Has(row) {
			t.Fatalf("row %d: %t, again %t, larger %t", row, small.Has(row), same.Has(row), large.Has(row))
		}
		if small.Has(row) && other.Has(row) {
			common++
		}
	}
	if common > 5 {
		t.Errorf("the samples of two campaigns have %d of 100 rows in common", common)
	}
}

// Over 4,000 campaigns, each of 64 rows is in the sample about equally often. The statistic is a chi-square of 63
// degrees of freedom, which is above 115 once in 20,000 uniform samples.
func TestSample_IsUniform(t *testing.T) {
	t.Parallel()
	var counts [64]int
	for c := range 4000 {
		s := NewSample(fmt.Sprintf("campaign-%d", c), 64, 8)
		for row := range counts {
			if s.Has(row + 1) {
				counts[row]++
			}
		}
	}
	statistic := 0.0
	for _, n := range counts {
		statistic += math.Pow(float64(n)-500, 2) / (500 * (1 - 8.0/64))
	}
	if statistic > 115 {
		t.Errorf("chi-square %.1f: rows are in the sample between unequal numbers of times: %v", statistic, counts)
	}
}

// The confidence interval of a sample of 1,000 messages must contain the sandbox's true delivery rate in at least 93 %
// of the seeded runs. In an earlier trial of 1,000 runs, the interval contained the rate in 958 runs.
func TestWilson_CoversTheTrueRate(t *testing.T) {
	t.Parallel()
	const total, size, runs = 20_000, 1000, 300
	covered := 0
	for seed := range uint64(runs) {
		deliveries := simulator.Deliveries{Fail: 0.02 + 0.4*float64(seed)/runs}
		s := NewSample(fmt.Sprintf("run-%d", seed), total, size)
		all, k, n := 0, 0, 0
		for row := 1; row <= total; row++ {
			delivered := deliveries.Of(seed, fmt.Sprintf("message-%d", row), time.Hour).Delivered
			if delivered {
				all++
			}
			if s.Has(row) {
				if n++; delivered {
					k++
				}
			}
		}
		low, high := Wilson(k, n)
		if truth := float64(all) / total; n == size && low <= truth && truth <= high && high-low < 0.07 {
			covered++
		}
	}
	t.Logf("the interval covers the true rate in %d of %d runs", covered, runs)
	if 100*covered < 93*runs {
		t.Errorf("the interval covers the true rate in %d of %d runs, want 93 percent", covered, runs)
	}
}

func TestWilson_KnownValues(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		k, n      int
		low, high float64
	}{{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {950, 1000, 0.9347, 0.9619}, {0, 0, 0, 1}} {
		low, high := Wilson(x.k, x.n)
		if math.Abs(low-x.low) > 1e-4 || math.Abs(high-x.high) > 1e-4 {
			t.Errorf("%d of %d: from %.4f to %.4f, want %.4f to %.4f", x.k, x.n, low, high, x.low, x.high)
		}
	}
}
