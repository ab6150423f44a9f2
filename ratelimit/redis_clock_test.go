package ratelimit

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

type miniClock struct {
	*handClock
	server *miniredis.Miniredis
}

func (c *miniClock) advance(d time.Duration) {
	c.handClock.advance(d)
	c.server.SetTime(c.now())
}

// openRedis opens accounts in a real Redis. It changes the limiter's script in one place: the
// changed script reads the time from a list that the test writes.
func openRedis(t testing.TB, rdb *redis.Client) opener {
	const real, fake = `redis.call('TIME')`, `redis.call('LRANGE', KEYS[1] .. ':clock', 0, 1)`
	source := strings.Replace(reserveSource, real, fake, 1)
	if source == reserveSource {
		t.Fatal("reserve.lua does not contain the call that reads the time, which the test replaces")
	}
	var accounts atomic.Int64
	return func(r Rate, burst int) *account {
		l := newRedis(t, rdb, fmt.Sprintf("{%d}:rate", accounts.Add(1)), r, burst)
		l.script = redis.NewScript(source)
		c := &listClock{handClock: newHandClock(), t: t, rdb: rdb, key: l.key + ":clock"}
		c.write()
		return &account{rate: r, burst: burst, bulk: l, otp: l.Transactional(), clock: c}
	}
}

type listClock struct {
	*handClock
	t   testing.TB
	rdb *redis.Client
	key string
}

func (c *listClock) advance(d time.Duration) {
	c.handClock.advance(d)
	c.write()
}

func (c *listClock) write() {
	now := c.now()
	// The newest two elements are first, and LRANGE reads only these two.
	if err := c.rdb.LPush(context.Background(), c.key, now.Nanosecond()/1000, now.Unix()).Err(); err != nil {
		c.t.Error(err)
	}
}

func newRedis(t testing.TB, rdb redis.UniversalClient, key string, r Rate, burst int) *Redis {
	t.Helper()
	l, err := NewRedis(rdb, key, r, burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
