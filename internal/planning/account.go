package planning

import (
	"github.com/tuma-sms/tuma/internal/campaign"
)

// maxBatchSize is the maximum number of recipients of a batch, however high the account's rate is.
const maxBatchSize = 500

// These constants limit the number of calls of a batch. callsPerBatch divides the campaign into
// targetBatches batches, but gives each batch at least minCalls and at most maxCalls calls. One
// slot makes the calls of a batch one after the other. With small batches, a small campaign uses
// several slots even if each call takes only one number. With large batches, a large campaign
// spends less time between batches.
const (
	minCalls      = 50
	maxCalls      = 250
	targetBatches = 200
)

// batchesPerSlot is how many batches a small campaign has for each slot. With two batches for each
// slot, a fast slot can take more batches than a slow slot.
const batchesPerSlot = 2

// callsPerBatch returns the maximum number of calls of a batch, for a campaign with the given
// number of recipients (0: unknown). perCall is the number of recipients of a call. slots is the
// number of calls that all workers of the account make at once (0: unknown). A small campaign is
// cut into enough batches to use all slots.
func callsPerBatch(recipients, perCall, slots int) int {
	most := min(max(minCalls, recipients/targetBatches), maxCalls)
	if recipients == 0 || slots == 0 {
		return most
	}
	batches := batchesPerSlot * slots
	calls := (recipients + perCall - 1) / perCall
	return min(most, (calls+batches-1)/batches)
}

// Account returns the entry of an account in a plan snapshot. c is the card of the account.
// recipients is the number of recipients of the campaign (0: unknown). slots is the number of
// calls that all workers of the account make at once (0: unknown). The caller sets Resend and
// Held.
func Account(c campaign.Card, spec campaign.Spec, recipients, slots int) campaign.SnapshotAccount {
	most := max(1, c.Info.MaxRecipients)
	rate := messageRate(c, segmentsOf(spec.ShortBody()))
	a := campaign.SnapshotAccount{Name: c.Name, MaxRecipients: most, BatchSize: batchSize(most, callsPerBatch(recipients, most, slots), rate)}
	if !spec.Personalized() {
		return a
	}
	a.MaxChars, a.MaxSegments = c.Info.MaxChars, c.Info.MaxSegments
	// A call of a personalized campaign may have only one recipient. So BatchSize alone would allow
	// too many calls in a batch. The field "Calls" limits the number of calls.
	a.Calls = callsPerBatch(recipients, 1, slots)
	if c.Unit == campaign.UnitRequests && c.Rate > 0 {
		a.Calls = int(min(float64(a.Calls), max(1, c.Rate*60)))
	}
	return a
}

// messageRate returns an account's rate in messages a second; 0 means unlimited.
func messageRate(c campaign.Card, segments int) float64 {
	switch c.Unit {
	case campaign.UnitRequests:
		return c.Rate * float64(max(1, c.Info.MaxRecipients))
	case campaign.UnitSegments:
		return c.Rate / float64(max(1, segments))
	}
	return c.Rate
}

// batchSize returns the maximum number of recipients of a batch. A batch has at most maxBatchSize
// recipients and at most the given number of calls, and takes at most one minute at the given
// rate. If more than one call fits into the batch, the result is a multiple of maxRecipients.
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
