package producertest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clock is the clock of the embedded Redis. Workers use this clock to start campaigns, to retry
// calls and to expire campaigns. The clock runs at normal speed. It is ahead of time.Now by the
// sum of all calls of Advance.
type clock struct {
	redis *miniredis.Miniredis
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// The method "set" sets the time of the embedded Redis. The Redis keeps this time until the next
// call of the method.
func (c *clock) set() {
	c.mu.Lock() // the lock is held until the time is set, so that the time never goes back
	defer c.mu.Unlock()
	if c.ahead > 0 {
		c.redis.SetTime(time.Now().Add(c.ahead))
	}
}

// dial connects to the embedded Redis.
func (c *clock) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &timed{conn, c}, nil
}

// The type "timed" is a connection to the embedded Redis. It sets the time of that Redis before each command.
type timed struct {
	net.Conn
	clock *clock
}

// Write sets the time of the Redis and sends commands.
func (t *timed) Write(b []byte) (int, error) {
	t.clock.set()
	return t.Conn.Write(b)
}

// Advance moves the clock forward by d, which must be positive. Then each campaign whose StartAt
// has passed starts, and each campaign whose ExpiresAt has passed expires. The worker repeats each
// call whose waiting time is over. Advance stops the worker and starts it again, so that no call is
// in flight while the clock moves. If calls wait in the gateway because of Block, Advance ends the
// test with Fatal.
//
// The client that Tuma.Client returns reads the moved clock. If the tested service makes its own
// client without producer.WithClock, that client reads time.Now. With such a client, enqueue before
// Advance. A campaign with ExpiresIn that is enqueued after Advance may expire at once.
func (u *Tuma) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	if d <= 0 {
		t.Fatalf("producertest: Advance by %s: must be positive, e.g. time.Hour", d)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := u.gateway.waitingCalls(); n > 0 {
		t.Fatalf("producertest: Advance: %s waiting in the gateway: call Unblock first", counted(n, "call is", "calls are"))
	}
	stop := u.stop
	u.stop = nil
	if stop == nil {
		t.Fatalf("producertest: Advance: the worker has stopped")
	}
	if err := stop(); err != nil {
		t.Fatalf("producertest: Advance: the worker did not stop cleanly: %v", err)
	}
	u.clock.mu.Lock()
	u.clock.ahead += d
	u.clock.mu.Unlock()
	if err := u.startWorker(); err != nil {
		t.Fatalf("producertest: Advance: the worker did not start again: %v", err)
	}
}
