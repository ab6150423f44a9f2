package producer

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// fullShare is the share of Redis' maxmemory above which Enqueue and OptOut are refused. The
// rest is kept for the campaigns that are being sent.
const fullShare = 0.8

// memoryFor is how long a memoryReading is used before the memory of Redis is read again.
const memoryFor = 2 * time.Second

// roomInRedis returns an ErrFull if Redis uses more than fullShare of its maxmemory.
func (c *Client) roomInRedis(ctx context.Context) error {
	now := c.now()
	m := c.memory.Load()
	if m == nil || now.Sub(m.at) > memoryFor || now.Before(m.at) {
		info, err := c.rdb.InfoMap(ctx, "memory").Result()
		if err != nil {
			// A hosted Redis may forbid INFO. If such a Redis is full, the write itself fails.
			return nil //nolint:nilerr // see above
		}
		m = &memoryReading{at: now}
		m.used, _ = strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
		m.limit, _ = strconv.ParseInt(info["Memory"]["maxmemory"], 10, 64)
		c.memory.Store(m)
	}
	if m.limit > 0 && float64(m.used) > fullShare*float64(m.limit) {
		return fmt.Errorf("enqueue: %w: %d of %d bytes are used; let campaigns finish, shorten retention or raise maxmemory",
			ErrFull, m.used, m.limit)
	}
	return nil
}
