package producertest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clock is the clock of the embedded Redis, by which workers start, retry and expire. It
// runs at its normal speed, ahead of time.Now.
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

// set sets the time of the Redis, which from then on stands still until the next set.
func (c *clock) set() {
	c.mu.Lock() // until the time is set, so that it never goes back
	defer c.mu.Unlock()
	if c.ahead > 0 {
		c.redis.SetTime(time.Now().Add(c.ahead))
	}
}

// dial connects to the Redis.
func (c *clock) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &timed{conn, c}, nil
}

// timed is a connection that sets the time of the Redis before each command.
type timed struct {
	net.Conn
	clock *clock
}

// Write sends commands.
func (t *timed) Write(b []byte) (int, error) {
	t.clock.set()
	return t.Conn.Write(b)
}

// Advance moves the clock forward by d, which must be positive. Then campaigns start whose
// StartAt has passed, campaigns end whose ExpiresAt has passed, and the worker makes the
// calls whose wait is over. Advance stops the worker and starts it again, so that no call is
// in flight while the clock moves. It fails the test if calls wait in the gateway because of
// Block.
//
// The clock of Client moves with it. A client that the service makes for itself reads
// time.Now unless the service passes producer.WithClock. With such a client, enqueue before
// the Advance: a campaign that it enqueues afterwards with ExpiresIn may expire at once.
func (u *Tuma) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	if d <= 0 {
		t.Fatalf("producertest: Advance by %s: must be positive, e.g. time.Hour", d)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := u.gateway.waitingCalls(); n > 0 {
		t.Fatalf("producertest: Advance: %s in the gateway: call Unblock first", counted(n, "call waits", "calls wait"))
	}
	stop := u.stop
	u.stop = nil
	if stop == nil {
		t.Fatalf("producertest: Advance: the worker has stopped")
	}
	if err := stop(); err != nil {
		t.Fatalf("producertest: Advance: stop the worker: %v", err)
	}
	u.clock.mu.Lock()
	u.clock.ahead += d
	u.clock.mu.Unlock()
	if err := u.startWorker(); err != nil {
		t.Fatalf("producertest: Advance: start the worker: %v", err)
	}
}
