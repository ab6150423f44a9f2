package redistest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestStart_EachTestHasAnEmptyServer(t *testing.T) {
	t.Parallel()
	var servers [6]*redistest.Server
	t.Run("start", func(t *testing.T) {
		servers[0] = redistest.Start(t) // the test's own goroutine starts this server, because only this goroutine can skip the test
		var all sync.WaitGroup
		for i := range servers[1:] {
			i++
			all.Go(func() { servers[i] = redistest.Start(t) })
		}
		all.Wait()
		for i, s := range servers {
			c := s.Client()
			if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("DBSIZE = %d, %v; want an empty server", n, err)
			}
			if err := c.Set(t.Context(), "who", i, 0).Err(); err != nil {
				t.Error(err)
			}
			for _, other := range servers[:i] {
				if other.PID() == s.PID() || other.Addr() == s.Addr() {
					t.Errorf("two servers share the address %s or the pid %d", s.Addr(), s.PID())
				}
			}
		}
	})
	for _, s := range servers {
		if s != nil && s.PID() != 0 {
			t.Errorf("server %s still runs after the end of its test", s.Addr())
		}
	}
}

func TestRestart_KeepsPersistedData(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []redistest.Option
		want string
	}{
		{"no persistence forgets", nil, ""},
		{"append-only file, always", []redistest.Option{redistest.WithAOF("always")}, "v"},
		{"append-only file, everysec survives a crash of Redis alone", []redistest.Option{redistest.WithAOF("everysec")}, "v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, tt.opts...)
			c := s.Client()
			if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			addr, pid := s.Addr(), s.PID()
			s.Kill()
			s.Kill()
			if s.PID() != 0 {
				t.Error("a killed server has a pid")
			}
			if err := s.Client(once).Ping(t.Context()).Err(); err == nil {
				t.Error("a killed server replies")
			}
			s.Restart()
			if s.Addr() != addr || s.PID() == pid || s.PID() == 0 {
				t.Errorf("after restart: %s pid %d; before: %s pid %d", s.Addr(), s.PID(), addr, pid)
			}
			got, err := c.Get(t.Context(), "k").Result()
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("after restart: %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestStart_OptionsReachTheServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithConfig("maxmemory", "8mb", "maxmemory-policy", "allkeys-lru"),
		redistest.WithConfig("maxmemory-policy", "noeviction"), redistest.WithPassword("p@ss:word"))
	got, err := s.Client().ConfigGet(t.Context(), "maxmemory*").Result()
	if err != nil || got["maxmemory"] != "8388608" || got["maxmemory-policy"] != "noeviction" {
		t.Errorf("CONFIG GET: got %v, %v, want maxmemory 8388608 and maxmemory-policy noeviction", got, err)
	}
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("ping with the URL: %v", err)
	}
	if err := s.Client(func(o *redis.Options) { o.Password = "" }).Ping(t.Context()).Err(); err == nil {
		t.Error("the server accepts a client without the password")
	}
}

func TestStop_ServerHangsUntilCont(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(once, func(o *redis.Options) { o.ReadTimeout = 50 * time.Millisecond })
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("a stopped server replies")
	}
	s.Cont()
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("after Cont: %v", err)
	}
}

func TestMini_ServesOverTCP(t *testing.T) {
	t.Parallel()
	c := redistest.Mini(t)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("got %q, want \"v\"", got)
	}
}

func TestProxy_CutsOneAnswer(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 3} {
		t.Run(fmt.Sprintf("after %d bytes", after), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			c := s.Client(once, through(p))
			if err := c.Set(t.Context(), "n", 10000, 0).Err(); err != nil {
				t.Fatal(err)
			}
			p.CutAfter(after)
			if err := c.Incr(t.Context(), "n").Err(); err == nil {
				t.Error("INCR succeeded although its reply was cut")
			}
			if got, err := c.Get(t.Context(), "n").Int(); err != nil || got != 10001 {
				t.Errorf("n = %d, %v: want 10001, from one run of the command after the cut", got, err)
			}
		})
	}
}

func TestProxy_DelaysAnswersUntilResume(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	c, direct := s.Client(once, through(p)), s.Client()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	ran := func(want int) func() bool {
		return func() bool {
			n, err := direct.Get(t.Context(), "n").Int()
			return err == nil && n == want
		}
	}
	answers := make(chan error, 1)
	p.Pause()
	go func() { answers <- c.Incr(t.Context(), "n").Err() }()
	eventually(t, "the first command ran", ran(1))
	select {
	case err := <-answers:
		t.Fatalf("a reply passed a paused proxy: %v", err)
	default:
	}
	p.Resume()
	if err := <-answers; err != nil {
		t.Errorf("after Resume: %v", err)
	}
	p.Pause()
	go func() { answers <- c.Incr(t.Context(), "n").Err() }()
	eventually(t, "the second command ran", ran(2))
	p.Cut()
	if err := <-answers; err == nil {
		t.Error("INCR succeeded although its connection was cut")
	}
	p.Resume()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("a new connection after the cut: %v", err)
	}
}

func TestProxy_PassesLargeAnswers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(through(redistest.NewProxy(t, s.Addr())))
	want := strings.Repeat("0123456789", 100_000)
	if err := c.Set(t.Context(), "big", want, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), "big").Result(); err != nil || got != want {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestProxy_RefusesConnectionsWhenRedisIsDown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	c := s.Client(once, through(p))
	s.Kill()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("PING succeeded although Redis was killed")
	}
	s.Restart()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("after Restart: %v", err)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		redistest.Start(b).Kill()
	}
}

// With the option "once", a client returns the first error, without retries and long waits.
func once(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 }

func through(p *redistest.Proxy) func(*redis.Options) {
	return func(o *redis.Options) { o.Addr = p.Addr() }
}

// eventually waits until the function "ok" returns true. After ten seconds it fails the test with the text
// in the parameter "what", which names the awaited condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("timed out after 10 s, waiting until %s", what)
		}
	}
}
