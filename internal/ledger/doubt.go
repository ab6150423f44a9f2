package ledger

import (
	"context"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// Doubt ends a claim whose outcome is unknown. If "count" is true, the claim counts as an attempt of
// the call. Settled.Count is the number of attempts counted so far. Settled.Stale is true if c is
// not the current claim of the generation any more.
func (l *Ledger) Doubt(ctx context.Context, c *Claim, backOff time.Duration, count bool) (Settled, error) {
	out, err := l.runOn(ctx, doubtScript, c.id, c.gen.upload, nil, script.Args(doubtArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, CallSize: c.gen.CallSize,
		BackOff: backOff, Count: count,
	})...)
	if err != nil {
		return Settled{}, err
	}
	if out[0] != "doubtful" || len(out) < 2 {
		return Settled{Stale: true}, nil
	}
	n, err := strconv.Atoi(out[1])
	if err != nil {
		return Settled{}, script.ErrAnswer
	}
	return Settled{Count: n}, nil
}

// doubtArgs are the arguments of doubt.lua.
type doubtArgs struct {
	Token, Batch               string
	Call, Generation, CallSize int
	BackOff                    time.Duration
	Count                      bool
}
