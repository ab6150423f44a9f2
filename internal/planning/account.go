package planning

import (
	"github.com/tuma-sms/tuma/internal/ledger"
)

// maxBatchSize bounds the recipients of a batch, whatever the rate.
const maxBatchSize = 500

// A batch has at most minCalls calls, or enough to divide the campaign into targetBatches batches,
// but never more than maxCalls. One slot makes the calls of a batch one after the other. A small
// campaign at a gateway that takes one number a call should use several slots. In a large campaign,
// small batches would waste time between batches.
const (
	minCalls      = 50
	maxCalls      = 250
	targetBatches = 200
)

func callsPerBatch(recipients int) int { return min(max(minCalls, recipients/targetBatches), maxCalls) }

// Account returns what a plan snapshot needs of an account, for a campaign with this number of
// recipients (0: unknown). The caller sets Resend and Held.
func Account(c ledger.Card, spec ledger.Spec, recipients int) ledger.SnapshotAccount {
	most := max(1, c.Info.MaxRecipients)
	rate := messageRate(c, segmentsOf(spec.ShortBody()))
	a := ledger.SnapshotAccount{Name: c.Name, MaxRecipients: most, BatchSize: batchSize(most, callsPerBatch(recipients), rate)}
	if !spec.Personalized() {
		return a
	}
	// Each of its calls may have one recipient or many.
	a.MaxChars, a.MaxSegments = c.Info.MaxChars, c.Info.MaxSegments
	a.Calls = callsPerBatch(recipients)
	if c.Unit == ledger.UnitRequests && c.Rate > 0 {
		a.Calls = int(min(float64(a.Calls), max(1, c.Rate*60)))
	}
	return a
}

// messageRate returns an account's rate in messages a second; 0 means unlimited.
func messageRate(c ledger.Card, segments int) float64 {
	switch c.Unit {
	case ledger.UnitRequests:
		return c.Rate * float64(max(1, c.Info.MaxRecipients))
	case ledger.UnitSegments:
		return c.Rate / float64(max(1, segments))
	}
	return c.Rate
}

// batchSize returns the size of a batch: at most 500 recipients, calls calls, or a minute of the
// rate. If more than one call fits, it is a whole number of calls.
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
