package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/script"
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
	d, err := script.ParseDurability(s)
	return Durability(d), err
}

// String returns the durability in the form that ParseDurability parses.
func (d Durability) String() string { return script.Durability(d).String() }

// CheckDurability checks that Redis can provide the durability d. Fsync needs Redis 7.2 or later,
// or the setting "appendfsync always"; without either, the error wraps ErrRedisUnfit. Missing
// replicas are only a warning, because workers send nothing until the replicas are connected. A
// setting that cannot be read is a warning too.
func CheckDurability(ctx context.Context, rdb redis.UniversalClient, d Durability) (warnings []string, err error) {
	return redisguard.CheckDurability(ctx, rdb, script.Durability(d))
}
