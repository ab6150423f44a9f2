package ratelimit

import (
	"fmt"
	"slices"
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

func TestRedis_OnMiniredis(t *testing.T) {
	t.Parallel()
	// Each account has its own miniredis, because the clock of a miniredis applies to all keys.
	// The checks in the list "traffic" are omitted, because the Lua of miniredis is slow. The
	// checks in the list "rules" run every part of the script.
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

// The Lua and the Go implementation must return the same results, to the microsecond, for any
// sequence of calls.
func TestRedis_AgreesWithLocal(t *testing.T) {
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

func TestRedis_GrantIsOneCommand(t *testing.T) {
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
					t.Errorf("Reserve: %v, %v; want true without an error", ok, err)
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

func TestRedis_KeyExpiresOnlyWhenUnneeded(t *testing.T) {
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

func TestNewRedis_RefusesWrongArguments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		key   string
		rate  Rate
		burst int
	}{
		{"no key", "", 1, 1},
		{"a negative rate", "k", -1, 1},
		{"a rate above maxRate", "k", 2 * maxRate, 1},
		{"a negative burst", "k", 1, -1},
		{"a burst above MaxTokens", "k", 1, MaxTokens + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := NewRedis(nil, tt.key, tt.rate, tt.burst); err == nil {
				t.Error("NewRedis returned no error; want one")
			}
			if _, err := NewLocal(tt.rate, tt.burst, time.Now); err == nil && tt.key != "" {
				t.Error("NewLocal returned no error; want one")
			}
		})
	}
}
