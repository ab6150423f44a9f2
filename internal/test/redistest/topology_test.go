package redistest_test

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestSentinel_PromotesAReplica(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, 1, redistest.WithAOF("always"), redistest.WithUser("me", "p@ss", "~*", "&*", "+@all"))
	c := s.Client()
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Wait(t.Context(), 1, 0).Result(); n != 1 || err != nil {
		t.Fatalf("WAIT: got %d, %v, want 1 replica", n, err)
	}
	old := s.Master()
	master := s.Promote()
	if old.PID() != 0 || master == old || s.Master() != master {
		t.Errorf("the master is %s after a kill of the master %s", master.Addr(), old.Addr())
	}
	eventually(t, "a client of the promoted replica", func() bool {
		got, err := s.Client().Get(t.Context(), "k").Result()
		return err == nil && got == "v"
	})
}

func TestCluster_AReplicaTakesOver(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t, 3, redistest.WithAOF("always"), redistest.WithUser("me", "p@ss", "~*", "&*", "+@all"))
	c := s.Client()
	node, err := c.MasterForKey(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	// A replica that takes over has only the writes that it has received. WAIT counts the replicas that have the
	// connection's own writes.
	conn := node.Conn()
	defer func() { _ = conn.Close() }()
	if err := conn.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Wait(t.Context(), 1, 0).Result(); n != 1 || err != nil {
		t.Fatalf("WAIT: got %d, %v, want 1 replica", n, err)
	}
	owner := node.Options().Addr
	killed := s.Failover("k")
	if killed.Addr() != owner || killed.PID() != 0 {
		t.Errorf("Failover killed %s, want %s, which has the key", killed.Addr(), owner)
	}
	eventually(t, "the new master", func() bool {
		c.ReloadState(t.Context()) // without this call, up to 60 s could pass before the client reloads its state
		got, err := c.Get(t.Context(), "k").Result()
		return err == nil && got == "v"
	})
	killed.Restart()
	s.AwaitReplicas()
}
