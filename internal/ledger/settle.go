package ledger

import (
	"context"
	"fmt"
	"time"
)

// Settled is the result of ending a claim.
type Settled struct {
	// Wakes are batches that were handed out because there was room for them.
	Wakes []Wake
	// Done: the campaign has ended; no recipient is pending.
	Done bool
	// Count is how many unknown answers count against a doubtful call.
	Count int
	// Stale: the caller's claim was no longer the current one, and nothing changed.
	Stale bool
}

// SettleReason is what the outcomes of a settle are based on.
type SettleReason string

// The reasons of a settle.
const (
	// SettleAnswer: the gateway answered about these recipients.
	SettleAnswer SettleReason = "answer"
	// SettlePartial: the gateway answered, but not about all recipients. Recipients that are
	// Unknown in the records stay doubtful, and may be submitted again under the same idempotency
	// key.
	SettlePartial SettleReason = "partial"
	// SettleSpared: the gateway answered about these recipients, but refused some of them because of
	// the account or the campaign. Those are Pending in the records that settle the call, and the
	// call does not count as an attempt for them.
	SettleSpared SettleReason = "spared"
	// SettleVerdict: Tuma's own conclusion from an error or a missing answer.
	SettleVerdict SettleReason = "verdict"
	// SettleLookup: the answer of a call or a lookup in the gateway's list. Recipients that are
	// Unknown in the records stay doubtful, and are looked up in the gateway's list after retryIn.
	SettleLookup SettleReason = "looked"
	// SettleAbandon: a doubtful generation that will not be submitted again.
	SettleAbandon SettleReason = "abandon"
)

// retryLaterStatus is what settle.lua reads as Pending with a longer wait than the others.
const retryLaterStatus = 7

// Settle writes the outcomes of a generation's recipients, one record each, in order. Pending
// means: certainly refused for now, may be submitted again after retryIn. Records with a longer
// RetryIn form a separate generation, which waits for the longest RetryIn.
//
// If the claim has Resend, recipients that are Unknown and were not before are submitted once more.
// segments is the number of segments of one message.
func (l *Ledger) Settle(ctx context.Context, c *Claim, records []Record, reason SettleReason, segments int, retryIn time.Duration) (Settled, error) {
	if len(records) != len(c.gen.To) {
		return Settled{}, fmt.Errorf("settle %s %s: %d records for %d recipients", c.id, c.batch, len(records), len(c.gen.To))
	}
	blob := make([]byte, 0, 22*len(records))
	var counts [7]int
	longest := retryIn
	for _, r := range records {
		if r.Status > Undelivered {
			return Settled{}, fmt.Errorf("settle %s %s: a call cannot end as %s", c.id, c.batch, r.Status)
		}
		r.Generation = c.gen.Number
		counts[r.Status]++
		at := len(blob)
		if blob = appendRecord(blob, r); r.Status == Pending && r.RetryIn > retryIn {
			blob[at] = retryLaterStatus
			longest = max(longest, r.RetryIn)
		}
	}
	out, err := l.run(ctx, settleScript, c.id, nil,
		c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, c.gen.positions, blob, string(reason), c.openBatchLimit,
		retryIn.Milliseconds(), segments, counts[Accepted], counts[Rejected], counts[Unknown], boolArg(c.resend), longest.Milliseconds(), c.lookupsBefore(),
		"", "")
	if err == nil && (out[0] == "forward" || out[0] == "lost") {
		return l.settleLate(ctx, c, records, segments, out)
	}
	return parseSettled(out, err)
}

func parseSettled(out []string, err error) (Settled, error) {
	if err != nil {
		return Settled{}, err
	}
	switch out[0] {
	case "settled", "forward", "released", "split":
		if len(out) < 2 { // another caller has settled the generation before
			return Settled{Stale: true}, nil
		}
		wakes, done, err := answerWakes(out)
		return Settled{Wakes: wakes, Done: done}, err
	}
	return Settled{Stale: true}, nil
}
