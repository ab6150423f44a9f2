package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/console"
)

// redisServer is the Redis that the demo has started.
type redisServer struct {
	address string // host and port
	what    string // description for the output
	close   func() error
}

// startRedis starts the redis-server on PATH. If PATH has no redis-server, or that one cannot
// be used, startRedis starts the built-in Redis.
func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	why := "no redis-server on PATH"
	if binary, err := exec.LookPath("redis-server"); err == nil {
		r, err := startRealRedis(ctx, binary, dir)
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		why = "the redis-server on PATH cannot be used (" + console.OneLine(err.Error(), 120) + ")"
	}
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true) // without ClockTTL keys never expire, and asynq's leases would never end
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("demo: built-in redis: %w", err)
	}
	return &redisServer{
		address: mini.Addr(),
		what:    "built-in, at " + mini.Addr() + ": " + why,
		close:   func() error { mini.Close(); return nil },
	}, nil
}

// redisStartAttempts is how many times startRealRedis tries to start redis-server. Another process
// may take the free port before redis-server listens on it.
const redisStartAttempts = 5

// startRealRedis starts a redis-server on a free port, without persistence.
func startRealRedis(ctx context.Context, binary, dir string) (*redisServer, error) {
	var err error
	for range redisStartAttempts {
		var port string
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
		var server *child
		server, err = startChild(filepath.Join(dir, "redis.log"), nil, binary,
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "no")
		if err != nil {
			return nil, err
		}
		address := net.JoinHostPort("127.0.0.1", port)
		if err = awaitRedis(ctx, server, address); err == nil {
			return &redisServer{
				address: address,
				what:    fmt.Sprintf("%s, process %d, at %s", binary, server.PID(), address),
				close:   server.kill,
			}, nil
		}
		err = errors.Join(err, server.kill())
	}
	return nil, err
}

// freePort returns a TCP port of 127.0.0.1 that no process uses at the moment.
func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// awaitRedis waits until the server answers. It returns an error if another process answers on the
// server's port, or if the server is older than version 7.0.
func awaitRedis(ctx context.Context, server *child, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second})
	defer rdb.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := rdb.InfoMap(ctx, "server").Result()
		fields := info["Server"]
		major, _, _ := strings.Cut(fields["redis_version"], ".")
		switch version, _ := strconv.Atoi(major); {
		case err == nil && fields["process_id"] != strconv.Itoa(server.PID()):
			return errors.New("another process uses the server's port")
		case err == nil && version < 7:
			return fmt.Errorf("it has version %s; 7.0 or later is required", fields["redis_version"])
		case err == nil:
			return nil
		case server.Ended():
			return errors.New("the server ended right after its start: " + server.tail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-tick.C:
		}
	}
}
