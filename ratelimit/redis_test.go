package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	runSuite(t, openRedis(t, redistest.Start(t).Client()), slices.Concat(rules, traffic)...)
}

func TestRedisOnMiniredis(t *testing.T) {
	t.Parallel()
	// Each account has its own miniredis, because the clock of a miniredis applies to all
	// keys. The traffic checks are omitted, because the Lua of miniredis is slow. The rules
	// test the whole script.
	open := func(r Rate, burst int) *account {
		m := miniredis.RunT(t)
		m.SetTime(epoch)
		c := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { _ = c.Close() })
		l := newRedis(t, c, "{acct}:rate", r, burst)
		return &account{rate: r, burst: burst, bulk: l, otp: l.Transactional(), clock: &miniClock{handClock: newHandClock(), server: m}}
	}
	runSuite(t, open, rules...)
}

type miniClock struct {
	*handClock
	server *miniredis.Miniredis
}

func (c *miniClock) advance(d time.Duration) {
	c.handClock.advance(d)
	c.server.SetTime(c.now())
}

// openRedis opens accounts in a real Redis. It changes the limiter's script in one place only:
// the script reads the time from a list that the test writes.
func openRedis(t testing.TB, rdb *redis.Client) opener {
	const real, fake = `redis.call('TIME')`, `redis.call('LRANGE', KEYS[1] .. ':clock', 0, 1)`
	source := strings.Replace(reserveSource, real, fake, 1)
	if source == reserveSource {
		t.Fatal("reserve.lua does not contain the call that reads the time, which the test replaces")
	}
	var accounts atomic.Int64
	return func(r Rate, burst int) *account {
		l := newRedis(t, rdb, fmt.Sprintf("{%d}:rate", accounts.Add(1)), r, burst)
		l.script = redis.NewScript(source)
		c := &listClock{handClock: newHandClock(), t: t, rdb: rdb, key: l.key + ":clock"}
		c.write()
		return &account{rate: r, burst: burst, bulk: l, otp: l.Transactional(), clock: c}
	}
}

type listClock struct {
	*handClock
	t   testing.TB
	rdb *redis.Client
	key string
}

func (c *listClock) advance(d time.Duration) {
	c.handClock.advance(d)
	c.write()
}

func (c *listClock) write() {
	now := c.now()
	// The newest two elements are first, and LRANGE reads only those.
	if err := c.rdb.LPush(context.Background(), c.key, now.Nanosecond()/1000, now.Unix()).Err(); err != nil {
		c.t.Error(err)
	}
}

func newRedis(t testing.TB, rdb redis.UniversalClient, key string, r Rate, burst int) *Redis {
	t.Helper()
	l, err := NewRedis(rdb, key, r, burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The Lua and the Go implementation must return the same results, to the microsecond, for any
// sequence of calls.
func TestRedisAndLocalAgree(t *testing.T) {
	t.Parallel()
	inRedis, inGo := openRedis(t, redistest.Start(t).Client()), openLocal(t)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		r := Rate(rapid.SampledFrom([]float64{0, 1.0 / 60, 0.7, 10, 50, 1000, 33333}).Draw(t, "rate"))
		burst := rapid.IntRange(0, 20).Draw(t, "burst")
		a, b := inRedis(r, burst), inGo(r, burst)
		call := func(do func(a *account, l Limiter) string, otp bool) {
			t.Helper()
			var said [2]string
			for i, a := range []*account{a, b} {
				said[i] = do(a, map[bool]Limiter{false: a.bulk, true: a.otp}[otp])
			}
			if said[0] != said[1] {
				t.Fatalf("Redis: %s; Local: %s", said[0], said[1])
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				n := rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 600)).Draw(t, "n")
				max := time.Duration(rapid.IntRange(-1, 3_000_000).Draw(t, "max")) * time.Microsecond
				call(func(_ *account, l Limiter) string {
					wait, ok, err := l.Reserve(ctx, n, max)
					return fmt.Sprint(wait, ok, err)
				}, rapid.Bool().Draw(t, "otp"))
			},
			"return": func(t *rapid.T) {
				n := rapid.IntRange(1, 20).Draw(t, "n")
				ahead := time.Duration(rapid.IntRange(-500_000, 2_000_000).Draw(t, "ahead")) * time.Microsecond
				call(func(_ *account, l Limiter) string { return fmt.Sprint(l.Return(ctx, n, ahead)) }, false)
			},
			"cooldown": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(-1, 2_000_000).Draw(t, "d")) * time.Microsecond
				call(func(_ *account, l Limiter) string { return fmt.Sprint(l.Cooldown(ctx, d)) }, false)
			},
			"advance": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(0, 1_500_000).Draw(t, "d")) * time.Microsecond
				call(func(a *account, _ Limiter) string { a.clock.advance(d); return "" }, false)
			},
		})
	})
}

