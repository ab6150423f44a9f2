package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Announce enters an event in the list of logged events, and reports whether the event is new. If
// several workers enter the same event, it is new for one worker only, and this worker logs the
// event. The parameter "at" is the current time by Redis' clock. Redis keeps the entry for at least the duration "keep".
func (x *Index) Announce(ctx context.Context, event string, at time.Time, keep time.Duration) (first bool, err error) {
	var added *redis.IntCmd
	_, err = x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		added = p.ZAddNX(ctx, announcedKey, redis.Z{Score: float64(at.Add(keep).UnixMilli()), Member: event})
		p.ZRemRangeByScore(ctx, announcedKey, "-inf", "("+strconv.FormatInt(at.UnixMilli(), 10))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("announce %s: %w", event, err)
	}
	return added.Val() == 1, nil
}

// WasAnnounced reports whether Announce has entered the event in the list.
func (x *Index) WasAnnounced(ctx context.Context, event string) (bool, error) {
	err := x.rdb.ZScore(ctx, announcedKey, event).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("look up announced event %s: %w", event, err)
	}
	return err == nil, nil
}

// Announced returns the events in the list. Announce enters events there, and removes events that
// have been kept long enough.
func (x *Index) Announced(ctx context.Context) ([]string, error) {
	events, err := x.rdb.ZRange(ctx, announcedKey, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list announced events: %w", err)
	}
	return events, nil
}
