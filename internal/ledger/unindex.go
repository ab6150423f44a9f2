package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Remove removes an entry from the open index, because the sweeper need not check the campaign any
// more. The caller has read the entry as e. If the entry was written again after that, or was written
// in the last minute, Remove keeps the entry.
func (x *Index) Remove(ctx context.Context, e IndexEntry) error {
	_, err := x.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: e.ID, ReadScore: scoreText(e.score), MinAge: unindexAfter})...)
	if err != nil {
		return fmt.Errorf("remove %s from the open index: %w", e.ID, err)
	}
	return nil
}

// RemoveArchived removes the entry of a message with an archive from the open index. Unlike Remove, it also
// removes an entry that was written in the last minute. An enqueue cannot replace an archived message, so the
// enqueue does not need the entry.
func (x *Index) RemoveArchived(ctx context.Context, e IndexEntry) error {
	_, err := x.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: e.ID, ReadScore: scoreText(e.score)})...)
	if err != nil {
		return fmt.Errorf("remove %s from the open index: %w", e.ID, err)
	}
	return nil
}

// drop removes a campaign that no longer exists from all indexes.
func (x *Index) drop(ctx context.Context, id string) error {
	for _, key := range []string{openIndex, campaignIndex, messageIndex} {
		if err := x.rdb.ZRem(ctx, key, id).Err(); err != nil {
			return fmt.Errorf("unindex %s: %w", id, err)
		}
	}
	return nil
}

// abandon removes a discarded upload from the indexes, unless a campaign or another upload has its ID.
// The parameter "message" is true if the upload was a single message.
func (x *Index) abandon(ctx context.Context, id string, message bool) error {
	score, err := x.rdb.ZScore(ctx, openIndex, id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("unindex %s: %w", id, err)
	}
	entered := err == nil
	if inUse, err := x.inUse(ctx, id); err != nil || inUse {
		return err
	}
	if entered { // another upload may have begun after the call of inUse; then the entry has a new score, and unindex.lua keeps it
		if _, err := x.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: id, ReadScore: scoreText(score)})...); err != nil {
			return fmt.Errorf("unindex %s: %w", id, err)
		}
	}
	if err := x.rdb.ZRem(ctx, listOf(message), id).Err(); err != nil {
		return fmt.Errorf("unindex %s: %w", id, err)
	}
	// An upload writes its token before its index entries. If another upload has begun meanwhile, the
	// calls above may have removed the index entries of that upload, so the method "add" writes them again.
	inUse, err := x.inUse(ctx, id)
	if err == nil && inUse {
		err = x.add(ctx, id, message)
	}
	return err
}

// inUse reports whether a campaign exists or is being uploaded under the ID.
func (x *Index) inUse(ctx context.Context, id string) (bool, error) {
	n, err := x.rdb.Exists(ctx, ledgerKey(id), uploadsKey(id)).Result()
	if err == nil && n == 0 {
		var f storedForm
		f, err = x.records().form(ctx, id)
		if f.full || f.archive != nil {
			n = 1
		}
	}
	if err != nil {
		return false, fmt.Errorf("unindex %s: %w", id, err)
	}
	return n > 0, nil
}

// unindexAfter is how old an entry of the open index must be before it may be removed. If an
// enqueue or a retry wrote the entry, it commits within that time.
const unindexAfter = time.Minute

// scoreText returns a score of the open index as Redis writes it.
func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', -1, 64) }

// unindexArgs are the arguments of unindex.lua.
type unindexArgs struct {
	ID        string
	ReadScore string
	MinAge    time.Duration
}
