package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// Durability is how safe a change in Redis must be before a worker acts on it. For example, a claim
// must be that safe before the worker makes its call. The zero value only requires that Redis has
// answered; a Redis that then crashes may forget the change.
type Durability struct {
	// Fsync requires the change to be in the append-only file, on disk.
	Fsync bool
	// Replicas is how many replicas must have the change. If it is above 0, Fsync is ignored.
	Replicas int
}

// ParseDurability parses "none", "fsync" or "replicas:N", with N from 1 to 16. Any other text is an
// error.
func ParseDurability(s string) (Durability, error) {
	d, err := ledger.ParseDurability(s)
	return Durability(d), err
}

// String returns the durability in the form that ParseDurability parses.
func (d Durability) String() string { return ledger.Durability(d).String() }

// CheckDurability checks that Redis can provide the durability d. Fsync needs Redis 7.2 or later,
// or the setting "appendfsync always"; without either, the error wraps ErrRedisUnfit. Missing
// replicas are only a warning, because workers send nothing until the replicas are connected. A
// setting that cannot be read is a warning too.
func CheckDurability(ctx context.Context, rdb redis.UniversalClient, d Durability) (warnings []string, err error) {
	switch {
	case d.Replicas > 0:
		info, err := rdb.InfoMap(ctx, "replication").Result()
		if err != nil {
			return []string{"cannot read how many replicas this redis has; redis.durability " + d.String() + " needs them"}, nil //nolint:nilerr // INFO is forbidden
		}
		if n, err := strconv.Atoi(info["Replication"]["connected_slaves"]); err == nil && n < d.Replicas {
			warnings = append(warnings, fmt.Sprintf("redis has %d replicas: nothing is sent until it has as many as redis.durability %s needs", n, d))
		}
	case d.Fsync:
		if err := rdb.Do(ctx, "WAITAOF", 1, 0, 1).Err(); err == nil || !strings.Contains(err.Error(), "unknown command") {
			return nil, err
		}
		got, err := rdb.ConfigGet(ctx, "appendfsync").Result()
		if err != nil {
			return []string{"cannot read appendfsync of this redis: before Redis 7.2, redis.durability fsync needs appendfsync always"}, nil //nolint:nilerr // CONFIG is forbidden
		}
		if policy := got["appendfsync"]; policy != "always" {
			return nil, fmt.Errorf("%w: redis.durability fsync needs Redis 7.2 or appendfsync always, and this one has appendfsync %s", ErrRedisUnfit, policy)
		}
	}
	return warnings, nil
}
