package ledger

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// ReleaseOf names what happened under a claim whose messages were certainly not sent. The
// idempotency key of the next claim depends on it.
type ReleaseOf string

const (
	// ReleaseUnused is a claim under which no call was made. If the claim had a new key, Release clears
	// the key, and the status does not count the call as submitted.
	ReleaseUnused ReleaseOf = "unused"
	// ReleaseUnsent is a call that did not reach the gateway. The next claim keeps the key.
	ReleaseUnsent ReleaseOf = "unsent"
	// ReleaseAnswered is a call that the gateway answered under the key. The next claim gets another
	// key.
	ReleaseAnswered ReleaseOf = "answered"
)

// Release ends a claim whose messages were certainly not sent. The generation may be claimed again
// after backOff.
func (l *Ledger) Release(ctx context.Context, c *Claim, backOff time.Duration, of ReleaseOf) (Settled, error) {
	return parseSettled(l.runOn(ctx, releaseScript, c.id, c.gen.upload, nil, script.Args(releaseArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, CallSize: c.gen.CallSize,
		BackOff: backOff, Of: of, OpenBatchLimit: c.openBatchLimit,
	})...))
}

// releaseArgs are the arguments of release.lua.
type releaseArgs struct {
	Token, Batch               string
	Call, Generation, CallSize int
	BackOff                    time.Duration
	Of                         ReleaseOf
	OpenBatchLimit             int
}
