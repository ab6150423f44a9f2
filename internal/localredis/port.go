package localredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrInUse means that another program listens on the port of a Redis that should start.
var ErrInUse = errors.New("the port is in use by another program")

// releaseTimeout is how long awaitFreePort waits for a port that another program uses.
const releaseTimeout = 2 * time.Second

// awaitFreePort waits until no program listens on Options.Port. If a redis-server with the folder
// Options.Dir listens on this port, awaitFreePort first stops the server. Such a server belongs to
// an earlier run that was killed before it could stop the server. The caller must ensure that no
// other run uses the folder.
//
// awaitFreePort returns ErrInUse if another program still listens after releaseTimeout.
func awaitFreePort(ctx context.Context, o Options) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		if err == nil {
			return l.Close()
		}
		if ctx.Err() == nil && uses(ctx, address, o.Dir) {
			if err := shutDown(ctx, address); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ErrInUse
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// The function "uses" reports whether a Redis listens on the address and has its data in the
// folder "dir".
func uses(ctx context.Context, address, dir string) bool {
	rdb := connect(address)
	defer rdb.Close()
	got, err := rdb.ConfigGet(ctx, "dir").Result()
	if err != nil {
		return false
	}
	a, errA := os.Stat(got["dir"])
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// shutDown makes a Redis write its data to disk and end. A Redis that ends sends no answer, so any
// answer is an error.
func shutDown(ctx context.Context, address string) error {
	rdb := connect(address)
	defer rdb.Close()
	var refused redis.Error
	if err := rdb.Do(ctx, "shutdown").Err(); errors.As(err, &refused) {
		return fmt.Errorf("stop the redis-server of an earlier run: %w", err)
	}
	return nil
}
