package redisguard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Gauges has facts about Redis that change while Redis runs. In a cluster, each number is the sum over
// all masters.
type Gauges struct {
	Known      bool    // false if Redis answers, but does not allow Tuma's user to run INFO
	Used, Max  float64 // bytes of memory; a Max of 0 means no limit
	NoEviction bool    // no master evicts keys
	Replicas   int     // replicas that are connected
}

// ReadGauges reads the gauges with INFO.
func ReadGauges(ctx context.Context, rdb redis.UniversalClient) (Gauges, error) {
	out := Gauges{NoEviction: true}
	var mu sync.Mutex
	add := func(ctx context.Context, one *redis.Client) error {
		var memory, replication *redis.InfoCmd
		_, err := one.Pipelined(ctx, func(p redis.Pipeliner) error {
			memory, replication = p.InfoMap(ctx, "memory"), p.InfoMap(ctx, "replication")
			return nil
		})
		if _, answered := errors.AsType[redis.Error](err); answered {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read memory and replicas of redis: %w", err)
		}
		m, r := memory.Val()["Memory"], replication.Val()["Replication"]
		used, _ := strconv.ParseFloat(m["used_memory"], 64)
		most, _ := strconv.ParseFloat(m["maxmemory"], 64)
		replicas, _ := strconv.Atoi(r["connected_slaves"])
		mu.Lock()
		defer mu.Unlock()
		out.Known, out.Used, out.Max, out.Replicas = true, out.Used+used, out.Max+most, out.Replicas+replicas
		out.NoEviction = out.NoEviction && m["maxmemory_policy"] == "noeviction"
		return nil
	}
	var err error
	switch c := rdb.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, add)
	case *redis.Client:
		err = add(ctx, c)
	default:
		err = fmt.Errorf("read memory and replicas of redis: want a client of one redis server or of a cluster, got a %T", rdb)
	}
	return out, err
}
