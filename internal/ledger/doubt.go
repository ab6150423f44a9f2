package ledger

import (
	"context"
	"strconv"
	"time"
)

// Doubt ends a claim whose outcome is unknown. If count is set, the answer counts against the call
// itself. Settled.Count is the number of answers counted so far. Settled.Stale is set if c is no
// longer the generation's current claim.
func (l *Ledger) Doubt(ctx context.Context, c *Claim, backOff time.Duration, count bool) (Settled, error) {
	by := 0
	if count {
		by = 1
	}
	out, err := l.run(ctx, doubtScript, c.id, nil, c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, backOff.Milliseconds(), by)
	if err != nil {
		return Settled{}, err
	}
	if out[0] != "doubtful" || len(out) < 2 {
		return Settled{Stale: true}, nil
	}
	n, err := strconv.Atoi(out[1])
	if err != nil {
		return Settled{}, errAnswer
	}
	return Settled{Count: n}, nil
}
