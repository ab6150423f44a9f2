package redisguard

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// Memory records whether Redis has memory for another claim. Its methods are safe for concurrent
// use.
type Memory struct {
	// Redis is the Redis whose memory is read. Log receives a line when the result of Full changes.
	Redis redis.UniversalClient
	Log   zerolog.Logger

	over atomic.Bool
}

// claimShare is a share of maxmemory, from 0 to 1. If Redis uses more, a worker claims nothing. The
// memory above this share is reserved for settles, because the outcome of each call must be stored.
const claimShare = 0.95

// Full returns true if the memory of Redis was too full for another claim at the last Read.
func (m *Memory) Full() bool { return m.over.Load() }

// Read reads from INFO how much of its memory Redis uses. If INFO cannot be read, the result of
// Full does not change.
func (m *Memory) Read(ctx context.Context) {
	info, err := m.Redis.InfoMap(ctx, "memory").Result()
	if err != nil {
		return
	}
	used, err1 := strconv.ParseFloat(info["Memory"]["used_memory"], 64)
	most, err2 := strconv.ParseFloat(info["Memory"]["maxmemory"], 64)
	full := err1 == nil && err2 == nil && most > 0 && used > claimShare*most
	if full != m.over.Swap(full) {
		m.Log.Warn().Bool("full", full).Float64("used_bytes", used).Float64("max_bytes", most).Msg("redis memory: no calls are claimed while the value of \"full\" in this line is true; raise maxmemory of redis")
	}
}
