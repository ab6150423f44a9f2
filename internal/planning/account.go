package planning

import (
	"github.com/tuma-sms/tuma/internal/ledger"
)

// largestBatch bounds a batch, whatever the rate.
const maxBatchSize = 500

// A batch has at most fewestCalls calls, or so many that the campaign has manyBatches of
// them, but never more than mostCalls: one slot makes the calls of a batch one after the
// other, and a small campaign at a gateway that takes one number a call should use more
// slots than one; of a large one too much time would go to where batches end.
const (
	minCalls      = 50
	maxCalls      = 250
	targetBatches = 200
)

func callsPerBatch(recipients int) int { return min(max(minCalls, recipients/targetBatches), maxCalls) }

// Account freezes what planning a campaign of so many recipients, 0 if that is not known,
// needs of an account. Whether it resends, and is passed over by routes, is the caller's to
// say.
func Account(c ledger.Card, spec ledger.Spec, recipients int) ledger.SnapshotAccount {
	most := max(1, c.Info.MaxRecipients)
	rate := messageRate(c, segmentsOf(spec.ShortBody()))
	a := ledger.SnapshotAccount{Name: c.Name, MaxRecipients: most, BatchSize: batchSize(most, callsPerBatch(recipients), rate)}
	if !spec.Personalized() {
		return a
	}
	// Its calls may have one recipient each, or many.
	a.MaxChars, a.MaxSegments = c.Info.MaxChars, c.Info.MaxSegments
	a.Calls = callsPerBatch(recipients)
	if c.Unit == ledger.UnitRequests && c.Rate > 0 {
		a.Calls = int(min(float64(a.Calls), max(1, c.Rate*60)))
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

// batchSize is up to 500 recipients, so many calls or a minute of the rate, in whole calls
// where more than one fits.
func batchSize(maxRecipients, calls int, rate float64) int {
	n := min(maxBatchSize, calls*maxRecipients)
	if rate > 0 {
		n = int(min(float64(n), max(1, rate*60)))
	}
	if n > maxRecipients {
		n -= n % maxRecipients
	}
	return n
}
