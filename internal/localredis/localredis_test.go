package localredis

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start calls Start and closes the server at the end of the test. It fails the test if PATH has no
// redis-server.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("needs a redis-server on PATH: apt-get install -y redis-server")
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// client returns a client of the server.
func client(t *testing.T, s *Server) *redis.Client {
	t.Helper()
	rdb := connect(s.Address)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func TestStart_KeepsDataAndStopsAStrayServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stray := start(t, Options{Dir: dir, Keep: true})
	if err := client(t, stray).Set(t.Context(), "campaign", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	// The test does not close the stray server. It simulates a server that `tuma dev` leaves running
	// if it is killed, which can happen on systems other than Linux.
	port := portOf(t, stray)
	s := start(t, Options{Dir: dir, Keep: true, Port: port})
	if got, err := client(t, s).Get(t.Context(), "campaign").Result(); err != nil || got != "kept" {
		t.Errorf("the value after the restart is %q, error %v, want %q", got, err, "kept")
	}
	<-stray.Done()
	if s.Address != stray.Address || s.PID() == stray.PID() {
		t.Errorf("got address %s and process %d, want address %s and a new process", s.Address, s.PID(), stray.Address)
	}
}

func TestStart_ForeignServerOnThePortIsErrInUse(t *testing.T) {
	t.Parallel()
	foreign := start(t, Options{Dir: t.TempDir(), Keep: true})
	_, err := Start(t.Context(), Options{Dir: t.TempDir(), Keep: true, Port: portOf(t, foreign)})
	if !errors.Is(err, ErrInUse) {
		t.Errorf("got error %v, want ErrInUse", err)
	}
	if err := client(t, foreign).Ping(t.Context()).Err(); err != nil {
		t.Errorf("the other server must keep running; PING returns %v", err)
	}
}

func portOf(t *testing.T, s *Server) int {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStart_UnreadableDataIsAnErrorWithKeep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir, Keep: true})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("found the files %v, error %v, want an append-only file", names, err)
	}
	for _, name := range names {
		if err := os.WriteFile(name, []byte("damaged\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Start(t.Context(), Options{Dir: dir, Keep: true}); err == nil || !strings.Contains(err.Error(), "redis-server ended right after its start: ") {
		t.Errorf("got server %+v and error %v, want an error: campaigns must not seem lost", s, err)
	}
}

// TestStart_ServerThatCannotBeUsed changes PATH, so it is not parallel.
func TestStart_ServerThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct{ script, why string }{
		"none":      {"", "no redis-server on PATH"},
		"too old":   {"echo 'Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64'", "has version 6.2.14; 7.0 or later is required"},
		"no server": {"exit 1", "--version fails: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.script != "" {
				if err := os.WriteFile(filepath.Join(dir, "redis-server"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			s, err := Start(t.Context(), Options{Dir: t.TempDir(), Keep: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if s.Binary != "" || !strings.Contains(s.Why, c.why) || s.PID() != 0 || s.Done() != nil {
				t.Errorf("got binary %q, reason %q, process %d; want the built-in Redis, because %q", s.Binary, s.Why, s.PID(), c.why)
			}
			if err := client(t, s).Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