func TestRedisGrantIsOneCommandOfItsClock(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newRedis(t, s.Client(), "{acct}:rate", 1000, 1)
	// The first call loads the script into Redis.
	if _, _, err := l.Reserve(t.Context(), 1, long); err != nil {
		t.Fatal(err)
	}
	if err := s.Client().ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	const grants = 2000
	var last atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range grants / 16 {
				wait, ok, err := l.Reserve(t.Context(), 1, long)
				if !ok || err != nil {
					t.Errorf("Reserve: %v, %v", ok, err)
				}
				at := int64(time.Since(begin) + wait)
				for seen := last.Load(); at > seen && !last.CompareAndSwap(seen, at); seen = last.Load() {
				}
			}
		})
	}
	all.Wait()
	// By the clock of Redis, 2,000 grants at 1000/s take two seconds.
	if end := time.Duration(last.Load()); end < 1990*ms || end > 2*time.Second+time.Since(begin) {
		t.Errorf("the last of %d turns at 1000/s has a wait of %v; want two seconds", grants, end)
	}
	stats, err := s.Client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("cmdstat_evalsha:calls=%d,", grants); !strings.Contains(stats, want) || strings.Contains(stats, "cmdstat_eval:") {
		t.Errorf("commands for %d grants: %s; want one EVALSHA each", grants, stats)
	}
}

func TestRedisKeyExpiresOnlyWhenItSaysNothing(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	l := newRedis(t, rdb, "{acct}:rate", 1, 1)
	if _, _, err := l.Reserve(t.Context(), 7200, long); err != nil {
		t.Fatal(err)
	}
	if ttl := rdb.TTL(t.Context(), l.key).Val(); ttl < 3*time.Hour-time.Minute || ttl > 3*time.Hour+time.Minute {
		t.Errorf("with a debt of two hours, the TTL of the key is %v; want three hours", ttl)
	}
	free := newRedis(t, rdb, "{free}:rate", Unlimited, 0)
	if err := free.Cooldown(t.Context(), 10*time.Hour); err != nil {
		t.Fatal(err)
	}
	if ttl := rdb.TTL(t.Context(), free.key).Val(); ttl < 11*time.Hour-time.Minute || ttl > 11*time.Hour+time.Minute {
		t.Errorf("with a cool-down of ten hours, the TTL of the key is %v; want eleven hours", ttl)
	}
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 2 {
		t.Errorf("keys of two accounts: %v, %v; want two keys", keys, err)
	}
}

func TestRedisTakesANewRateAtOnce(t *testing.T) {
	t.Parallel()
	a := openRedis(t, redistest.Start(t).Client())(50, 5)
	if err := reserve(a.bulk, step{505, 0, 0, true}); err != nil {
		t.Fatal(err)
	}
	for rate, want := range map[Rate]time.Duration{5: 100200 * ms, 50: 10020 * ms, 5000: 100200 * time.Microsecond} {
		l := *a.bulk.(*Redis)
		l.rate = rate
		// A refused call gets the wait until a retry, and reserves nothing.
		if err := reserve(&l, step{1, 0, want, false}); err != nil {
			t.Errorf("at %v: %v", rate, err)
		}
	}
	free := *a.bulk.(*Redis)
	free.rate = Unlimited
	if err := errors.Join(
		reserve(&free, step{1, 0, 0, true}),
		free.Return(t.Context(), 1, 0),
		// The bucket has not changed in the meantime.
		reserve(a.bulk, step{1, 0, 10020 * ms, false}),
	); err != nil {
		t.Errorf("after the limit was lifted and set again: %v", err)
	}
}

