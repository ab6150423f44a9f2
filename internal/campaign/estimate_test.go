package campaign

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The type "run" is a recorded sequence of readings, one every 250 ms as `tuma status --watch` makes
// them.
type run struct {
	total    int
	rate     float64                   // the sum of the accounts' rates, in messages a second; 0 if the rate is unlimited
	ended    func(seconds float64) int // how many messages have ended within this number of seconds after the start
	blocked  func(seconds float64) bool
	length   float64 // in seconds
	settling float64 // seconds from the start after which the error must be within the maximum
	within   float64 // the maximum error of the estimate is this share of the remaining time, plus 2 seconds and one step
	step     float64 // seconds between two moments at which messages end; 0 if this time is short
}

func steps(per int, every float64) func(float64) int {
	return func(s float64) int { return int(s/every) * per }
}

// The estimate is right soon after the start or after a pause. Times in which the campaign was
// blocked are left out. The estimate must not jump.
func TestEstimator_OverRecordedSequences(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	noise := rand.New(rand.NewPCG(5, 6))
	noisy := 0.0
	runs := map[string]run{
		"rate of the account, calls of one":   {total: 6000, rate: 100, ended: steps(1, 0.01), length: 60, within: 0.02},
		"rate of the account, calls of 500":   {total: 6000, rate: 100, ended: steps(500, 5), length: 60, within: 0.02, step: 5},
		"no rate, calls of one":               {total: 3000, ended: steps(1, 0.02), length: 60, settling: 2, within: 0.1},
		"no rate, calls of 500":               {total: 6000, ended: steps(500, 5), length: 60, settling: 15, within: 0.1, step: 5},
		"no rate, a call every half minute":   {total: 6000, ended: steps(500, 30), length: 360, settling: 100, within: 0.15, step: 30},
		"the gateway is slower than the rate": {total: 1200, rate: 100, ended: steps(1, 0.05), length: 60, settling: 25, within: 0.15},
		"no rate, uneven": {total: 3000, ended: func(s float64) int { // messages end in an uneven rhythm, 50 a second on average
			noisy = max(noisy, s*50+noise.Float64()*5)
			return int(noisy)
		}, length: 60, settling: 10, within: 0.25},
		"no rate, paused for an hour": {total: 3000, ended: func(s float64) int { return int(min(s, 20)*50 + max(0, s-3620)*50) },
			blocked: func(s float64) bool { return s > 20 && s < 3620 }, length: 3660, settling: 3623, within: 0.1},
		"slow, then fast": {total: 9000, ended: func(s float64) int { return int(min(s, 40)*25 + max(0, s-40)*200) }, length: 80, settling: 65, within: 0.3},
	}
	for name, x := range runs {
		t.Run(name, func(t *testing.T) {
			var e Estimator
			var before time.Time
			for at := 0.0; at < x.length-1; at += 0.25 {
				now := begin.Add(time.Duration(at * float64(time.Second)))
				ended := min(x.total, x.ended(at))
				blocked := x.blocked != nil && x.blocked(at)
				got := e.Add(ProgressReading{At: now, Ended: ended, Left: x.total - ended, Rate: x.rate, Blocked: blocked})
				if blocked != got.IsZero() && blocked {
					t.Fatalf("after %.2f s: got the end %s of a blocked campaign, want none", at, got)
				}
				left := x.length - at
				if at >= x.settling && !blocked {
					wrong := got.Sub(begin).Seconds() - x.length
					if got.IsZero() || max(wrong, -wrong) > left*x.within+2+x.step {
						t.Fatalf("after %.2f s: got the end at %s, which is off by %.1f s of %.1f s left", at, got, wrong, left)
					}
				}
				if !before.IsZero() && !got.IsZero() && at >= x.settling {
					if jump := got.Sub(before).Seconds(); max(jump, -jump) > 0.06*left+1 {
						t.Fatalf("after %.2f s: the end jumped by %.1f s within 250 ms, with %.1f s left", at, jump, left)
					}
				}
				before = got
			}
		})
	}
}

func TestEstimator_FollowsARateThatIsSetByHandAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	var e Estimator
	for _, tt := range []struct {
		rate float64
		want time.Duration
	}{{100, 10 * time.Second}, {50, 20 * time.Second}, {500, 2 * time.Second}, {0, 0}} {
		got := e.Add(ProgressReading{At: now, Left: 1000, Rate: tt.rate})
		if want := now.Add(tt.want); tt.want > 0 && !got.Equal(want) || tt.want == 0 && !got.IsZero() {
			t.Errorf("at %g/s: got the end %s, want %s from now", tt.rate, got, tt.want)
		}
		now = now.Add(250 * time.Millisecond)
	}
}

// While no message ends, the estimated end becomes later and never earlier.
func TestEstimator_StallMovesTheEndAway(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	var e Estimator
	var before time.Time
	for at := time.Duration(0); at < 2*time.Minute; at += 250 * time.Millisecond {
		ended := min(int(at.Seconds()*50), 1000)
		got := e.Add(ProgressReading{At: begin.Add(at), Ended: ended, Left: 6000 - ended})
		if at > 21*time.Second && got.Before(before) {
			t.Fatalf("after %s: the end moved from %s to %s, although nothing ended", at, before, got)
		}
		before = got
	}
	if left := before.Sub(begin.Add(2 * time.Minute)); left < 5*time.Minute {
		t.Errorf("after 100 s without progress: %s left, want at least 5 minutes", left)
	}
	if got := e.Add(ProgressReading{At: begin.Add(2 * time.Minute), Ended: 1000, Left: 1 << 60, Rate: 1e-9}); !got.IsZero() {
		t.Errorf("got the end %s for a rate of 1 in 30 years, want none", got)
	}
}
