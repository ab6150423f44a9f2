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

// The sweeper reads the index of open campaigns. Lists of campaigns come from the index of all campaigns. An
// index and a campaign are in different cluster slots, so no script can change both. An entry is written before
// its campaign is written, and removed after its campaign is removed. An entry without a campaign only costs a
// lookup.

// Index reads and changes the index of all campaigns, and the index of the open campaigns that
// the sweeper checks. It is safe for concurrent use.
type Index struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}

// Index returns the indexes of the campaigns in the ledger's Redis.
func (l *Ledger) Index() *Index { return &Index{rdb: l.rdb, scripts: l.scripts} }

// records returns the reader of the campaigns in the index.
func (x *Index) records() recordReader { return recordReader{x.rdb, x.scripts} }

// listOf returns the key of the index that lists a campaign. One index has the single messages, and
// another has all other campaigns.
func listOf(message bool) string {
	if message {
		return messageIndex
	}
	return campaignIndex
}

// add enters a campaign in the index of open campaigns with the current time, and in the list of its
// kind.
func (x *Index) add(ctx context.Context, id string, message bool) error {
	if _, one := x.rdb.(*redis.Client); one {
		_, err := x.addOpen(ctx, id, listOf(message))
		return err
	}
	at, err := x.addOpen(ctx, id)
	if err != nil {
		return err
	}
	if err := x.rdb.ZAddNX(ctx, listOf(message), redis.Z{Score: at, Member: id}).Err(); err != nil {
		return fmt.Errorf("index %s: %w", id, err)
	}
	return nil
}

// addOpen enters a campaign in the index of open campaigns with the current time, and returns that
// time as the score of the entry. It also enters the campaign in the given list, if there is one.
func (x *Index) addOpen(ctx context.Context, id string, lists ...string) (at float64, err error) {
	out, err := x.scripts.Run(ctx, indexScript, append([]string{openIndex}, lists...), script.Args(indexArgs{ID: id})...)
	if err == nil {
		at, err = strconv.ParseFloat(out[0], 64)
	}
	if err != nil {
		return 0, fmt.Errorf("index %s: %w", id, err)
	}
	return at, nil
}

// moveUp changes the time of a campaign's entry. The entry is in the list of single messages, or in the
// list of all other campaigns.
func (x *Index) moveUp(ctx context.Context, id string, message bool, created time.Time) error {
	if err := x.rdb.ZAdd(ctx, listOf(message), redis.Z{Score: float64(created.UnixMilli()), Member: id}).Err(); err != nil {
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

// freeAfter is how long a cancelled campaign that was planned keeps its ID. The reason: Redis may
// have lost the claim of a call in flight. Within this time such a call is answered and settled,
// because a call takes at most five minutes.
const freeAfter = 15 * time.Minute

// Free reports whether an enqueue with this ID creates a campaign. The ID is free if no campaign has
// it, or if its campaign was cancelled before any message of the campaign was submitted. The ID of a
// cancelled campaign that was planned is free only after the time freeAfter from the end of the
// campaign. The function is_free in prelude.lua makes the same test.
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

// Upload returns the token of a campaign's upload. The token is empty if the campaign does not
// exist. Campaigns that used the same ID one after the other have different tokens. The result
// "replaced" is true if another campaign had the ID before.
func (x *Index) Upload(ctx context.Context, id string) (token string, replaced bool, err error) {
	got, err := x.records().fields(ctx, id, fieldUpload, fieldBefore)
	if err != nil {
		return "", false, fmt.Errorf("read campaign %s: %w", id, err)
	}
	return script.Text(got[0]), got[1] != nil, nil
}

// IndexEntry is the entry of one campaign in the index of open campaigns. The sweeper reads this
// index. Since is the time of the entry; in Redis it is the score of the entry.
type IndexEntry struct {
	ID    string
	Since time.Time
	score float64
}

// Open returns the campaigns that the sweeper must check. These are all campaigns that have not
// ended, and some that have ended.
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

// PositionOf returns the position of a campaign or message in the lists. For an empty ID the result
// is the position before the newest campaign.
func (x *Index) PositionOf(ctx context.Context, id string) (Position, error) {
	if id == "" {
		return Position{}, nil
	}
	for _, list := range []string{campaignIndex, messageIndex} {
		at, err := x.rdb.ZScore(ctx, list, id).Result()
		if err == nil {
			return Position{At: time.UnixMilli(int64(at)), ID: id}, nil
		}
		if !errors.Is(err, redis.Nil) {
			return Position{}, fmt.Errorf("find %s in the list of campaigns: %w", id, err)
		}
	}
	return Position{}, fmt.Errorf("find %.128q in the list of campaigns: %w", id, ErrNotFound)
}

// indexStep is how many campaigns one request lists.
const indexStep = 500

// Newest yields every campaign after a position, newest first. It does not yield single messages, nor
// campaigns that are enqueued while it runs.
func (x *Index) Newest(ctx context.Context, after Position) iter.Seq2[IndexEntry, error] {
	return x.newest(ctx, campaignIndex, after)
}

// NewestMessages does for single messages what Newest does for campaigns.
func (x *Index) NewestMessages(ctx context.Context, after Position) iter.Seq2[IndexEntry, error] {
	return x.newest(ctx, messageIndex, after)
}

// NewestOfBoth yields every campaign and every single message after a position, newest first.
func (x *Index) NewestOfBoth(ctx context.Context, after Position) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		next1, stop1 := iter.Pull2(x.Newest(ctx, after))
		defer stop1()
		next2, stop2 := iter.Pull2(x.NewestMessages(ctx, after))
		defer stop2()
		a, errA, okA := next1()
		b, errB, okB := next2()
		for okA || okB {
			first := okA && (!okB || errA != nil || errB == nil && a.newer(b))
			e, err := b, errB
			if first {
				e, err = a, errA
			}
			if !yield(e, err) || err != nil {
				return
			}
			if first {
				a, errA, okA = next1()
			} else {
				b, errB, okB = next2()
			}
		}
	}
}

