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

// dialWatch is a hook that counts the new connections of a Redis client. Only through a new
// connection can a command reach another Redis.
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

// watchDials adds the hook to each client that makes connections. In a cluster these are the
// clients of the nodes. They do not run the hooks of the cluster client.
func watchDials(ctx context.Context, rdb redis.UniversalClient, h dialWatch) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		rdb.AddHook(h)
		return nil
	}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
	return cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		node.AddHook(h) // a new node may get the hook twice; its connections are then counted twice, which is harmless
		return nil
	})
}

// runID returns the run_id of a Redis. For a cluster, it returns the run_ids of all masters,
// sorted. It returns "" if the user of Redis must not run INFO.
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
