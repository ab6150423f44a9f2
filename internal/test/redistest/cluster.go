package redistest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// hashSlots is the number of hash slots of a Redis cluster.
const hashSlots = 16384

// Cluster is a Redis cluster of several masters with one replica each. A replica takes over when its master does
// not answer for two seconds.
type Cluster struct {
	t testing.TB
	// Nodes are the masters that StartCluster made, followed by their replicas in the same order. A failover
	// does not change their order.
	Nodes []*Server
	size  int
}

// StartCluster starts a cluster of masters with one replica each, and returns when all slots are served and all
// replicas are connected. The options apply to all nodes. All nodes end with the test.
func StartCluster(t testing.TB, masters int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, size: masters}
	own := append([]Option{WithConfig("cluster-enabled", "yes", "cluster-node-timeout", "2000")}, opts...)
	for range 2 * masters {
		c.Nodes = append(c.Nodes, Start(t, own...))
	}
	ctx := t.Context()
	for i, n := range c.Nodes {
		if i < masters {
			from, to := i*hashSlots/masters, (i+1)*hashSlots/masters-1
			c.must(n, "cluster", "addslotsrange", from, to)
		}
		c.must(n, "cluster", "set-config-epoch", i+1)
		if i > 0 {
			c.must(c.Nodes[0], "cluster", "meet", "127.0.0.1", n.port)
		}
	}
	waitFor(t, "nodes that know each other", func(ctx context.Context) error {
		return c.each(func(n *Server) error { return c.info(ctx, n, "cluster_known_nodes", strconv.Itoa(2*masters)) })
	})
	for i := range masters {
		id, err := c.Nodes[i].Client().ClusterMyID(ctx).Result()
		if err != nil {
			t.Fatalf("redistest: cluster: %v", err)
		}
		waitFor(t, "a node that becomes a replica", func(ctx context.Context) error {
			return c.Nodes[masters+i].Client().ClusterReplicate(ctx, id).Err()
		})
	}
	c.AwaitReplicas()
	return c
}

// The method "must" runs a command on a node.
func (c *Cluster) must(n *Server, args ...any) {
	c.t.Helper()
	if err := n.Client().Do(c.t.Context(), args...).Err(); err != nil {
		c.t.Fatalf("redistest: cluster: %v: %v", args, err)
	}
}

// The method "each" calls the function do() for each running node, until a call returns an error.
func (c *Cluster) each(do func(*Server) error) error {
	for _, n := range c.Nodes {
		if n.PID() == 0 {
			continue
		}
		if err := do(n); err != nil {
			return fmt.Errorf("node %s: %w", n.Addr(), err)
		}
	}
	return nil
}

// The method "info" returns an error unless a field in the CLUSTER INFO of a node has the given value.
func (c *Cluster) info(ctx context.Context, n *Server, field, want string) error {
	text, err := n.Client().ClusterInfo(ctx).Result()
	if err == nil && !strings.Contains(text, field+":"+want+"\r\n") {
		err = fmt.Errorf("%s is not %s in %q", field, want, text)
	}
	return err
}

// AwaitReplicas returns when all slots are served, and each master has a connected replica.
func (c *Cluster) AwaitReplicas() {
	c.t.Helper()
	waitFor(c.t, "a cluster in which each master has a replica", func(ctx context.Context) error {
		masters := 0
		err := c.each(func(n *Server) error {
			if err := c.info(ctx, n, "cluster_state", "ok"); err != nil {
				return err
			}
			info, err := n.Client().InfoMap(ctx, "replication").Result()
			if err != nil {
				return err
			}
			switch r := info["Replication"]; {
			case r["role"] == "slave" && r["master_link_status"] != "up":
				return fmt.Errorf("the replica is not connected")
			case r["role"] == "master" && r["connected_slaves"] == "0":
				return fmt.Errorf("the master has no replica")
			case r["role"] == "master":
				masters++
			}
			return nil
		})
		if err == nil && masters != c.size {
			err = fmt.Errorf("there are %d masters", masters)
		}
		return err
	})
}

// URL returns a redis-cluster:// URL of all nodes, with the login of the user of WithUser, if that option is
// set.
func (c *Cluster) URL() string {
	return "redis-cluster://" + login(c.Nodes[0]) + strings.Join(addresses(c.Nodes), ",")
}

// Client returns a new client. The client is closed when the test ends.
func (c *Cluster) Client() *redis.ClusterClient {
	o := &redis.ClusterOptions{Addrs: addresses(c.Nodes), ClusterStateReloadInterval: time.Second}
	if u := c.Nodes[0].user; u != nil {
		o.Username = u.Username()
		o.Password, _ = u.Password()
	}
	client := redis.NewClusterClient(o)
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Failover kills the master of a key's hash slot. When another node serves the slot, Failover returns the killed
// master.
func (c *Cluster) Failover(key string) (killed *Server) {
	c.t.Helper()
	slot, err := c.Nodes[0].Client().ClusterKeySlot(c.t.Context(), key).Result()
	if err != nil {
		c.t.Fatalf("redistest: cluster: %v", err)
	}
	killed = c.master(int(slot), nil)
	killed.Kill()
	c.master(int(slot), killed)
	return killed
}

// master waits until all running nodes agree on the master of a slot, and returns it. The master must not be the
// node in the parameter "not".
func (c *Cluster) master(slot int, not *Server) *Server {
	c.t.Helper()
	var found *Server
	waitFor(c.t, fmt.Sprintf("a master of slot %d", slot), func(ctx context.Context) error {
		return c.each(func(n *Server) error {
			ranges, err := n.Client().ClusterSlots(ctx).Result() //nolint:staticcheck // CLUSTER SHARDS lists failed nodes too
			if err != nil {
				return err
			}
			for _, r := range ranges {
				for _, m := range c.Nodes {
					if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 && r.Nodes[0].Addr == m.Addr() && m != not {
						found = m
						return c.info(ctx, n, "cluster_state", "ok")
					}
				}
			}
			return fmt.Errorf("no other node serves slot %d", slot)
		})
	})
	return found
}
