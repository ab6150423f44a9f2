// Package redistest starts a Redis for a test. It offers a redis-server on a free loopback port, which the test can
// kill, stop and restart, and a proxy that loses replies. It also offers miniredis, for tests that do not need a
// redis-server.
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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/process"
)

// Server is a redis-server process that ends with its test. Its methods are safe for concurrent use, and a failure
// in them fails the test. On Linux the process also dies if the test binary is killed.
type Server struct {
	t        testing.TB
	binary   string
	dir      string
	port     int
	password string
	user     *url.Userinfo // user is the login that UserURL and AsUser use. It is nil without WithUser.
	config   []string
	watched  string // port of the master, if the server is a Sentinel
	tlsPort  int    // of WithTLS

	mu  sync.Mutex
	run *process.Process // nil between Kill and Restart
}

// An Option changes how Start runs its server.
type Option func(*Server)

// WithAOF turns on the append-only file, so that data survives Kill and Restart. The parameter "fsync" is the value
// of Redis' setting appendfsync: "always", "everysec" or "no".
func WithAOF(fsync string) Option {
	return WithConfig("appendonly", "yes", "appendfsync", fsync)
}

// WithConfig sets directives of redis.conf, as alternating names and values:
// WithConfig("maxmemory", "4mb", "maxmemory-policy", "noeviction"). A later directive overrides an earlier one.
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

// WithPassword makes the server require a password.
func WithPassword(password string) Option {
	return func(s *Server) { s.password = password }
}

// WithUser adds a user with the given rights. The rights have the form of ACL SETUSER, such as "~tuma:*" and
// "+@read". UserURL and AsUser use this user. The default user keeps all rights.
func WithUser(name, password string, rights ...string) Option {
	return func(s *Server) {
		s.user = url.UserPassword(name, password)
		s.config = append(s.config, append([]string{"--user", name, "on", ">" + password}, rights...)...)
	}
}

// These are the limits of Start. startTries is the number of ports that Start tries. startWithin is how long each try
// waits for a reply to PING. A start usually takes about 20 ms, but it may take longer on a loaded machine.
const (
	startTries  = 20
	startWithin = 20 * time.Second
)

// Start starts a redis-server for this test and returns when it replies to PING. Unless an option
// turns on persistence, the server stores no data on disk. It is killed when the test ends.
//
// If redis-server is not installed, Start skips the test with a message that begins with Missing.
// If TUMA_REQUIRE_REDIS is 1, Start fails the test instead, with the command that installs a
// redis-server.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{
		t:      t,
		binary: find(t, os.Getenv),
		dir:    folder(t),
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

// Addr returns host:port. Kill and Restart do not change it.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns a redis:// URL of database 0, with the password if the server requires a password.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}
	if s.password != "" {
		u.User = url.UserPassword("", s.password)
	}
	return u.String()
}

// UserURL returns the URL of the server with the login of the user that WithUser added.
func (s *Server) UserURL() string {
	u := url.URL{Scheme: "redis", User: s.user, Host: s.Addr(), Path: "/0"}
	return u.String()
}

// AsUser changes the options of a client to the login of the user that WithUser added. Pass it to
// Client.
func (s *Server) AsUser(o *redis.Options) {
	o.Username = s.user.Username()
	o.Password, _ = s.user.Password()
}

// Dir returns the folder with the server's files, including its log redis.log.
func (s *Server) Dir() string { return s.dir }

// PID returns the process ID of the running server, or 0 if it is not running.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return 0
	}
	return s.run.PID()
}

// Client returns a new client, which is closed when the test ends. Each function in the parameter "change" may
// change the client's options. For example, it may replace the address by the address of a Proxy.
func (s *Server) Client(change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{Addr: s.Addr(), Password: s.password}
	for _, f := range change {
		f(o)
	}
	c := redis.NewClient(o)
	// The error is ignored, because the test may have closed the client already.
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill kills the server with SIGKILL and returns when it has exited. If the server is not running, Kill does
// nothing.
func (s *Server) Kill() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// Restart kills the server if it runs, starts it again with the same port and files, and returns when it replies to
// PING. Then the server has the data that it had stored on disk. By default it stores no data.
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

// Remember copies the present append-only file, which has every write that Redis has answered so far. The result
// "restart" is a function that kills the server if it runs, and starts it with the copy. Then the server has lost all
// writes after Remember, as after a power cut.
func (s *Server) Remember() (restart func()) {
	s.t.Helper()
	const folder = "appendonlydir"
	copied := filepath.Join(s.t.TempDir(), folder)
	s.flush()
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(s.dir, folder))); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	return func() {
		s.t.Helper()
		s.Kill()
		live := filepath.Join(s.dir, folder)
		if err := errors.Join(os.RemoveAll(live), os.CopyFS(live, os.DirFS(copied))); err != nil {
			s.t.Fatalf("redistest: %v", err)
		}
		s.Restart()
	}
}

// flush returns when the append-only file has every write that Redis has answered so far. With "everysec", Redis keeps
// writes in memory for up to two seconds while the disk is slow.
func (s *Server) flush() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), Password: s.password})
	defer c.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		info, err := c.InfoMap(ctx, "persistence").Result()
		if err != nil {
			s.t.Fatalf("redistest: %v", err)
		}
		if info["Persistence"]["aof_buffer_length"] == "0" {
			return
		}
		<-tick.C
	}
}

// Stop freezes the server with SIGSTOP, so that connections stay open and get no reply.
func (s *Server) Stop() { s.t.Helper(); s.signal("stop", (*process.Process).Freeze) }

// Cont continues a stopped server with SIGCONT.
func (s *Server) Cont() { s.t.Helper(); s.signal("continue", (*process.Process).Thaw) }

func (s *Server) signal(what string, send func(*process.Process) error) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		s.t.Errorf("redistest: %s: the server is not running", what)
		return
	}
	if err := send(s.run); err != nil {
		s.t.Errorf("redistest: %s: %v", what, err)
	}
}

// The method "end" kills the process if it runs, and waits until the process is reaped.
func (s *Server) end() {
	if s.run == nil {
		return
	}
	if err := s.run.Kill(); err != nil {
		s.t.Errorf("redistest: %v", err)
	}
	s.run = nil
}

// anyPort returns a random port below the ephemeral range of every system. An outgoing connection could take an
// ephemeral port between Kill and Restart, and a client that redials such a port on loopback can even connect to
// itself.
func anyPort() int { return 20000 + rand.IntN(12000) }

var errPortTaken = errors.New("port is taken")

// The method "begin" starts a process on s.port, and waits until the process replies. If another process uses the
// port, it returns errPortTaken.
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
	args = append(args, s.config...)
	if s.watched != "" {
		if args, err = s.sentinelArguments(); err != nil {
			return err
		}
	}
	cmd := exec.Command(s.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	run, err := process.Start(cmd)
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

// ready waits until the started process replies to PING. A process does not reply while it loads its append-only
// file.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	// The timeout is short, because another program on the port may accept connections and never reply.
	c := redis.NewClient(&redis.Options{
		Addr: s.Addr(), Password: s.password, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 200 * time.Millisecond,
	})
	defer c.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := errors.New("no answer")
	for {
		select {
		case <-s.run.Done():
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

// checkIdentity returns an error if another process holds the port, or if the Redis is too old for Tuma's
// scripts.
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
	if field("process_id") != strconv.Itoa(s.run.PID()) {
		return errPortTaken
	}
	version := field("redis_version")
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return fmt.Errorf("%s is Redis %s; it must be 7.0 or newer\n%s", s.binary, version, install)
	}
	return nil
}