// The method "newer" reports whether a list shows the entry e before another entry.
func (e IndexEntry) newer(than IndexEntry) bool {
	if e.score != than.score {
		return e.score > than.score
	}
	return e.ID > than.ID
}

func (x *Index) newest(ctx context.Context, list string, after Position) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		offset := int64(0)
		for {
			top := "+inf"
			if after.ID != "" {
				top = strconv.FormatInt(after.At.UnixMilli(), 10)
			}
			zs, err := x.rdb.ZRevRangeByScoreWithScores(ctx, list, &redis.ZRangeBy{Min: "-inf", Max: top, Offset: offset, Count: indexStep}).Result()
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
					continue // Redis lists campaigns of the same millisecond by ID in descending order
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

// Totals returns the number of recipients of each campaign, in one round trip. The number is 0
// for a campaign that does not exist or is being uploaded.
func (x *Index) Totals(ctx context.Context, ids []string) ([]int, error) {
	totals, got := make([]int, len(ids)), make([]someOf, len(ids))
	for i, id := range ids {
		got[i] = someOf{id: id, names: []string{fieldTotal}}
	}
	if err := x.records().many(ctx, got, false); err != nil {
		return nil, fmt.Errorf("read the recipients of campaigns: %w", err)
	}
	for i, a := range got {
		if a.isRead() {
			totals[i] = script.Int(a.values[0])
		}
	}
	return totals, nil
}

// Before returns at most a thousand campaigns, or single messages, whose entry in their list is older
// than the given time.
func (x *Index) Before(ctx context.Context, messages bool, limit time.Time) ([]string, error) {
	ids, err := x.rdb.ZRangeByScore(ctx, listOf(messages), &redis.ZRangeBy{
		Min: "-inf", Max: "(" + strconv.FormatInt(limit.UnixMilli(), 10), Count: 1000,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list old campaigns: %w", err)
	}
	return ids, nil
}

// indexArgs are the arguments of index.lua.
type indexArgs struct{ ID string }

// Sweeping takes or renews the lock of the sweeper, and reports whether the worker has the lock.
// Only the worker that has the lock may sweep. A lock that is not renewed ends after the duration
// "life".
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
	// Another worker may have taken the lock meanwhile. Two sweepers at once do no harm, because
	// every step is one script. They check some work twice, but change it once.
	return true, x.rdb.PExpire(ctx, sweeperLock, life).Err()
}