// The clock of a promoted replica may be behind that of the old master. This must not block
// the account.
func TestRedisClockSetBack(t *testing.T) {
	t.Parallel()
	open := openRedis(t, redistest.Start(t).Client())
	a, free := open(10, 1), open(Unlimited, 0)
	back := func(a *account, cool time.Duration) {
		t.Helper()
		if err := a.bulk.Cooldown(t.Context(), cool); err != nil {
			t.Fatal(err)
		}
		a.clock.advance(-24 * time.Hour)
	}
	if err := reserve(a.bulk, step{5, 0, 0, true}); err != nil {
		t.Fatal(err)
	}
	back(a, 200*ms)
	back(free, 200*ms)
	if err := errors.Join(
		reserve(a.bulk, step{1, 0, 500 * ms, false}, step{1, long, 500 * ms, true}),
		reserve(free.bulk, step{1, 0, 200 * ms, false}),
	); err != nil {
		t.Error(err)
	}
	a.clock.advance(500 * ms)
	free.clock.advance(200 * ms)
	if err := errors.Join(
		reserve(a.bulk, step{1, long, 100 * ms, true}),
		reserve(free.bulk, step{1, 0, 0, true}),
	); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
}

func TestRedisAwayIsAnError(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newRedis(t, s.Client(noRetry), "{acct}:rate", 10, 1)
	if err := reserve(l, step{1, 0, 0, true}); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if wait, ok, err := l.Reserve(t.Context(), 1, long); err == nil || ok || wait != 0 {
		t.Errorf("Reserve without Redis = %v, %v, %v; want 0, false and an error", wait, ok, err)
	}
	if err := l.Return(t.Context(), 1, 0); err == nil {
		t.Error("Return did not err")
	}
	if err := l.Cooldown(t.Context(), time.Second); err == nil {
		t.Error("Cooldown did not err")
	}
	s.Restart()
	// Redis has lost the bucket and the script. At most one extra burst is granted.
	if err := reserve(l, step{1, 0, 0, true}); err != nil {
		t.Errorf("after a restart of Redis: %v", err)
	}
	if err := s.Client().Set(t.Context(), l.key, "not a hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Reserve(t.Context(), 1, long); err == nil || ok {
		t.Errorf("Reserve on a key of another type: %v, %v; want false and an error", ok, err)
	}
}

func TestRedisLostAnswers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	direct := s.Client()
	tokens := func(l *Redis) float64 {
		t.Helper()
		n, err := strconv.ParseFloat(direct.HGet(t.Context(), l.key, "tokens").Val(), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	through := s.Client(func(o *redis.Options) { o.Addr = p.Addr() })
	// At 1/m almost no tokens are added while the test runs.
	l := newRedis(t, through, "{acct}:rate", 1.0/60, 100)
	if _, _, err := l.Reserve(t.Context(), 50, long); err != nil {
		t.Fatal(err)
	}
	p.CutAfter(0)
	if err := l.Return(t.Context(), 10, 0); err == nil {
		t.Error("Return did not err")
	}
	if got := tokens(l); got < 60 || got > 61 {
		t.Errorf("the bucket holds %v; want 60, because 10 came back to 50 once", got)
	}
	// Ping makes sure that the connection works again, so that the next answer comes from the
	// script.
	if err := through.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.CutAfter(0)
	if _, ok, err := l.Reserve(t.Context(), 10, 0); err != nil || !ok {
		t.Errorf("Reserve: %v, %v; want success, because go-redis retries", ok, err)
	}
	if got := tokens(l); got < 40 || got > 41 {
		t.Errorf("the bucket holds %v; want 40, because the repeated reservation takes 10 twice from 60", got)
	}
	// If Redis does not have the script, Return sends the script.
	if err := direct.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := l.Return(t.Context(), 10, 0); err != nil {
		t.Errorf("Return to a Redis that does not know the script: error %v; want none", err)
	}
	if got := tokens(l); got < 50 || got > 51 {
		t.Errorf("the bucket holds %v, want 50", got)
	}
}

func TestRedisInACluster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithConfig("cluster-enabled", "yes"))
	node := s.Client()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Addr()}})
	defer rdb.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * ms)
	defer tick.Stop()
	for !strings.Contains(node.ClusterInfo(ctx).Val(), "cluster_state:ok") {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the Redis cluster does not become ready")
		}
	}
	l := newRedis(t, rdb, "tuma:{acct}:rate", 1.0/60, 10)
	if _, ok, err := l.Reserve(ctx, 10, 0); !ok || err != nil {
		t.Fatalf("Reserve: %v, %v", ok, err)
	}
	if err := l.Return(ctx, 5, 0); err != nil {
		t.Fatalf("Return: %v", err)
	}
	if _, ok, err := l.Reserve(ctx, 5, 0); !ok || err != nil {
		t.Errorf("Reserve of the returned tokens: %v, %v; want true without an error", ok, err)
	}
}

