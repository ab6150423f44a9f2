package worker

import (
	"math/rand/v2"
	"time"
)

// backOff returns how long to wait after the n-th try of a call. The longest wait doubles with each
// try, from 1 s up to 1 minute. The wait is chosen at random between half of that and all of it.
func backOff(n int) time.Duration {
	d := time.Minute
	if n < 7 {
		d = time.Second << max(0, n-1)
	}
	return d/2 + rand.N(d/2)
}
