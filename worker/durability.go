package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// Durability says what must hold a change in Redis before anybody acts on it: its
// append-only file on disk (Fsync), or so many replicas (Replicas). The zero value is
// no more than Redis' answer.
type Durability struct {
	// Fsync waits until the change is in the append-only file, on disk.
	Fsync bool
	// Replicas is how many replicas must have the change; 0: none.
	Replicas int
}

// ParseDurability parses "none", "fsync" or "replicas:N", with N from 1 to 16. It returns an
// error for any other text.
func ParseDurability(s string) (Durability, error) {
	d, err := ledger.ParseDurability(s)
	return Durability(d), err
}

// String returns the durability as ParseDurability reads it.
func (d Durability) String() string { return ledger.Durability(d).String() }

// CheckDurability reads whether a Redis can give a durability: fsync needs Redis 7.2,
// which can be asked, or appendfsync always. That a replica is missing just now is a
// warning; nothing is sent until it is back.
func CheckDurability(ctx context.Context, rdb redis.UniversalClient, d Durability) (warnings []string, err error) {
	switch {
	case d.Replicas > 0:
		info, err := rdb.InfoMap(ctx, "replication").Result()
		if err != nil {
			return []string{"cannot tell how many replicas this redis has, redis.durability " + d.String() + " needs them"}, nil //nolint:nilerr // INFO is forbidden
		}
		if n, err := strconv.Atoi(info["Replication"]["connected_slaves"]); err == nil && n < d.Replicas {
			warnings = append(warnings, fmt.Sprintf("redis has %d replicas: nothing is sent until it has those that redis.durability %s needs", n, d))
		}
	case d.Fsync:
		if err := rdb.Do(ctx, "WAITAOF", 1, 0, 1).Err(); err == nil || !strings.Contains(err.Error(), "unknown command") {
			return nil, err
		}
		got, err := rdb.ConfigGet(ctx, "appendfsync").Result()
		if err != nil {
			return []string{"cannot tell appendfsync of this redis: redis.durability fsync needs always before Redis 7.2"}, nil //nolint:nilerr // CONFIG is forbidden
		}
		if policy := got["appendfsync"]; policy != "always" {
			return nil, fmt.Errorf("%w: redis.durability fsync needs Redis 7.2 or appendfsync always, and this one has appendfsync %s", ErrRedisUnfit, policy)
		}
	}
	return warnings, nil
}
