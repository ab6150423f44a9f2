package worker_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// oldVersion is a go-redis hook that changes the version in the server's INFO.
type oldVersion string

func (oldVersion) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (oldVersion) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a oldVersion) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if info, ok := cmd.(*redis.InfoCmd); ok && info.Val()["Server"] != nil {
			info.Val()["Server"]["redis_version"] = string(a)
		}
		return err
	}
}

// fitConfig is the configuration of a redis-server that CheckRedis accepts.
var fitConfig = []string{"appendonly", "yes", "maxmemory-policy", "noeviction"}

func withConfig(nameValue ...string) redistest.Option {
	return redistest.WithConfig(append(fitConfig[:len(fitConfig):len(fitConfig)], nameValue...)...)
}

func TestCheckRedis_UnfitRedisIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		redis func(*testing.T) *redis.Client
		says  string // part of the error's text, or "" if CheckRedis must return no error
		never bool   // The field "never" is true if CheckRedis must return an error even if unsafe is true.
	}{
		"a good one": {func(t *testing.T) *redis.Client { return redistest.Start(t, withConfig()).Client() }, "", false},
		"one that evicts": {func(t *testing.T) *redis.Client {
			return redistest.Start(t, withConfig("maxmemory-policy", "allkeys-lru")).Client()
		}, "maxmemory-policy is allkeys-lru", false},
		"one without an append-only file": {func(t *testing.T) *redis.Client {
			return redistest.Start(t, withConfig("appendonly", "no")).Client()
		}, "no append-only file", false},
		"an old one": {func(t *testing.T) *redis.Client {
			c := redistest.Start(t, withConfig()).Client()
			c.AddHook(oldVersion("6.2.14"))
			return c
		}, "the version of this redis is 6.2.14, but 7.0 or later is needed", false},
		"a read-only replica": {func(t *testing.T) *redis.Client { return newReplicaClient(t, "yes") }, "read-only replica: connect to its master, 127.0.0.1:", true},
		"a replica that is written to": {func(t *testing.T) *redis.Client { return newReplicaClient(t, "no") },
			"this redis is a slave, not a master", false},
		"a cluster without slots": {func(t *testing.T) *redis.Client {
			return redistest.Start(t, withConfig("cluster-enabled", "yes")).Client()
		}, "the cluster serves 0 of 16384 hash slots, state fail", true},
		"a cluster without one slot": {func(t *testing.T) *redis.Client { return clusterOfOne(t, 16382) }, "serves 16383 of 16384 hash slots", true},
		"a cluster of one":           {func(t *testing.T) *redis.Client { return clusterOfOne(t, 16383) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := x.redis(t)
			_, err := worker.CheckRedis(t.Context(), rdb, false)
			if (err == nil) != (x.says == "") || err != nil && (!errors.Is(err, worker.ErrRedisUnfit) || !strings.Contains(err.Error(), x.says) ||
				strings.Contains(err.Error(), "\n")) {
				t.Errorf("CheckRedis: got %v, want an error of one line with %q (none if that is empty)", err, x.says)
			}
			warnings, err := worker.CheckRedis(t.Context(), rdb, true)
			if (err != nil) != x.never || !x.never && x.says != "" && !strings.Contains(strings.Join(warnings, " "), x.says) {
				t.Errorf("with unsafe: got error %v, warnings %q, want an error only if the fault cannot be accepted, otherwise a warning", err, warnings)
			}
			if x.says == "" {
				return
			}
			stub, keys := newStubGateway(providers.Info{}), rdb.DBSize(t.Context()).Val()
			w, err := worker.New(worker.Config{Redis: rdb, Accounts: []worker.Account{{Name: "a", Provider: stub}}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := w.Run(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("Run returned %v, want an error with %q", err, x.says)
			}
			if n := rdb.DBSize(t.Context()).Val(); n != keys {
				t.Errorf("a worker that refused to start wrote %d keys, want 0", n-keys)
			}
		})
	}
}

// newReplicaClient starts a master and a replica, and returns a client of the replica. The
// parameter "readOnly" is the value of the replica's setting replica-read-only, "yes" or "no".
func newReplicaClient(t *testing.T, readOnly string) *redis.Client {
	t.Helper()
	host, port, err := net.SplitHostPort(redistest.Start(t, withConfig()).Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := redistest.Start(t, withConfig("replicaof", host+" "+port, "replica-read-only", readOnly)).Client()
	r := &testTuma{t: t}
	r.eventually(20*time.Second, "the replica to follow", func() bool {
		info, err := c.InfoMap(t.Context(), "replication").Result()
		return err == nil && info["Replication"]["master_link_status"] == "up"
	})
	return c
}

// clusterOfOne returns a client of a Redis cluster with one node, which serves the hash slots from
// 0 to the parameter "last".
func clusterOfOne(t *testing.T, last int) *redis.Client {
	t.Helper()
	c := redistest.Start(t, withConfig("cluster-enabled", "yes")).Client()
	if err := c.ClusterAddSlotsRange(t.Context(), 0, last).Err(); err != nil {
		t.Fatal(err)
	}
	r := &testTuma{t: t}
	r.eventually(20*time.Second, "the cluster to know its slots", func() bool {
		text, err := c.ClusterInfo(t.Context()).Result()
		return err == nil && (strings.Contains(text, "cluster_state:ok") || last < 16383 && strings.Contains(text, "cluster_slots_ok:16383"))
	})
	return c
}
