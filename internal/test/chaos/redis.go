//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is the redis-server that the run starts, on loopback, with an append-only file.
type redisServer struct {
	binary, dir, port, fsync string

	mu      sync.Mutex
	process *child
}

// findRedis returns the path of the redis-server to use. The variable REDIS_SERVER names it. If the variable is
// empty, findRedis looks for redis-server in PATH.
func findRedis() (string, error) {
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find redis-server: install 7.0 or newer, set REDIS_SERVER or give -redis: %w", err)
	}
	return path, nil
}

const portTries = 20

// startRedis starts a redis-server that keeps its files in dir. It tries up to portTries
// random ports.
func startRedis(ctx context.Context, dir, fsync string) (*redisServer, error) {
	binary, err := findRedis()
	if err != nil {
		return nil, err
	}
	s := &redisServer{binary: binary, dir: dir, fsync: fsync}
	for range portTries {
		// The port is below the ephemeral ports. An outgoing connection could take an ephemeral
		// port after a kill of Redis, and Redis could then not restart on it.
		s.port = strconv.Itoa(20000 + rand.IntN(12000))
		if err = s.start(ctx); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (s *redisServer) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

// The method "start" starts the process, and returns when it has loaded its append-only file and answers.
func (s *redisServer) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := startChild(filepath.Join(s.dir, "redis.log"), nil, s.binary, "--bind", "127.0.0.1", "--port", s.port, "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", s.fsync, "--maxmemory-policy", "noeviction")
	if err != nil {
		return err
	}
	s.process = c
	if err := s.ready(ctx); err != nil {
		return errors.Join(fmt.Errorf("redis at %s: %w", s.address(), err), c.kill())
	}
	return nil
}

// The method "ready" waits for an answer of the redis-server that the method "start" has started. It returns an error
// if another process answers at the port.
func (s *redisServer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: s.address(), MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second})
	defer rdb.Close()
	for tick := time.Tick(10 * time.Millisecond); ; {
		info, err := rdb.InfoMap(ctx, "server", "persistence").Result()
		fields := info["Server"]
		switch {
		case err == nil && fields["process_id"] != strconv.Itoa(s.process.PID()):
			return errors.New("another process uses the port")
		case err == nil && info["Persistence"]["loading"] == "0":
			return nil
		case s.process.Ended():
			return errors.New("the process ended at once; its log is " + filepath.Join(s.dir, "redis.log"))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within a minute: %w", errors.Join(err, ctx.Err()))
		case <-tick:
		}
	}
}

func (s *redisServer) now() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (s *redisServer) kill() error { return s.now().kill() }

func (s *redisServer) freeze() error { return s.now().Freeze() }

func (s *redisServer) thaw() error { return s.now().Thaw() }
