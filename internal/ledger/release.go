package ledger

import (
	"context"
	"time"
)

// Release ends a claim of which nothing was sent, for certain. renew: the
// gateway answered under this uuid, so the next try takes another.
func (l *Ledger) Release(ctx context.Context, c *Claim, backOff time.Duration, renew bool) (Settled, error) {
	flag := 0
	if renew {
		flag = 1
	}
	return parseSettled(l.run(ctx, releaseScript, c.id, nil,
		c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, backOff.Milliseconds(), flag, c.openBatchLimit))
}
