package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// The sweeper reads the index of open campaigns; lists show the index of all campaigns. Neither is
// in the same cluster slot as a campaign. So an entry is written before its campaign is written,
// and removed after its campaign is removed. An entry without a campaign only costs a lookup.

// unindexAfter is how old an entry of the open index must be before it may be removed. An enqueue
// or retry that wrote the entry reaches its commit within that time.
const unindexAfter = time.Minute

// index enters a campaign in both indexes, with the current time.
func (l *Ledger) index(ctx context.Context, id string) error {
	out, err := l.scripts.Run(ctx, indexScript, []string{openIndex}, script.Args(indexArgs{ID: id})...)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	at, err := strconv.ParseFloat(out[0], 64)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, script.ErrAnswer)
	}
	if err := l.rdb.ZAddNX(ctx, campaignIndex, redis.Z{Score: at, Member: id}).Err(); err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	return nil
}

// unindex removes a campaign that no longer exists from both indexes.
func (l *Ledger) unindex(ctx context.Context, id string) error {
	for _, key := range []string{openIndex, campaignIndex} {
		if err := l.rdb.ZRem(ctx, key, id).Err(); err != nil {
			return fmt.Errorf("unindex %s: %w", id, err)
		}
	}
	return nil
}

// Exists reports whether a campaign with this ID exists, or existed and still has its tombstone.
func (l *Ledger) Exists(ctx context.Context, id string) (bool, error) {
	n, err := l.rdb.Exists(ctx, specKey(id), tombstoneKey(id)).Result()
	if err != nil {
		return false, fmt.Errorf("check whether campaign %s exists: %w", id, err)
	}
	return n > 0, nil
}

// IndexEntry is an entry of the open index.
type IndexEntry struct {
	ID    string
	Since time.Time
	score float64
}

// OpenCampaigns returns the campaigns that the sweeper must check: all that have not ended, and
// some that have.
func (l *Ledger) OpenCampaigns(ctx context.Context) ([]IndexEntry, error) {
	zs, err := l.rdb.ZRangeWithScores(ctx, openIndex, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list open campaigns: %w", err)
	}
	out := make([]IndexEntry, 0, len(zs))
	for _, z := range zs {
		if id, ok := z.Member.(string); ok {
			out = append(out, IndexEntry{ID: id, Since: time.UnixMilli(int64(z.Score)), score: z.Score})
		}
	}
	return out, nil
}

// RemoveFromOpenIndex removes a campaign that the sweeper need not check any more from the open
// index. It keeps an entry that was written again since e was read, or that was written in the last
// minute.
func (l *Ledger) RemoveFromOpenIndex(ctx context.Context, e IndexEntry) error {
	_, err := l.scripts.Run(ctx, unindexScript, []string{openIndex}, script.Args(unindexArgs{ID: e.ID, ReadScore: scoreText(e.score), MinAge: unindexAfter})...)
	if err != nil {
		return fmt.Errorf("remove %s from the open index: %w", e.ID, err)
	}
	return nil
}

// Campaigns yields the id of every campaign, newest first.
func (l *Ledger) Campaigns(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		const step = 500
		for at := int64(0); ; at += step {
			ids, err := l.rdb.ZRevRange(ctx, campaignIndex, at, at+step-1).Result()
			if err != nil {
				yield("", fmt.Errorf("list campaigns: %w", err))
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			if len(ids) < step {
				return
			}
		}
	}
}

// IndexedBefore returns campaigns whose index entry is older than the given time, a thousand at
// most.
func (l *Ledger) IndexedBefore(ctx context.Context, before time.Time) ([]string, error) {
	ids, err := l.rdb.ZRangeByScore(ctx, campaignIndex, &redis.ZRangeBy{
		Min: "-inf", Max: "(" + strconv.FormatInt(before.UnixMilli(), 10), Count: 1000,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list old campaigns: %w", err)
	}
	return ids, nil
}

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

// scoreText returns a score of the open index as Redis writes it.
func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', -1, 64) }

// indexArgs are the arguments of index.lua.
type indexArgs struct{ ID string }

// unindexArgs are the arguments of unindex.lua.
type unindexArgs struct {
	ID        string
	ReadScore string
	MinAge    time.Duration
}

// purgeArgs are the arguments of purge.lua.
type purgeArgs struct {
	EndedBefore   time.Time
	TombstoneLife int // in seconds
}
