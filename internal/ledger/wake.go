package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// PlanWork is the name of planning in the open set, beside the names of batches.
const PlanWork = "plan"

func parseWake(s string) (Wake, error) {
	b, n, ok := strings.Cut(s, ":")
	num, err := strconv.Atoi(n)
	if !ok || err != nil {
		return Wake{}, fmt.Errorf("parse wake %.30q: %w", s, campaign.ErrRecord)
	}
	return Wake{Batch: b, Number: num}, nil
}

// DueBatches returns the open work of a campaign (batches, or PlanWork) that the sweeper should
// check by the time "now". Each entry has the number of its last wake. DueBatches returns at
// most 500 entries.
func (l *Ledger) DueBatches(ctx context.Context, id string, now time.Time) ([]Wake, error) {
	names, err := l.rdb.ZRangeByScore(ctx, openKey(id), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: 500,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("read due work of campaign %s: %w", id, err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	fields := make([]string, len(names))
	for i, n := range names {
		fields[i] = wakeField(n)
	}
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("read due work of campaign %s: %w", id, err)
	}
	out := make([]Wake, len(names))
	for i, n := range names {
		out[i] = Wake{Batch: n, Number: script.Int(got[i])}
	}
	return out, nil
}

// BatchesAhead counts the open batches of a campaign in the same stream that were handed out before
// this batch. It does not count batches whose watch is later than the deadline. n is at most the
// parameter "limit", because a retry may have opened very many batches.
func (l *Ledger) BatchesAhead(ctx context.Context, id, batch string, deadline time.Time, limit int) (n int, err error) {
	const step = 256
	stream, _, _ := strings.Cut(batch, ".")
	by := &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(deadline.UnixMilli(), 10), Count: step}
	for {
		names, err := l.rdb.ZRangeByScore(ctx, openKey(id), by).Result()
		if err != nil {
			return 0, fmt.Errorf("count open batches of %s: %w", id, err)
		}
		for _, name := range names {
			// The numbers have no leading zeros, so the longer number is the larger one, and the
			// lengths are compared first.
			if b, _, _ := strings.Cut(name, "."); b == stream && (len(name) < len(batch) || len(name) == len(batch) && name < batch) {
				n++
			}
		}
		if by.Offset += step; len(names) < step || n >= limit {
			return min(n, limit), nil
		}
	}
}

// NextDue returns the earliest time at which the sweeper checks an open batch of a campaign. It
// returns the zero time if no batch is open.
func (l *Ledger) NextDue(ctx context.Context, id string) (time.Time, error) {
	first, err := l.rdb.ZRangeWithScores(ctx, openKey(id), 0, 0).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read when the next open batch of %s is due: %w", id, err)
	}
	if len(first) == 0 {
		return time.Time{}, nil
	}
	return time.UnixMilli(int64(first[0].Score)), nil
}

// RaiseWake gives a batch, or the plan, a new wake number, because the task of the wake "lost" did
// not reach a worker. ok is false if the batch is closed. watch is how long the sweeper waits
// before it checks the batch again.
func (l *Ledger) RaiseWake(ctx context.Context, id string, lost Wake, watch time.Duration) (w Wake, ok bool, err error) {
	out, err := l.run(ctx, wakeScript, id, nil, script.Args(wakeArgs{Batch: lost.Batch, Lost: lost.Number, Watch: watch})...)
	if errors.Is(err, ErrNotFound) {
		return Wake{}, false, nil
	}
	if err != nil {
		return Wake{}, false, err
	}
	if out[0] != "woken" || len(out) < 2 {
		return Wake{}, false, nil
	}
	n, err := strconv.Atoi(out[1])
	if err != nil {
		return Wake{}, false, script.ErrAnswer
	}
	return Wake{Batch: lost.Batch, Number: n}, true, nil
}

// wakeArgs are the arguments of wake.lua.
type wakeArgs struct {
	Batch string
	Lost  int
	Watch time.Duration
}

// Now returns the time by Redis' clock, which every due time and lease uses.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) { return l.scripts.Now(ctx) }
