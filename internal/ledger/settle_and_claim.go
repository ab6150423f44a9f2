package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// SettleAndClaim settles a claim whose recipients were all accepted, and claims another call of the
// same batch in the same step. The slice "records" has one record for each recipient, in order. The
// parameter "segments" has the same meaning as in Settle. SettleAndClaim makes both changes or no change. It
// handles only simple cases, in which Settle would not end the batch and Claim would grant the
// claim. For all other cases the result "ok" is false, without an error.
//
// After an error the caller does not know what happened. It must not submit under the claim that is
// returned with the error. It calls Settle for the old claim. That is safe even if this claim was
// settled already. Then it calls Release for the new claim, whether or not the new claim was
// granted.
func (l *Ledger) SettleAndClaim(ctx context.Context, c *Claim, records []campaign.Record, segments int, r ClaimRequest) (next *Claim, ok bool, err error) {
	if err := r.check(); err != nil {
		return nil, false, err
	}
	next = r.claim()
	if !canSettleAndClaim(c, records, r) {
		return next, false, nil
	}
	blob := make([]byte, 0, 22*len(records))
	for _, x := range records {
		blob = appendRecord(blob, x)
	}
	shared := sharedRequest{r.ID, sharedArgs{Lease: r.Lease, Login: r.Login, Spans: spanArg(r.Open), Exclusions: r.Exclusions}}
	own := script.Args(nextArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, CallSize: len(records), Records: blob, Segments: segments, Wake: r.Wake,
		NextToken: next.Token, NextCall: r.Gen.Call, NextSize: len(r.Gen.To), NextKey: shortUUID(r.IdempotencyKey),
		Cost: costArg(records),
	})
	answer, err := l.batcher.Run(ctx, shared, own)
	if _, err = checkAnswer(settleAndClaimScript, r.ID, own, nil, err); err != nil || answer == "" {
		return next, false, err
	}
	uuid, at, _ := strings.Cut(answer, " ")
	return next, true, next.parse([]string{string(ClaimGranted), uuid, "0", at, at, "0", "1"})
}

// sharedRequest has the values that are equal in all requests of one run of settle_and_claim.lua.
type sharedRequest struct {
	id   string
	args sharedArgs
}

func newBatcher(r *script.Runner) *script.Batcher[sharedRequest] {
	return script.NewBatcher(r, settleAndClaimScript,
		func(s sharedRequest) []string { return []string{ledgerKey(s.id), openKey(s.id)} },
		func(s sharedRequest) []any { return script.Args(s.args) })
}

// sharedArgs are the arguments of settle_and_claim.lua that all calls share.
type sharedArgs struct {
	Lease                    time.Duration
	Login, Spans, Exclusions string
}

// nextArgs are the arguments of settle_and_claim.lua for each call.
type nextArgs struct {
	Token, Batch       string
	Call, CallSize     int
	Records            []byte
	Segments           int
	Wake               int
	NextToken          string
	NextCall, NextSize int
	NextKey            string
	Cost               string
}

// canSettleAndClaim reports whether settle_and_claim.lua can handle a settle and a claim. It tests
// only the data that the caller has.
func canSettleAndClaim(c *Claim, records []campaign.Record, r ClaimRequest) bool {
	g := r.Gen
	if c.Result != ClaimGranted || c.Doubt || c.id != r.ID || c.batch != r.Batch || c.gen.Number != 0 || c.gen.positions != "" || len(records) != c.gen.CallSize {
		return false
	}
	if g.Call == c.gen.Call || g.Number != 0 || !g.Ready || g.Revision != "0" || g.positions != "" || !g.Due.IsZero() {
		return false
	}
	for _, x := range records {
		if x.Status != campaign.Accepted || x.Generation != 0 {
			return false
		}
	}
	return costArg(records) != mixedCosts
}
