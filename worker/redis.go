package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/redisguard"
)

// ErrRedisUnfit means that a Redis may lose data, cannot be written to, or is too old for Tuma's
// scripts.
var ErrRedisUnfit = errRedisUnfit

var errRedisUnfit = redisguard.ErrUnfit

// ErrRedisRefusesWrites means that Redis answers, but refuses a write that a worker needs.
var ErrRedisRefusesWrites = errRedisRefusesWrites

var errRedisRefusesWrites = redisguard.ErrRefusesWrites

// CheckRedis reads INFO, and checks that Redis keeps its data: version 7.0 or later,
// "maxmemory-policy noeviction", "appendonly yes", and the role of a master. One error lists all
// faults; it wraps ErrRedisUnfit. If unsafe is true, CheckRedis returns these faults as warnings
// instead. A setting that cannot be read is a warning.
//
// CheckRedis also makes the checks of CheckWritable. An error of these checks stays an error
// even if unsafe is true. CheckRedis writes to Redis only if all other checks returned no error.
// If the connection fails, the returned error wraps the connection error.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient, unsafe bool) (warnings []string, err error) {
	return redisguard.Check(ctx, rdb, unsafe)
}

// CheckWritable returns an error that wraps ErrRedisUnfit if a Redis cannot be written to: a
// read-only replica, a cluster that does not serve all hash slots, or a cluster node used without a
// cluster client. Otherwise it tries to write the keys tuma:probe and asynq:probe. They expire
// after ten seconds, and Tuma never reads them. If Redis refuses one of these writes, for example
// because it lacks memory, disk space or replicas, the error wraps ErrRedisRefusesWrites. If the
// user of Redis lacks a right, the error also wraps ErrRedisUnfit. If the connection fails, the
// returned error wraps the connection error.
func CheckWritable(ctx context.Context, rdb redis.UniversalClient) error {
	return redisguard.CheckWritable(ctx, rdb)
}
