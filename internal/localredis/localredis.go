// Package localredis runs a Redis on this machine, for commands that work without any preparation.
// It runs the redis-server on PATH as a child process, or else a built-in Redis.
package localredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/process"
)

// Options choose how Start runs a Redis.
type Options struct {
	// Dir is the folder for the log of redis-server and, with Keep, for its data. It must exist.
	Dir string
	// Port is the TCP port of 127.0.0.1 on which the Redis listens. 0 means a free port.
	Port int
	// With Keep, redis-server writes every change to an append-only file in Dir, and reads this
	// file when it starts. The built-in Redis keeps no data. Without Keep, the data is lost at
	// Close.
	Keep bool
}

// builtIn is a Redis in this process. A build with the tag tuma_no_builtin_redis has no built-in
// Redis.
type builtIn interface {
	Addr() string
	Close()
}

// Server is a Redis that Start has started. Its methods are safe for concurrent use.
type Server struct {
	// Address is the host and port.
	Address string
	// Binary is the path of the redis-server or valkey-server. It is empty for the built-in Redis.
	Binary string
	// Why is the reason why the built-in Redis is used. It is empty for a redis-server.
	Why string

	options Options
	child   *process.Process // nil for the built-in Redis
	builtIn builtIn          // nil for a redis-server
}

// PID returns the ID of the redis-server's process, or 0 for the built-in Redis.
func (s *Server) PID() int {
	if s.child == nil {
		return 0
	}
	return s.child.PID()
}

// Done returns a channel that is closed when the redis-server has ended. For the built-in Redis the
// channel is nil.
func (s *Server) Done() <-chan struct{} {
	if s.child == nil {
		return nil
	}
	return s.child.Done()
}

// LastLine returns the last line of the redis-server's log, at most 300 characters. It is empty for
// the built-in Redis.
func (s *Server) LastLine() string {
	text, err := os.ReadFile(logFile(s.options.Dir))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return console.OneLine(lines[len(lines)-1], 300)
}

func logFile(dir string) string { return filepath.Join(dir, "redis.log") }

// stopTimeout is how long Close waits for a redis-server that writes its data to disk.
const stopTimeout = 10 * time.Second

// Close ends the Redis. With Options.Keep it lets redis-server write its data to disk first, for at
// most stopTimeout. A second call of Close does nothing.
func (s *Server) Close() error {
	if s.builtIn != nil {
		s.builtIn.Close()
		return nil
	}
	if s.options.Keep {
		if err := s.child.Signal(syscall.SIGTERM); err != nil {
			return errors.Join(err, s.child.Kill())
		}
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-s.child.Done():
		case <-timer.C:
		}
	}
	return s.child.Kill()
}

// Start starts a redis-server or valkey-server on PATH, 7.0 or later. If PATH has neither of
// them, Start starts the built-in Redis.
//
// If the server on PATH fails to start, the result depends on Options.Keep. With Keep, Start
// returns the error. The reason is that the built-in Redis does not have the campaigns that an
// earlier server has stored, so these campaigns would seem lost. Without Keep, Start starts
// the built-in Redis.
//
// Start returns an error that wraps ErrInUse if another program listens on Options.Port.
func Start(ctx context.Context, o Options) (*Server, error) {
	binary, why := find(ctx)
	if binary != "" {
		s, err := startBinary(ctx, binary, o)
		if err == nil || ctx.Err() != nil || o.Keep {
			return s, err
		}
		why = "the redis-server on PATH cannot be used (" + console.OneLine(err.Error(), 120) + ")"
	}
	mini, err := startBuiltIn(net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("built-in redis: %w", ErrInUse)
	case err != nil:
		return nil, fmt.Errorf("built-in redis: %w (%s)", err, why)
	}
	return &Server{Address: mini.Addr(), Why: why, options: o, builtIn: mini}, nil
}

// minVersion is the lowest major version of Redis and of Valkey with which Tuma's scripts work.
const minVersion = 7

// The function "find" returns the path of the first server on PATH that Tuma can use. If PATH has
// no such server, it returns the reason.
func find(ctx context.Context) (binary, why string) {
	why = "no redis-server on PATH"
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output() //nolint:gosec // the user's own redis-server
		if err != nil {
			why = fmt.Sprintf("%s --version fails: %s", path, console.OneLine(err.Error(), 120))
			continue
		}
		version := versionOf(string(out))
		major, _, _ := strings.Cut(version, ".")
		if n, _ := strconv.Atoi(major); n < minVersion {
			why = fmt.Sprintf("%s has version %s; %d.0 or later is required", path, console.OneLine(version, 20), minVersion)
			continue
		}
		return path, ""
	}
	return "", why
}

// versionOf returns the version in the output of redis-server --version, such as "Redis server
// v=7.0.15 sha=00000000:0". It returns "" if the output has no version.
func versionOf(out string) string {
	_, after, _ := strings.Cut(out, " v=")
	version, _, _ := strings.Cut(after, " ")
	return version
}

// startAttempts is how many times startBinary tries a free port. A further try is needed if another
// process takes the port before redis-server listens on it.
const startAttempts = 5

// startBinary starts a redis-server as a child process.
func startBinary(ctx context.Context, binary string, o Options) (*Server, error) {
	if o.Port != 0 {
		if err := awaitFreePort(ctx, o); err != nil {
			return nil, err
		}
		return startOn(ctx, binary, o.Port, o)
	}
	var err error
	for range startAttempts {
		var port int
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
		var s *Server
		if s, err = startOn(ctx, binary, port, o); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// startOn starts a redis-server on a port and waits until it answers.
func startOn(ctx context.Context, binary string, port int, o Options) (*Server, error) {
	appendOnly := "no"
	if o.Keep {
		appendOnly = "yes"
	}
	//nolint:gosec,noctx // binary is the redis-server on PATH; Close ends the process
	cmd := exec.Command(binary, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", o.Dir,
		"--save", "", "--appendonly", appendOnly, "--maxmemory-policy", "noeviction")
	process.OwnGroup(cmd) // Ctrl-C must not end Redis, because the worker still settles its calls in Redis after Ctrl-C
	child, err := process.StartLogged(cmd, logFile(o.Dir))
	if err != nil {
		return nil, err
	}
	s := &Server{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Binary: binary, options: o, child: child}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, child.Kill())
	}
	return s, nil
}

// freePort returns a TCP port of 127.0.0.1 that no process uses at the moment.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// answerTimeout is how long a redis-server may take until it answers. A server first reads its
// data, and may have much data.
const answerTimeout = 60 * time.Second

// await waits until the server answers. It returns an error if another process answers on the
// server's port.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	rdb := connect(s.Address)
	defer rdb.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := rdb.InfoMap(ctx, "server").Result()
		if err == nil {
			// A redis-server that still reads its data answers INFO, but no other command.
			err = rdb.Ping(ctx).Err()
		}
		switch {
		case err == nil && info["Server"]["process_id"] != strconv.Itoa(s.PID()):
			return errors.New("redis-server: another process uses its port")
		case err == nil:
			return nil
		case s.child.Ended():
			return errors.New("redis-server ended right after its start: " + s.LastLine())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// The function "connect" returns a client for a single short exchange. The client does not retry.
func connect(address string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second})
}
