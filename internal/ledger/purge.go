package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Purge removes a campaign that ended before the given time, and keeps a tombstone for a year. If
// no campaign was committed under the id, Purge only removes the id from the indexes. It reports
// whether it removed something.
func (l *Ledger) Purge(ctx context.Context, id string, before time.Time) (bool, error) {
	const tombstone = 365 * 24 * time.Hour
	out, err := l.run(ctx, purgeScript, id, []string{specKey(id), tombstoneKey(id), quarantineKey(id), quarantineWorkKey(id)},
		script.Args(purgeArgs{EndedBefore: before, TombstoneLife: int(tombstone.Seconds())})...)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if err == nil && out[0] != "purged" {
		return false, nil
	}
	score, err := l.rdb.ZScore(ctx, openIndex, id).Result()
	if err == nil {
		// An upload under this id may be about to commit, so unindex.lua keeps a recent entry.
		out, err = l.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: id, ReadScore: scoreText(score), MinAge: stagingLife})...)
		if err != nil {
			return true, fmt.Errorf("purge %s: %w", id, err)
		}
		if out[0] == "kept" {
			return true, nil
		}
	} else if !errors.Is(err, redis.Nil) {
		return true, fmt.Errorf("purge %s: %w", id, err)
	}
	if err := l.rdb.ZRem(ctx, campaignIndex, id).Err(); err != nil {
		return true, fmt.Errorf("purge %s: %w", id, err)
	}
	return true, nil
}

// purgeArgs are the arguments of purge.lua.
type purgeArgs struct {
	EndedBefore   time.Time
	TombstoneLife int // how long the tombstone is kept, in seconds
}
