package planning

import (
	"github.com/tuma-sms/tuma/internal/ledger"
)

// largestBatch bounds a batch, whatever the rate.
const largestBatch = 500

// mostCalls is how many calls a batch has at most: one slot makes them one after the
// other, and a small campaign at a gateway that takes one number a call should use more
// slots than one.
const mostCalls = 50

// Account freezes what planning a campaign needs of an account. Whether it resends, and is
// passed over by routes, is the caller's to say.
func Account(c ledger.Card, spec ledger.Spec) ledger.FrozenAccount {
	most := max(1, c.Info.MaxRecipients)
	rate := messageRate(c, segmentsOf(spec.ShortBody()))
	a := ledger.FrozenAccount{Name: c.Name, MaxRecipients: most, BatchSize: batchSize(most, rate)}
	if !spec.Personal() {
		return a
	}
	// Its calls may have one recipient each, or many.
	a.MaxChars, a.MaxSegments = c.Info.MaxChars, c.Info.MaxSegments
	a.Calls = mostCalls
	if c.Unit == ledger.UnitRequests && c.Rate > 0 {
		a.Calls = int(min(mostCalls, max(1, c.Rate*60)))
	}
	return a
}

// messageRate is an account's rate in messages a second; 0: unlimited.
func messageRate(c ledger.Card, segments int) float64 {
	switch c.Unit {
	case ledger.UnitRequests:
		return c.Rate * float64(max(1, c.Info.MaxRecipients))
	case ledger.UnitSegments:
		return c.Rate / float64(max(1, segments))
	}
	return c.Rate
}

// batchSize is up to 500 recipients, 50 calls or a minute of the rate, in whole calls
// where more than one fits.
func batchSize(maxRecipients int, rate float64) int {
	n := min(largestBatch, mostCalls*maxRecipients)
	if rate > 0 {
		n = int(min(float64(n), max(1, rate*60)))
	}
	if n > maxRecipients {
		n -= n % maxRecipients
	}
	return n
}
