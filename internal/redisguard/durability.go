package redisguard

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// CheckDurability checks that Redis can provide the durability d. Fsync needs Redis 7.2 or later,
// or the setting "appendfsync always". Otherwise the error wraps ErrUnfit. If replicas are
// missing, CheckDurability returns a warning, because workers send nothing until the replicas are
// connected. If a setting cannot be read, it also returns a warning.
func CheckDurability(ctx context.Context, rdb redis.UniversalClient, d script.Durability) (warnings []string, err error) {
	switch {
	case d.Replicas > 0:
		info, err := rdb.InfoMap(ctx, "replication").Result()
		if err != nil {
			return []string{"redis.durability " + d.String() + " needs replicas, but the number of replicas cannot be read: allow INFO"}, nil //nolint:nilerr // INFO is forbidden
		}
		if n, err := strconv.Atoi(info["Replication"]["connected_slaves"]); err == nil && n < d.Replicas {
			warnings = append(warnings, fmt.Sprintf("redis has %d replicas: nothing is sent until redis has as many replicas as redis.durability %s needs", n, d))
		}
	case d.Fsync:
		if err := rdb.Do(ctx, "WAITAOF", 1, 0, 1).Err(); err == nil || !strings.Contains(err.Error(), "unknown command") {
			return nil, err
		}
		got, err := rdb.ConfigGet(ctx, "appendfsync").Result()
		if err != nil {
			return []string{"cannot read the setting appendfsync of this redis: before Redis 7.2, redis.durability \"fsync\" needs \"appendfsync always\""}, nil //nolint:nilerr // CONFIG is forbidden
		}
		if policy := got["appendfsync"]; policy != "always" {
			return nil, fmt.Errorf("%w: redis.durability fsync needs Redis 7.2 or appendfsync always, and this Redis has appendfsync %s", ErrUnfit, policy)
		}
	}
	return warnings, nil
}
