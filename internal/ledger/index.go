package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The sweeper reads the index of open campaigns; lists show the index of all campaigns. Neither is
// in the same cluster slot as a campaign. So an entry is written before its campaign is written,
// and removed after its campaign is removed. An entry without a campaign only costs a lookup.

// Index is the list of all campaigns, and of those that the sweeper checks. It is safe for
// concurrent use.
type Index struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}

// Index returns the indexes of the campaigns in the ledger's Redis.
func (l *Ledger) Index() *Index { return &Index{rdb: l.rdb, scripts: l.scripts} }

// add enters a campaign in the index of open campaigns and in the index of all campaigns, with the
// current time.
func (x *Index) add(ctx context.Context, id string) error {
	out, err := x.scripts.Run(ctx, indexScript, []string{openIndex}, script.Args(indexArgs{ID: id})...)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	at, err := strconv.ParseFloat(out[0], 64)
	if err != nil {
		return fmt.Errorf("index %s: %w", id, script.ErrAnswer)
	}
	if err := x.rdb.ZAddNX(ctx, campaignIndex, redis.Z{Score: at, Member: id}).Err(); err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	return nil
}

// moveUp enters a campaign in the list of all campaigns with a new time.
func (x *Index) moveUp(ctx context.Context, id string, created time.Time) error {
	if err := x.rdb.ZAdd(ctx, campaignIndex, redis.Z{Score: float64(created.UnixMilli()), Member: id}).Err(); err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	return nil
}

// Exists reports whether a campaign with this ID exists, or existed and still has its tombstone.
func (x *Index) Exists(ctx context.Context, id string) (bool, error) {
	n, err := x.rdb.Exists(ctx, specKey(id), tombstoneKey(id)).Result()
	if err != nil {
		return false, fmt.Errorf("check whether campaign %s exists: %w", id, err)
	}
	return n > 0, nil
}

// freeAfter is how long a cancelled campaign that was planned keeps its ID. Redis may have lost the
// claim of a call in flight. Within that time such a call is answered and settled, because no call
// takes longer than five minutes.
const freeAfter = 15 * time.Minute

// Free reports whether an enqueue with this ID creates a campaign. That is so if there is no
// campaign with the ID, or if that campaign was cancelled before anything of it was submitted. If
// it was planned, freeAfter must also have passed since it ended. prelude.lua has the same test
// (is_free).
func (x *Index) Free(ctx context.Context, id string) (bool, error) {
	there, err := x.Exists(ctx, id)
	if err != nil || !there {
		return err == nil, err
	}
	got, err := x.rdb.HMGet(ctx, ledgerKey(id), fieldStop, fieldFinished, fieldCalls, fieldQuarantined, fieldQuarantinedWork, fieldSkipped, fieldTotal, fieldSnapshot).Result()
	if err != nil {
		return false, fmt.Errorf("check whether campaign %s exists: %w", id, err)
	}
	if got[7] != nil {
		now, err := x.scripts.Now(ctx)
		if err != nil || now.Sub(script.Milli(script.Text(got[1]))) <= freeAfter {
			return false, err
		}
	}
	return script.Text(got[0]) == campaign.ReasonCancelled && got[1] != nil && got[2] == nil && got[3] == nil && got[4] == nil && got[5] == got[6], nil
}

// Upload returns the token of a campaign's upload; empty if there is no such campaign. Two
// campaigns that had one ID in turn have different tokens. replaced reports whether another
// campaign had the ID before.
func (x *Index) Upload(ctx context.Context, id string) (token string, replaced bool, err error) {
	got, err := x.rdb.HMGet(ctx, ledgerKey(id), fieldUpload, fieldBefore).Result()
	if err != nil {
		return "", false, fmt.Errorf("read campaign %s: %w", id, err)
	}
	return script.Text(got[0]), got[1] != nil, nil
}

// IndexEntry is the entry of one campaign in the index of open campaigns, which the sweeper reads.
// Since is the time of the entry, which is its score in Redis.
type IndexEntry struct {
	ID    string
	Since time.Time
	score float64
}

