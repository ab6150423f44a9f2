package redistest

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Mini returns a client of a fresh miniredis behind a real TCP connection. It
// ends with the test. It is quick and always there, and it is not Redis: its
// TTLs stand still, its Lua has no struct, bit or cmsgpack and knows no
// "#!lua" line, it has no CONFIG and most of INFO is missing, and it keeps
// nothing on disk. Use Start for whatever depends on those.
func Mini(t testing.TB) *redis.Client {
	t.Helper()
	return mini(t, miniredis.RunT(t))
}

// MiniAt is Mini with a clock that stands still at now, for what must go by Redis' clock
// and not by ours.
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
