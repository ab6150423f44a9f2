package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// pollKey is the lock of the process that reads the account's inbox at the gateway.
func pollKey(account string) string { return keyPrefix + ":poll:" + account }

// Turn reports whether the caller may read the account's inbox at the gateway now. In each
// interval, only one of all processes gets a turn.
func (b *Inbox) Turn(ctx context.Context, account string, interval time.Duration) (bool, error) {
	err := b.rdb.SetArgs(ctx, pollKey(account), "1", redis.SetArgs{Mode: "NX", TTL: interval}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reserve the next read of the inbox of account %s: %w", account, err)
	}
	return true, nil
}

// LastID returns the gateway's ID of the last message that was read from the account's inbox at the
// gateway, or "".
func (b *Inbox) LastID(ctx context.Context, account string) (string, error) {
	id, err := b.rdb.HGet(ctx, metaKey, "last:"+account).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read the ID of the last message from the inbox of account %s: %w", account, err)
	}
	return id, nil
}

// SetLastID stores what LastID returns.
func (b *Inbox) SetLastID(ctx context.Context, account, id string) error {
	if err := b.rdb.HSet(ctx, metaKey, "last:"+account, id).Err(); err != nil {
		return fmt.Errorf("store the ID of the last message from the inbox of account %s: %w", account, err)
	}
	return nil
}
