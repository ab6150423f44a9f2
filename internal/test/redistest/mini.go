package redistest

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Mini returns a client of a new miniredis, over a TCP connection. The client and the server
// end with the test. miniredis starts fast and needs no redis-server. But its keys never
// expire, and it stores no data on disk. Its Lua lacks struct, bit and cmsgpack, and rejects a
// "#!lua" line. It lacks CONFIG and most of INFO. Use Start for tests that depend on one of
// these functions.
func Mini(t testing.TB) *redis.Client {
	t.Helper()
	return mini(t, miniredis.RunT(t))
}

// MiniAt is like Mini, but the clock of its server is stopped at the time "now". It is for tests of code that must
// use the clock of Redis and not the clock of the machine.
func MiniAt(t testing.TB, now time.Time) *redis.Client {
	t.Helper()
	server := miniredis.RunT(t)
	server.SetTime(now)
	return mini(t, server)
}

func mini(t testing.TB, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}
