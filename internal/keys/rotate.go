package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

var rotateScript = script.Binding(script.New("rotate", source("rotate")))

// rotateArgs are the arguments of rotate.lua.
type rotateArgs struct{ ID, Read, UntilThen, NewID, NewRecord string }

// ErrNoKey means that no valid key has the given ID.
var ErrNoKey = errors.New("no such key")

// MaxOverlap is the longest time for which a rotated key stays valid.
const MaxOverlap = 30 * 24 * time.Hour

// Rotate makes a new key with the properties of the old key. The parameter "id" is the ID of the old key. The
// old key expires after the parameter "overlap", or at once if overlap is 0. If the old key would expire
// earlier, its expiry does not change. Both keys count against the same limits. The secret of the new key
// cannot be read again.
//
// Rotate returns ErrNoKey if the old key was revoked or rotated, or has expired. If two calls rotate one key
// at the same time, the second call either gets ErrNoKey, or rotates the record that the first call has
// written.
func (s *Store) Rotate(ctx context.Context, id string, overlap time.Duration) (secret string, made Key, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return "", made, fmt.Errorf("rotate key: the overlap must be between 0 and %d days", MaxOverlap/(24*time.Hour))
	}
	record, err := s.rdb.HGet(ctx, listKey, id).Result()
	if errors.Is(err, redis.Nil) {
		return "", made, fmt.Errorf("rotate key %.40s: %w", id, ErrNoKey)
	}
	if err != nil {
		return "", made, fmt.Errorf("rotate key %.40s: %w", id, err)
	}
	var old stored
	if err := json.Unmarshal([]byte(record), &old); err != nil {
		return "", made, fmt.Errorf("rotate key %s: the record cannot be read: %w", id, err)
	}
	now := s.now()
	if !old.ExpiresAt.IsZero() && !now.Before(old.ExpiresAt) {
		return "", made, fmt.Errorf("rotate key %s: %w", id, ErrNoKey)
	}
	next := old.Key
	next.CountedAs = old.countedAs()
	secret, made, newRecord, err := s.make(next)
	if err != nil {
		return "", made, fmt.Errorf("rotate key %s: %w", id, err)
	}
	args := rotateArgs{ID: id, Read: record, NewID: made.ID, NewRecord: string(newRecord)}
	if overlap > 0 {
		end := now.Add(overlap).UTC().Truncate(time.Second)
		if old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
			old.ExpiresAt = end
		}
		rest, err := json.Marshal(old)
		if err != nil {
			return "", made, fmt.Errorf("rotate key %s: %w", id, err)
		}
		args.UntilThen = string(rest)
	}
	out, err := s.scripts.Run(ctx, rotateScript, []string{listKey}, script.Args(args)...)
	if err != nil {
		return "", made, fmt.Errorf("rotate key %s: %w", id, err)
	}
	if out[0] != "ok" {
		return "", made, fmt.Errorf("rotate key %s: %w", id, ErrNoKey)
	}
	return secret, made, nil
}
