package redistest

import (
	"testing"

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
	c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}
