package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// setsUpWithin is how long the servers of a Sentinel or Cluster may take to find each other.
const setsUpWithin = 40 * time.Second

// MasterName is the name under which the Sentinels of StartSentinel know the master.
const MasterName = "tuma"

// Sentinel is a master with replicas, and three Sentinels that promote a replica when the master does not
// answer for a second.
type Sentinel struct {
	t testing.TB
	// Servers has the master that StartSentinel started, followed by its replicas. A promotion does not change
	// this order.
	Servers   []*Server
	sentinels []*Server
}

// StartSentinel starts a master, replicas and three Sentinels, and returns when the Sentinels know all these
// servers. The options apply to the master and the replicas. All servers end with the test.
func StartSentinel(t testing.TB, replicas int, opts ...Option) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	s.Servers = append(s.Servers, Start(t, opts...))
	port := strconv.Itoa(s.Servers[0].port)
	for range replicas {
		own := append([]Option{WithConfig("replicaof", "127.0.0.1 "+port)}, opts...)
		s.Servers = append(s.Servers, Start(t, own...))
	}
	for range 3 {
		s.sentinels = append(s.sentinels, Start(t, func(w *Server) { w.watched = port }))
	}
	waitFor(t, "Sentinels that know each other and the replicas", func(ctx context.Context) error {
		for _, w := range s.sentinels {
			if err := s.knowsAll(ctx, w, replicas); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

// knowsAll returns an error unless the Sentinel in the parameter "w" knows the other Sentinels and all replicas.
func (s *Sentinel) knowsAll(ctx context.Context, w *Server, replicas int) error {
	c := redis.NewSentinelClient(&redis.Options{Addr: w.Addr()})
	defer func() { _ = c.Close() }()
	m, err := c.Master(ctx, MasterName).Result()
	if err != nil {
		return err
	}
	if m["num-other-sentinels"] != "2" || m["num-slaves"] != strconv.Itoa(replicas) || m["flags"] != "master" {
		return fmt.Errorf("it has %s other Sentinels, %s replicas and the flags %s", m["num-other-sentinels"], m["num-slaves"], m["flags"])
	}
	all, err := c.Replicas(ctx, MasterName).Result()
	for _, r := range all {
		if r["master-link-status"] != "ok" {
			return fmt.Errorf("a replica is not connected: %s", r["master-link-status"])
		}
	}
	return err
}

// Addrs returns the addresses of the Sentinels.
func (s *Sentinel) Addrs() []string { return addresses(s.sentinels) }

// URL returns a redis-sentinel:// URL of the Sentinels, with the login of the user that WithUser added, if any.
func (s *Sentinel) URL() string {
	return "redis-sentinel://" + login(s.Servers[0]) + strings.Join(s.Addrs(), ",") + "/" + MasterName + "/0"
}

// Client returns a new client of the server that the Sentinels call master. The client is closed when the test
// ends.
func (s *Sentinel) Client() *redis.Client {
	o := &redis.FailoverOptions{MasterName: MasterName, SentinelAddrs: s.Addrs()}
	if u := s.Servers[0].user; u != nil {
		o.Username = u.Username()
		o.Password, _ = u.Password()
	}
	c := redis.NewFailoverClient(o)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Master returns the server that is the master according to the Sentinels.
func (s *Sentinel) Master() *Server {
	s.t.Helper()
	var found *Server
	waitFor(s.t, "the address of the master", func(ctx context.Context) error {
		c := redis.NewSentinelClient(&redis.Options{Addr: s.sentinels[0].Addr()})
		defer func() { _ = c.Close() }()
		at, err := c.GetMasterAddrByName(ctx, MasterName).Result()
		if err != nil {
			return err
		}
		for _, server := range s.Servers {
			if len(at) == 2 && strconv.Itoa(server.port) == at[1] {
				found = server
				return nil
			}
		}
		return fmt.Errorf("the Sentinel names %v", at)
	})
	return found
}

// Promote kills the master, waits until the Sentinels have made another server the master, and returns that
// server.
func (s *Sentinel) Promote() *Server {
	s.t.Helper()
	old := s.Master()
	old.Kill()
	waitFor(s.t, "a promoted replica", func(context.Context) error {
		if s.Master() == old {
			return fmt.Errorf("the killed server is still the master")
		}
		return nil
	})
	return s.Master()
}

// sentinelArguments writes the configuration of a Sentinel into a file, which the Sentinel may rewrite. It
// returns the arguments that run the Sentinel.
func (s *Server) sentinelArguments() ([]string, error) {
	path := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %[3]s 127.0.0.1 %[4]s 2\nsentinel down-after-milliseconds %[3]s 1000\n"+
		"sentinel failover-timeout %[3]s 10000\n", s.port, s.dir, MasterName, s.watched)
	return []string{path, "--sentinel"}, os.WriteFile(path, []byte(text), 0o600)
}

// addresses returns the addresses of servers.
func addresses(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr()
	}
	return out
}

// login returns the login of the user that WithUser added, followed by @, or "".
func login(s *Server) string {
	if s.user == nil {
		return ""
	}
	return s.user.String() + "@"
}

// waitFor calls the function is() until it returns nil. It fails the test if that takes too long. The
// parameter "what" names the awaited condition.
func waitFor(t testing.TB, what string, is func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setsUpWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("redistest: timed out after %s, waiting for %s: %v", setsUpWithin, what, err)
		}
	}
}
