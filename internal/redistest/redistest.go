// Package redistest gives a test a Redis of its own: a real redis-server on a
// free loopback port, which can be killed, stopped and started again; a proxy
// that loses answers; and miniredis where a real one is not needed.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is one redis-server process that belongs to one test and ends with it.
// Its methods are safe for concurrent use; what goes wrong in them fails the
// test. On Linux the process also dies with the test binary, however that ends.
type Server struct {
	t        testing.TB
	binary   string
	dir      string
	port     int
	password string
	config   []string

	mu  sync.Mutex
	run *process // nil between Kill and Restart
}

// process is one life of a server.
type process struct {
	pid  int
	kill func() error
	done chan struct{} // closed when the process is gone and reaped
}

// An Option changes how Start runs its server.
type Option func(*Server)

// WithAOF switches the append-only file on. Fsync is Redis's appendfsync:
// "always", "everysec" or "no". What was written then survives Kill and Restart.
func WithAOF(fsync string) Option {
	return WithConfig("appendonly", "yes", "appendfsync", fsync)
}

// WithConfig sets directives of redis.conf, given as names and values in turn:
// WithConfig("maxmemory", "4mb", "maxmemory-policy", "noeviction"). Later ones win.
func WithConfig(nameValue ...string) Option {
	return func(s *Server) {
		for i := 0; i+1 < len(nameValue); i += 2 {
			s.config = append(s.config, "--"+nameValue[i], nameValue[i+1])
		}
		if len(nameValue)%2 != 0 {
			s.t.Fatalf("redistest: directive %q has no value", nameValue[len(nameValue)-1])
		}
	}
}

// WithPassword makes the server ask for a password.
func WithPassword(password string) Option {
	return func(s *Server) { s.password = password }
}

// A start is tried on this many ports, and each try waits at most startWithin
// for an answer to PING. It takes some 20 ms; the bound is for a loaded machine.
const (
	startTries  = 20
	startWithin = 20 * time.Second
)

// Start runs a redis-server for this test, without persistence unless an option
// asks for it, and returns when it answers. It is killed when the test ends.
// Where there is no redis-server the test is skipped with a message that begins
// with Missing, or fails with the line that installs one if TUMA_REQUIRE_REDIS is 1.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{
		t:      t,
		binary: find(t, os.Getenv),
		dir:    t.TempDir(),
		config: []string{"--save", "", "--appendonly", "no"},
	}
	for _, opt := range opts {
		opt(s)
	}
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.end()
	})
	var err error
	for range startTries {
		s.port = anyPort()
		if err = s.begin(); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatalf("redistest: start: %v", err)
	}
	return s
}

// Addr is host:port; it stays the same through Kill and Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the server as a redis:// URL of database 0, with the password if there is one.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}
	if s.password != "" {
		u.User = url.UserPassword("", s.password)
	}
	return u.String()
}

// Dir is where the server keeps its files, its log (redis.log) among them.
func (s *Server) Dir() string { return s.dir }

// PID is the process id of the running server, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return 0
	}
	return s.run.pid
}

// Client makes a client of its own for each caller, closed when the test ends.
// The functions given may change its options: the address to a Proxy's, say.
func (s *Server) Client(change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{Addr: s.Addr(), Password: s.password}
	for _, f := range change {
		f(o)
	}
	c := redis.NewClient(o)
	// A test may have closed it already, which is no fault.
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill ends the server as a crash does (SIGKILL) and returns when it is gone.
// Killing one that is dead changes nothing.
func (s *Server) Kill() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// Restart starts the server again on the same port and files, killing it first
// if it runs, and returns when it answers. What it remembers is what its
// persistence kept: nothing by default.
func (s *Server) Restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	deadline := time.Now().Add(startWithin)
	err := s.begin()
	for errors.Is(err, errPortTaken) && time.Now().Before(deadline) {
		err = s.begin()
	}
	if err != nil {
		s.t.Errorf("redistest: restart: %v", err)
	}
}

// Stop freezes the server (SIGSTOP): connections stay open and nothing answers.
func (s *Server) Stop() { s.t.Helper(); s.signal("stop", freeze) }

// Cont lets a stopped server go on (SIGCONT).
func (s *Server) Cont() { s.t.Helper(); s.signal("continue", thaw) }

func (s *Server) signal(what string, send func(pid int) error) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		s.t.Errorf("redistest: %s: the server is not running", what)
		return
	}
	if err := send(s.run.pid); err != nil {
		s.t.Errorf("redistest: %s: %v", what, err)
	}
}

// end kills the running process, if any, and waits until it is reaped.
func (s *Server) end() {
	if s.run == nil {
		return
	}
	if err := s.run.kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("redistest: kill: %v", err)
	}
	<-s.run.done
	s.run = nil
}

// anyPort picks below every system's range of ephemeral ports. A port from that
// range could be taken by an outgoing connection between Kill and Restart, and a
// client redialling it on loopback can even connect to itself.
func anyPort() int { return 20000 + rand.IntN(12000) }

var errPortTaken = errors.New("port is taken")

// begin starts one process on s.port and waits until it, and not somebody
// else's server on that port, answers.
func (s *Server) begin() error {
	logPath := filepath.Join(s.dir, "redis.log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir}
	if s.password != "" {
		args = append(args, "--requirepass", s.password)
	}
	cmd := exec.Command(s.binary, append(args, s.config...)...)
	cmd.Stdout, cmd.Stderr = log, log
	run, err := spawn(cmd)
	if err != nil {
		return err
	}
	s.run = run
	if err := s.ready(); err != nil {
		s.end()
		said, readErr := os.ReadFile(logPath)
		if strings.Contains(string(said), "Address already in use") {
			return errPortTaken
		}
		return errors.Join(fmt.Errorf("%w; its log:\n%s", err, said), readErr)
	}
	return nil
}

// spawn starts cmd from a thread that lives as long as the child: Linux sends
// the parent-death signal when the thread that started the child ends.
func spawn(cmd *exec.Cmd) (*process, error) {
	dieWithParent(cmd)
	started := make(chan error)
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			// It is always killed, so how it ended says nothing.
			_ = cmd.Wait()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return &process{pid: cmd.Process.Pid, kill: cmd.Process.Kill, done: done}, nil
}

// ready waits until the process that was just started answers PING, which it
// does not while it loads its append-only file.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	// The short timeout is for a stranger on the port that accepts and says nothing.
	c := redis.NewClient(&redis.Options{
		Addr: s.Addr(), Password: s.password, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 200 * time.Millisecond,
	})
	defer c.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := errors.New("no answer")
	for {
		select {
		case <-s.run.done:
			return errors.New("the server ended at once")
		case <-ctx.Done():
			return fmt.Errorf("not ready in %v: %w", startWithin, last)
		case <-tick.C:
		}
		if conn, err := net.Dial("tcp", s.Addr()); err != nil {
			last = err
			continue
		} else if err := conn.Close(); err != nil {
			return fmt.Errorf("close the first connection: %w", err)
		}
		if last = c.Ping(ctx).Err(); last == nil {
			return s.checkIdentity(ctx, c)
		}
	}
}

// checkIdentity tells our process from another one that holds the port, and a
// Redis that is new enough for Tuma's scripts from one that is not.
func (s *Server) checkIdentity(ctx context.Context, c *redis.Client) error {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(info, name+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	if field("process_id") != strconv.Itoa(s.run.pid) {
		return errPortTaken
	}
	version := field("redis_version")
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return fmt.Errorf("%s is Redis %s; 7.0 or newer is needed\n%s", s.binary, version, install)
	}
	return nil
}