// Open returns the campaigns that the sweeper must check: all that have not ended, and
// some that have.
func (x *Index) Open(ctx context.Context) ([]IndexEntry, error) {
	zs, err := x.rdb.ZRangeWithScores(ctx, openIndex, 0, -1).Result()
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

// Campaigns yields the id of every campaign, newest first.
func (x *Index) Campaigns(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range x.Newest(ctx, Position{}) {
			if !yield(e.ID, err) {
				return
			}
		}
	}
}

// Position is a place in the list of all campaigns. The zero value is before the newest campaign.
type Position struct {
	At time.Time // when the upload of the campaign at this place began, to the millisecond
	ID string    // the ID of that campaign
}

// indexStep is how many campaigns one request lists.
const indexStep = 500

// Newest yields every campaign after a position, newest first. Campaigns that are enqueued
// meanwhile are not yielded.
func (x *Index) Newest(ctx context.Context, after Position) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		offset := int64(0)
		for {
			top := "+inf"
			if after.ID != "" {
				top = strconv.FormatInt(after.At.UnixMilli(), 10)
			}
			zs, err := x.rdb.ZRevRangeByScoreWithScores(ctx, campaignIndex, &redis.ZRangeBy{Min: "-inf", Max: top, Offset: offset, Count: indexStep}).Result()
			if err != nil {
				yield(IndexEntry{}, fmt.Errorf("list campaigns: %w", err))
				return
			}
			offset += int64(len(zs))
			last := after
			for _, z := range zs {
				id, _ := z.Member.(string)
				at := time.UnixMilli(int64(z.Score))
				if after.ID != "" && at.UnixMilli() == after.At.UnixMilli() && id >= after.ID {
					continue // Redis lists campaigns of the same millisecond by ID, the last first
				}
				last, offset = Position{At: at, ID: id}, 0
				if !yield(IndexEntry{ID: id, Since: at, score: z.Score}, nil) {
					return
				}
			}
			after = last
			if len(zs) < indexStep {
				return
			}
		}
	}
}

// Totals returns the number of recipients of each campaign, in one round trip. It is 0 for a
// campaign that does not exist or is being uploaded.
func (x *Index) Totals(ctx context.Context, ids []string) ([]int, error) {
	totals := make([]int, len(ids))
	answers := make([]*redis.SliceCmd, len(ids))
	_, err := x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			answers[i] = p.HMGet(ctx, ledgerKey(id), fieldTotal)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the recipients of campaigns: %w", err)
	}
	for i, a := range answers {
		totals[i] = script.Int(a.Val()[0])
	}
	return totals, nil
}

// Before returns at most a thousand campaigns whose index entry is older than the given time.
func (x *Index) Before(ctx context.Context, limit time.Time) ([]string, error) {
	ids, err := x.rdb.ZRangeByScore(ctx, campaignIndex, &redis.ZRangeBy{
		Min: "-inf", Max: "(" + strconv.FormatInt(limit.UnixMilli(), 10), Count: 1000,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list old campaigns: %w", err)
	}
	return ids, nil
}

// indexArgs are the arguments of index.lua.
type indexArgs struct{ ID string }

// Sweeping takes or keeps the lock that lets one worker of the cluster sweep. It reports whether
// the worker has the lock. Without a renewal the lock ends after life.
func (x *Index) Sweeping(ctx context.Context, worker string, life time.Duration) (bool, error) {
	err := x.rdb.SetArgs(ctx, sweeperLock, worker, redis.SetArgs{Mode: "NX", TTL: life}).Err()
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("take sweeper lock: %w", err)
	}
	holder, err := x.rdb.Get(ctx, sweeperLock).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("take sweeper lock: %w", err)
	}
	if holder != worker {
		return false, nil
	}
	// Another worker may have taken the lock by now. Two sweepers at once do no harm: every step is
	// one script, so they check some work twice and change it once.
	return true, x.rdb.PExpire(ctx, sweeperLock, life).Err()
}
