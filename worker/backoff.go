package worker

import (
	"math/rand/v2"
	"time"
)

// backOff returns how long to wait after the n-th try of a call. It doubles from 1 s to 1 minute,
// with random jitter over its upper half.
func backOff(n int) time.Duration {
	d := time.Minute
	if n < 7 {
		d = time.Second << max(0, n-1)
	}
	return d/2 + rand.N(d/2)
}
