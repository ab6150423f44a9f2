package redisguard

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestWatchDials_CountsConnectionsToClusterNodes(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
		return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: addr}}}}, nil
	}})
	single := redis.NewClient(&redis.Options{Addr: addr})
	for name, rdb := range map[string]redis.UniversalClient{"cluster": cluster, "single": single} {
		t.Cleanup(func() { _ = rdb.Close() })
		var dials atomic.Int64
		if err := watchDials(t.Context(), rdb, dialWatch{&dials}); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Set(t.Context(), "a", "b", 0).Err(); err != nil || dials.Load() == 0 {
			t.Errorf("%s: counted %d connections, %v", name, dials.Load(), err)
		}
	}
}
