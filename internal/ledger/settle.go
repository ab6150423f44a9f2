package ledger

import (
	"context"
	"fmt"
	"time"
)

// Settled is what ending a claim came to.
type Settled struct {
	// Wakes are batches that were handed out because there was room.
	Wakes []Wake
	// Done: nothing of the campaign is pending any more.
	Done bool
	// Count is how many unknown answers count against a doubtful call.
	Count int
	// Stale: the claim was no longer this one's to end; nothing changed.
	Stale bool
}

// Basis says on what a settle rests.
type SettleReason string

// The grounds for settling.
const (
	// Answer: the gateway spoke of these recipients.
	SettleAnswer SettleReason = "answer"
	// Partial: the gateway spoke, but not of all; who is Unknown in the records
	// stays doubtful, and may be asked for again under the same uuid.
	SettlePartial SettleReason = "partial"
	// Spared: the gateway's word as in Answer, but who is Pending in the records was
	// refused because of the account or the campaign: nobody's attempt is spent.
	SettleSpared SettleReason = "spared"
	// Verdict: ours, from an error or the lack of an answer.
	SettleVerdict SettleReason = "verdict"
	// Looked: the gateway's word as in Answer, of a call or from its list, but who is Unknown
	// in the records stays doubtful, and is looked for in its list after retryIn.
	SettleLookup SettleReason = "looked"
	// Abandon: a doubtful generation that will not be submitted again.
	SettleAbandon SettleReason = "abandon"
)

// patientStatus is what settle.lua reads as Pending for longer than the others.
const retryLaterStatus = 7

// Settle writes what became of the generation's recipients, one record each in
// order; Pending is: certainly refused for now, may go again after retryIn, or after
// the longest RetryIn among those records that ask for longer, apart from the others.
// Once more goes too, where the claim says Resend, who is Unknown and was not before.
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
			return Settled{}, fmt.Errorf("settle %s %s: a call cannot end %s", c.id, c.batch, r.Status)
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
		if len(out) < 2 { // settled by somebody else before
			return Settled{Stale: true}, nil
		}
		wakes, done, err := answerWakes(out)
		return Settled{Wakes: wakes, Done: done}, err
	}
	return Settled{Stale: true}, nil
}
