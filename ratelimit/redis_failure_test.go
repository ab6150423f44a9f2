package ratelimit

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The clock of a promoted replica may be behind the clock of the old master. This must not block
// the account.
func TestRedis_ClockSetBack(t *testing.T) {
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

func TestRedis_UnreachableIsAnError(t *testing.T) {
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
		t.Error("Return without Redis returned no error; want one")
	}
	if err := l.Cooldown(t.Context(), time.Second); err == nil {
		t.Error("Cooldown without Redis returned no error; want one")
	}
	s.Restart()
	// Redis has lost the bucket and the script. The limiter grants at most one extra burst.
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

func TestRedis_LostAnswers(t *testing.T) {
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
	// At a rate of one token a minute, almost no tokens are added while the test runs.
	l := newRedis(t, through, "{acct}:rate", 1.0/60, 100)
	if _, _, err := l.Reserve(t.Context(), 50, long); err != nil {
		t.Fatal(err)
	}
	p.CutAfter(0)
	if err := l.Return(t.Context(), 10, 0); err == nil {
		t.Error("Return whose answer was lost returned no error; want one")
	}
	if got := tokens(l); got < 60 || got > 61 {
		t.Errorf("the bucket holds %v; want 60: 50 tokens and 10 that were returned once", got)
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

func TestRedis_InACluster(t *testing.T) {
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
		t.Fatalf("Reserve: %v, %v; want true without an error", ok, err)
	}
	if err := l.Return(ctx, 5, 0); err != nil {
		t.Fatalf("Return: error %v; want none", err)
	}
	if _, ok, err := l.Reserve(ctx, 5, 0); !ok || err != nil {
		t.Errorf("Reserve of the returned tokens: %v, %v; want true without an error", ok, err)
	}
}

func noRetry(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 }
