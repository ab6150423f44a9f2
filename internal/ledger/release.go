package ledger

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// Release ends a claim whose messages were certainly not sent. If the gateway answered under the
// claim's idempotency key, "renew" must be true, so that the next submission uses another key. The
// generation may be claimed again after backOff.
func (l *Ledger) Release(ctx context.Context, c *Claim, backOff time.Duration, renew bool) (Settled, error) {
	return parseSettled(l.runOn(ctx, releaseScript, c.id, c.gen.upload, nil, script.Args(releaseArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, CallSize: c.gen.CallSize,
		BackOff: backOff, Renew: renew, OpenBatchLimit: c.openBatchLimit,
	})...))
}

// releaseArgs are the arguments of release.lua.
type releaseArgs struct {
	Token, Batch               string
	Call, Generation, CallSize int
	BackOff                    time.Duration
	Renew                      bool
	OpenBatchLimit             int
}
