package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Settled is the result of ending a claim.
type Settled struct {
	// Wakes are the wakes of batches that were handed out because the number of open batches fell below
	// the limit.
	Wakes []Wake
	// Done is true if the campaign has ended. Then no recipient is pending.
	Done bool
	// Count is how many unknown answers to a doubtful call were counted as attempts of the call.
	Count int
	// Stale is true if the caller's claim was not the current claim any more. Then nothing changed.
	Stale bool
}

// settleArgs are the arguments of settle.lua.
type settleArgs struct {
	Token, Batch                string
	Call, Generation, CallSize  int
	Positions                   string
	Records                     []byte
	Reason                      campaign.SettleReason
	OpenBatchLimit              int
	BackOff                     time.Duration
	Segments                    int
	Accepted, Rejected, Unknown int
	MayResend                   bool
	PatientBackOff              time.Duration
	Lookups                     int
	Origin, OriginKey           string
	Cost                        string
}

// retryLaterStatus tells settle.lua that a recipient is Pending and waits longer than the other
// Pending recipients.
const retryLaterStatus = 7

// Settle writes the outcomes of a generation's recipients. It takes one record for each recipient,
// in order. Pending means that the gateway certainly refused the recipient for now, and that the
// recipient may be submitted again after retryIn. Pending records whose RetryIn is longer
// than retryIn form a separate generation, which waits for the longest RetryIn.
//
// If the claim has Resend, recipients that become Unknown now, and were not Unknown before, are
// submitted once more. The parameter "segments" is the number of segments of one message.
func (l *Ledger) Settle(ctx context.Context, c *Claim, records []campaign.Record, reason campaign.SettleReason, segments int, retryIn time.Duration) (Settled, error) {
	if len(records) != len(c.gen.To) {
		return Settled{}, fmt.Errorf("settle %s %s: got %d records, want %d, one for each recipient", c.id, c.batch, len(records), len(c.gen.To))
	}
	blob := make([]byte, 0, 22*len(records))
	var counts [7]int
	longest := retryIn
	for _, r := range records {
		if r.Status > campaign.Undelivered {
			return Settled{}, fmt.Errorf("settle %s %s: a call cannot end as %s", c.id, c.batch, r.Status)
		}
		r.Generation = c.gen.Number
		counts[r.Status]++
		at := len(blob)
		if blob = appendRecord(blob, r); r.Status == campaign.Pending && r.RetryIn > retryIn {
			blob[at] = retryLaterStatus
			longest = max(longest, r.RetryIn)
		}
	}
	out, err := l.runOn(ctx, settleScript, c.id, c.gen.upload, nil, script.Args(settleArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, CallSize: c.gen.CallSize,
		Positions: c.gen.positions, Records: blob, Reason: reason, OpenBatchLimit: c.openBatchLimit, BackOff: retryIn, Segments: segments,
		Accepted: counts[campaign.Accepted], Rejected: counts[campaign.Rejected], Unknown: counts[campaign.Unknown],
		MayResend: c.resend, PatientBackOff: longest, Lookups: c.lookupsBefore(), Cost: costArg(records),
	})...)
	var s Settled
	if err == nil && (out[0] == "forward" || out[0] == "lost") {
		s, err = l.settleLate(ctx, c, records, segments, out)
	} else {
		s, err = parseSettled(out, err)
	}
	if err != nil || !s.Done || counts[campaign.Accepted] == 0 || !c.At.IsZero() && time.Since(c.At) < lateAfter {
		return s, err
	}
	// If the campaign had ended before this settle, the sweeper must count its usage again, because the
	// settle has changed the usage.
	_, err = l.Index().addOpen(ctx, c.id)
	return s, err
}

// lateAfter is the age from which a claim counts as old. The campaign of an old claim may have ended
// before the settle, and the sweeper may have counted the usage. lateAfter is shorter than any lease.
const lateAfter = 2 * time.Second

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
