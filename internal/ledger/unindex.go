package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// Remove removes a campaign that the sweeper need not check any more from the open index. It keeps
// an entry that was written again after the caller had read e, or that was written in the last
// minute.
func (x *Index) Remove(ctx context.Context, e IndexEntry) error {
	_, err := x.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: e.ID, ReadScore: scoreText(e.score), MinAge: unindexAfter})...)
	if err != nil {
		return fmt.Errorf("remove %s from the open index: %w", e.ID, err)
	}
	return nil
}

// drop removes a campaign that no longer exists from both indexes.
func (x *Index) drop(ctx context.Context, id string) error {
	for _, key := range []string{openIndex, campaignIndex} {
		if err := x.rdb.ZRem(ctx, key, id).Err(); err != nil {
			return fmt.Errorf("unindex %s: %w", id, err)
		}
	}
	return nil
}

// unindexAfter is how old an entry of the open index must be before it may be removed. An enqueue
// or retry that wrote the entry reaches its commit within that time.
const unindexAfter = time.Minute

// scoreText returns a score of the open index as Redis writes it.
func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', -1, 64) }

// unindexArgs are the arguments of unindex.lua.
type unindexArgs struct {
	ID        string
	ReadScore string
	MinAge    time.Duration
}
