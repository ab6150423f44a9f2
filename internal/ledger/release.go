package ledger

import (
	"context"
	"time"
)

// Release ends a claim whose messages were certainly not sent. Set renew if the gateway answered
// under the claim's idempotency key: the next submission then uses another key. The generation may
// be claimed again after backOff.
func (l *Ledger) Release(ctx context.Context, c *Claim, backOff time.Duration, renew bool) (Settled, error) {
	flag := 0
	if renew {
		flag = 1
	}
	return parseSettled(l.run(ctx, releaseScript, c.id, nil,
		c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, backOff.Milliseconds(), flag, c.openBatchLimit))
}
