package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// tombstoneLife is how long the ID of a campaign stays in use after retention has removed the
// campaign. messageTombstoneLife is how long the ID of a removed single message stays in use. Tuma
// sends too many single messages to keep all their IDs for a year.
const (
	tombstoneLife        = 365 * 24 * time.Hour
	messageTombstoneLife = 7 * 24 * time.Hour
)

// Purge removes a campaign that ended before the given time, and leaves a tombstone. The tombstone of a campaign
// expires after a year, and the tombstone of a single message expires after a week. If no campaign was committed
// under the id, Purge only removes the id from the indexes. The result is true if Purge removed something.
func (l *Ledger) Purge(ctx context.Context, id string, before time.Time) (bool, error) {
	tombstone := tombstoneLife
	if err := l.rdb.ZScore(ctx, messageIndex, id).Err(); err == nil {
		tombstone = messageTombstoneLife
	} else if !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("purge %s: %w", id, err)
	}
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
	for _, list := range []string{campaignIndex, messageIndex} {
		if err := l.rdb.ZRem(ctx, list, id).Err(); err != nil {
			return true, fmt.Errorf("purge %s: %w", id, err)
		}
	}
	return true, nil
}

// purgeArgs are the arguments of purge.lua.
type purgeArgs struct {
	EndedBefore   time.Time
	TombstoneLife int // how long the tombstone is kept, in seconds
}
