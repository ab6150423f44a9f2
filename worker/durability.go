package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/script"
)

// Durability is how safely a change must be stored in Redis before a worker relies on the change.
// For example, a claim must be stored in this way before the worker makes its call. The zero value
// only requires an answer of Redis. If Redis then crashes, the change may be lost.
type Durability struct {
	// Fsync requires the change to be in the append-only file, on disk.
	Fsync bool
	// Replicas is how many replicas must have the change. If Replicas is above 0, Fsync is ignored.
	Replicas int
}

// ParseDurability parses "none", "fsync" or "replicas:N", with N from 1 to 16. Any other text is an
// error.
func ParseDurability(s string) (Durability, error) {
	d, err := script.ParseDurability(s)
	return Durability(d), err
}

// String returns the durability in the form that ParseDurability parses.
func (d Durability) String() string { return script.Durability(d).String() }

// CheckDurability checks that Redis can provide the durability d. Fsync needs Redis 7.2 or later,
// or the setting "appendfsync always". If both are missing, the error wraps ErrRedisUnfit. For
// missing replicas, CheckDurability only returns a warning, because workers send nothing until
// the replicas are connected. It also returns a warning if a setting cannot be read.
func CheckDurability(ctx context.Context, rdb redis.UniversalClient, d Durability) (warnings []string, err error) {
	return redisguard.CheckDurability(ctx, rdb, script.Durability(d))
}
