package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// The index of open campaigns is what the sweeper goes through, the index of all
// campaigns what a list shows. Neither shares a slot with a campaign, so they
// are written before it and cleaned after it: an entry too many costs a look.

// unindexAfter is how old an entry of the open index is before it may go: an
// enqueue or retry that has written it gets to its commit within that.
const unindexAfter = time.Minute

// index makes a campaign findable, as of now.
func (l *Ledger) index(ctx context.Context, id string) error {
	out, err := l.evalStrings(ctx, indexScript, []string{openIndex}, id)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	at, err := strconv.ParseFloat(out[0], 64)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, errAnswer)
	}
	if err := l.rdb.ZAddNX(ctx, campaignIndex, redis.Z{Score: at, Member: id}).Err(); err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	return nil
}

// unindex takes a campaign that is not there any more off both indexes.
func (l *Ledger) unindex(ctx context.Context, id string) error {
	for _, key := range []string{openIndex, campaignIndex} {
		if err := l.rdb.ZRem(ctx, key, id).Err(); err != nil {
			return fmt.Errorf("unindex %s: %w", id, err)
		}
	}
	return nil
}

// Known says whether there is a campaign of that ID, or was one within the life of
// its tombstone.
func (l *Ledger) Exists(ctx context.Context, id string) (bool, error) {
	n, err := l.rdb.Exists(ctx, specKey(id), tombstoneKey(id)).Result()
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", id, err)
	}
	return n > 0, nil
}

// Indexed is an entry of the open index.
type IndexEntry struct {
	ID    string
	Since time.Time
	score float64
}

// OpenCampaigns lists the campaigns that the sweeper has to look at: all that
// are not done, and some that are.
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

// Close takes a campaign that needs no more looks off the open index, unless
// somebody has touched the entry since it was read or in the last minute.
func (l *Ledger) RemoveFromOpenIndex(ctx context.Context, e IndexEntry) error {
	_, err := l.evalStrings(ctx, unindexScript, []string{openIndex}, e.ID, strconv.FormatFloat(e.score, 'f', -1, 64), unindexAfter.Milliseconds())
	if err != nil {
		return fmt.Errorf("close %s: %w", e.ID, err)
	}
	return nil
}

// Campaigns lists every campaign's id, newest first.
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

// Ended lists campaigns whose index entry is older than a time, a thousand at most.
func (l *Ledger) IndexedBefore(ctx context.Context, before time.Time) ([]string, error) {
	ids, err := l.rdb.ZRangeByScore(ctx, campaignIndex, &redis.ZRangeBy{
		Min: "-inf", Max: "(" + strconv.FormatInt(before.UnixMilli(), 10), Count: 1000,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list old campaigns: %w", err)
	}
	return ids, nil
}

// Purge removes a campaign that ended before a time and leaves a tombstone for a
// year; an id under which nothing was ever committed just leaves the index. It
// reports whether it did.
func (l *Ledger) Purge(ctx context.Context, id string, before time.Time) (bool, error) {
	const tombstone = 365 * 24 * time.Hour
	out, err := l.run(ctx, purgeScript, id, []string{specKey(id), tombstoneKey(id), quarantineKey(id), quarantineWorkKey(id)}, before.UnixMilli(), int(tombstone.Seconds()))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if err == nil && out[0] != "purged" {
		return false, nil
	}
	score, err := l.rdb.ZScore(ctx, openIndex, id).Result()
	if err == nil {
		// An upload may be on its way to a commit under this id.
		out, err = l.evalStrings(ctx, unindexScript, []string{openIndex}, id, strconv.FormatFloat(score, 'f', -1, 64), stagingLife.Milliseconds())
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
