package redisguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// dialWatch is a hook that counts a Redis client's new connections. A command can reach another
// Redis only through a new connection.
type dialWatch struct{ dials *atomic.Int64 }

// DialHook implements redis.Hook. It counts connections.
func (h dialWatch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		h.dials.Add(1)
		return conn, err
	}
}

// ProcessHook implements redis.Hook.
func (h dialWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h dialWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// watchDials adds the hook to each client that makes connections. In a cluster those are the
// clients of the nodes, which do not run the hooks of the cluster client.
func watchDials(ctx context.Context, rdb redis.UniversalClient, h dialWatch) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		rdb.AddHook(h)
		return nil
	}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
	return cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		node.AddHook(h) // a new node may get the hook twice; its connections then count twice, which is harmless
		return nil
	})
}

// runID returns the run_id of a Redis. For a cluster, it returns the run_ids of all masters,
// sorted. It returns "" if Redis does not allow INFO.
func runID(ctx context.Context, rdb redis.UniversalClient) (string, error) {
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		var ids []string
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			id, err := runID(ctx, master)
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, id)
			return err
		})
		slices.Sort(ids)
		return strings.Join(ids, " "), err
	}
	info, err := rdb.InfoMap(ctx, "server").Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return "", nil // the user may not run INFO
	}
	if err != nil {
		return "", fmt.Errorf("read run_id of redis: %w", err)
	}
	return info["Server"]["run_id"], nil
}
