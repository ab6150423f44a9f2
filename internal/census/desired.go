package census

import "math"

const (
	// firstP95 is the assumed duration of a call, in seconds, before an account has made calls.
	firstP95 = 1.0
	// drainWithin is the time, in seconds, in which the workers should send the backlog of an account
	// without a rate.
	drainWithin = 60.0
)

// Demand has the values of one account on which the number of desired workers depends.
type Demand struct {
	// Backlog is the number of messages that may be sent now. It is 0 if the account is held.
	Backlog int
	// Rate is the account's rate in units a second. 0 means unlimited.
	Rate float64
	// PerCall and UnitsPerCall are the mean numbers of recipients and of units of a call. Both are at
	// least 1.
	PerCall, UnitsPerCall float64
	// P95 is the duration of a call in seconds. 0 means that it is not known.
	P95 float64
	// Concurrency is how many calls one worker makes at once.
	Concurrency int
}

// The method "calls" returns how many calls the account can keep in flight. If the account has a rate,
// the result is the number of calls that may start at this rate while one call lasts. If it has no
// rate, the result is the number of calls in flight that are needed to send the backlog within a
// minute. The result is never more than the number of waiting calls.
func (d Demand) calls() float64 {
	p95 := d.P95
	if p95 <= 0 {
		p95 = firstP95
	}
	waiting := float64(d.Backlog) / max(1, d.PerCall)
	if d.Rate <= 0 {
		return min(waiting, math.Ceil(waiting*p95/drainWithin))
	}
	return min(waiting, d.Rate/max(1, d.UnitsPerCall)*p95)
}

// Desired returns how many workers the accounts can keep busy, at least 1. If the workers already use the
// whole rate of an account, further workers cannot send faster. So a growing backlog does not change the
// result.
func Desired(demands []Demand) int {
	workers := 0.0
	for _, d := range demands {
		workers += d.calls() / float64(max(1, d.Concurrency))
	}
	return max(1, int(math.Ceil(workers-1e-9)))
}
