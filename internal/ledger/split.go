package ledger

import (
	"context"

	"github.com/tuma-sms/tuma/internal/script"
)

// Split ends the claim of a call that the gateway refused as a whole. It divides the call's
// recipients into up to eight generations of equal size. Split does not split a claim that is in
// doubt, and sets Settled.Stale instead.
func (l *Ledger) Split(ctx context.Context, c *Claim) (Settled, error) {
	return l.split(ctx, c, 0)
}

// SplitAfter splits the call of a claim into two parts. The call must not have been submitted. The
// parameter "first" is the number of recipients in the first part. It is at least one.
func (l *Ledger) SplitAfter(ctx context.Context, c *Claim, first int) (Settled, error) {
	return l.split(ctx, c, max(first, 1))
}

func (l *Ledger) split(ctx context.Context, c *Claim, first int) (Settled, error) {
	return parseSettled(l.runOn(ctx, splitScript, c.id, c.gen.upload, nil, script.Args(splitArgs{
		Token: c.Token, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, CallSize: c.gen.CallSize,
		OpenBatchLimit: c.openBatchLimit, FirstSize: first,
	})...))
}

// splitArgs are the arguments of split.lua.
type splitArgs struct {
	Token, Batch               string
	Call, Generation, CallSize int
	OpenBatchLimit             int
	FirstSize                  int
}
