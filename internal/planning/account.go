package planning

import "github.com/tuma-sms/tuma/internal/ledger"

// largestBatch bounds a batch, whatever the rate.
const largestBatch = 500

// mostCalls is how many calls a batch has at most: one slot makes them one after the
// other, and a small campaign at a gateway that takes one number a call should use more
// slots than one.
const mostCalls = 50

// Account freezes what planning needs of an account, for messages of so many segments.
// Whether it resends, and is passed over by routes, is the caller's to say.
func Account(c ledger.Card, segments int) ledger.FrozenAccount {
	most := max(1, c.Info.MaxRecipients)
	return ledger.FrozenAccount{Name: c.Name, MaxRecipients: most, BatchSize: batchSize(most, messageRate(c, segments))}
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
