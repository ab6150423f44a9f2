package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// The type "requested" is a claim that was requested.
type requested struct {
	claim *ledger.Claim
	// dials is how many connections to Redis this worker had made when it requested the claim.
	dials int64
	// The function "leave" must be called when no more calls are made under the claim. It may be called
	// repeatedly.
	leave func()
}

// requestClaim claims a generation in the ledger, so that this worker may submit it. Redis grants
// the claim only within the spans of time in the parameter "open"; nil means at any time. The
// parameter "exclusions" is the version of the opt-outs that were applied to the generation. If the
// account is tracked, requestClaim also registers the attempt. If requestClaim returns both a claim
// and an error, the caller must release the claim.
func (s *Sender) requestClaim(ctx context.Context, b *batch, g *ledger.Generation, open []ledger.Span, exclusions string) (req requested, err error) {
	req.leave = func() {}
	if req.dials, err = s.Guard.Confirm(ctx); err != nil {
		return req, err
	}
	req.leave = s.Guard.Enter()
	request := s.claimRequest(ctx, b, g, open, exclusions)
	req.claim, err = s.Ledger.Claim(ctx, request)
	if err == nil && req.claim.Result == ledger.ClaimExcluded {
		// Most opt-outs are not about recipients of this generation. Pass the numbers of the recipients,
		// so that Redis can compare the opt-outs with these numbers.
		request.NameRecipients = true
		req.claim, err = s.Ledger.Claim(ctx, request)
	}
	if err == nil && req.claim.Result == ledger.ClaimGranted {
		err = b.acc.Tracker.Begin(ctx, req.claim)
	}
	return req, err
}

// claimRequest returns the request for a claim of a generation. Redis grants the claim only within
// the spans of time in the parameter "open"; nil means at any time. The parameter "exclusions" is the
// version of the opt-outs that were applied to the generation.
func (s *Sender) claimRequest(ctx context.Context, b *batch, g *ledger.Generation, open []ledger.Span, exclusions string) ledger.ClaimRequest {
	return ledger.ClaimRequest{ID: b.id, Batch: b.name, Wake: b.wake, Gen: g,
		IdempotencyKey: b.idempotencyKey(g), Login: b.acc.Info.Fingerprint, KeyTTL: b.acc.keyTTL(), Lease: b.acc.lease(),
		Open: open, OpenBatchLimit: s.Shares.OpenBatchLimit(ctx, b.acc.Name), Exclusions: exclusions, Resend: b.resends()}
}

// requestNamespace is the namespace of the hash from which an idempotency key is made.
var requestNamespace = uuid.MustParse("6f2b8a54-9c1d-5e7a-8b3f-2d4c6e8a0b1c")

// keyVersion is the version of the UUIDs that serve as idempotency keys: RFC 9562 reserves version
// 8 for custom formats.
const keyVersion = 8

// idempotencyKey derives the key of a request from its campaign, batch, call, generation, login,
// sender, body and recipients. The first claim stores the key. Later tries of the same request use
// the stored key. The first 48 bits depend only on the campaign, so that its requests can be found
// in a gateway's log.
func (b *batch) idempotencyKey(g *ledger.Generation) uuid.UUID {
	request := make([]byte, 0, 512)
	for _, x := range []string{b.acc.Info.Name, b.acc.Info.Fingerprint, b.sender(), b.body(g)} {
		request = append(binary.AppendUvarint(request, uint64(len(x))), x...)
	}
	if b.camp.Spec.Flash {
		request = append(request, 'f')
	}
	for _, p := range g.To {
		request = binary.BigEndian.AppendUint64(request, uint64(p.MSISDN))
	}
	sum := sha256.Sum256(request)
	name := make([]byte, 0, 128)
	for _, x := range []string{b.id, b.name, strconv.Itoa(g.Call), strconv.Itoa(g.Number), g.Revision} {
		name = append(append(name, x...), ' ')
	}
	key := uuid.NewHash(sha256.New(), requestNamespace, append(name, sum[:]...), keyVersion)
	ofCampaign := sha256.Sum256([]byte("campaign " + b.id))
	copy(key[:6], ofCampaign[:])
	return key
}
