package verdict

import (
	"math/rand/v2"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// BackOff returns how long to wait after the n-th try of a call. The maximum wait doubles with each
// try, from 1 s to 1 minute. BackOff chooses at random between half of the maximum and the maximum.
func BackOff(n int) time.Duration {
	d := time.Minute
	if n < 7 {
		d = time.Second << max(0, n-1)
	}
	return d/2 + rand.N(d/2)
}

// MaxLookups is how often a doubtful call is looked up in the gateway's list of taken messages. The
// delay between lookups grows, because the messages may take time to appear in that list.
const MaxLookups = 4

// LookupDelay returns how long to wait before the next lookup of a doubtful call. The wait begins
// at the end of the call, or at the last lookup. The parameter "lookups" is how many lookups were
// made. The sum of the delays of all lookups is reconcileFor.
func LookupDelay(reconcileFor time.Duration, lookups int) time.Duration {
	parts := [MaxLookups]int64{1, 2, 3, 6}[min(lookups, MaxLookups-1)]
	return time.Duration(int64(reconcileFor) * parts / 12)
}

// SameForAll returns n copies of a record. It is for a call in which all recipients have the same
// outcome.
func SameForAll(n int, r campaign.Record) []campaign.Record {
	out := make([]campaign.Record, n)
	for i := range out {
		out[i] = r
	}
	return out
}
