package ledger

import (
	"context"
)

// Split ends a claim that the gateway refused as a whole: both halves become
// generations of their own. Doubt is never split: then Stale is set.
func (l *Ledger) Split(ctx context.Context, c *Claim) (Settled, error) {
	return l.split(ctx, c, 0)
}

// SplitAfter is Split for a claim of which nothing was submitted, with so many
// recipients, at least one, in the first part.
func (l *Ledger) SplitAfter(ctx context.Context, c *Claim, first int) (Settled, error) {
	return l.split(ctx, c, max(first, 1))
}

func (l *Ledger) split(ctx context.Context, c *Claim, first int) (Settled, error) {
	return parseSettled(l.run(ctx, splitScript, c.id, nil, c.Token, c.batch, c.gen.Call, c.gen.Number, c.gen.CallSize, c.openBatchLimit, first))
}