func TestNewRedisRefusesNonsense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		key   string
		rate  Rate
		burst int
	}{
		{"no key", "", 1, 1},
		{"a negative rate", "k", -1, 1},
		{"a rate beyond all gateways", "k", 2 * maxRate, 1},
		{"a negative burst", "k", 1, -1},
		{"a burst beyond all calls", "k", 1, MaxTokens + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := NewRedis(nil, tt.key, tt.rate, tt.burst); err == nil {
				t.Error("NewRedis did not err")
			}
			if _, err := NewLocal(tt.rate, tt.burst, time.Now); err == nil && tt.key != "" {
				t.Error("NewLocal did not err")
			}
		})
	}
}

func noRetry(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 }

func TestRedisFollowsARateSetByHand(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	ctx := t.Context()
	// Two processes have different configurations.
	a, b := newRedis(t, rdb, "{acct}:rate", 10, 1).Following("{acct}"), newRedis(t, rdb, "{acct}:rate", Unlimited, 0).Following("{acct}")
	set := func(r Rate, burst int) {
		t.Helper()
		s, err := Setting(r, burst)
		if err != nil {
			t.Fatal(err)
		}
		if err := rdb.HSet(ctx, "{acct}", "rate", s, "card", "{}").Err(); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(l *Redis, n int) time.Duration {
		t.Helper()
		d, ok, err := l.Reserve(ctx, n, long)
		if err != nil || !ok {
			t.Fatalf("Reserve: %v, %v", ok, err)
		}
		return d
	}
	near := func(got, want time.Duration) bool { return got > want-500*ms && got <= want }
	if d := wait(b, 1000); d != 0 {
		t.Errorf("wait without a limit = %v; want 0", d)
	}
	set(Rate(1.0/60), 5)
	wait(b, 5)
	if d := wait(a, 1); !near(d, time.Minute) {
		t.Errorf("wait at 1/m after a burst of 5 = %v; want one minute", d)
	}
	// The debt is paid off at the new rate, for both processes.
	set(0.1, 0)
	if d := wait(b, 1); !near(d, 20*time.Second) {
		t.Errorf("wait at 0.1/s = %v; want 20 s", d)
	}
	set(Unlimited, 0)
	if d := wait(a, 1000); d != 0 {
		t.Errorf("wait after the rate was set to unlimited = %v; want 0", d)
	}
	if err := a.Return(ctx, 1000, 0); err != nil {
		t.Fatal(err)
	}
	rdb.HDel(ctx, "{acct}", "rate")
	if d := wait(a, 1); !near(d, 300*ms) {
		t.Errorf("wait at the configured rate, with two tokens owed = %v; want 300 ms", d)
	}
	for _, wrong := range []func() (string, error){
		func() (string, error) { return Setting(-1, 0) },
		func() (string, error) { return Setting(10, -1) },
	} {
		if s, err := wrong(); err == nil {
			t.Errorf("Setting = %q; want an error", s)
		}
	}
}
