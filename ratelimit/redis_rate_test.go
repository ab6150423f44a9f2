package ratelimit

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestRedis_UsesANewRateAtOnce(t *testing.T) {
	t.Parallel()
	a := openRedis(t, redistest.Start(t).Client())(50, 5)
	if err := reserve(a.bulk, step{505, 0, 0, true}); err != nil {
		t.Fatal(err)
	}
	for rate, want := range map[Rate]time.Duration{5: 100200 * ms, 50: 10020 * ms, 5000: 100200 * time.Microsecond} {
		l := *a.bulk.(*Redis)
		l.rate = rate
		// For a refused call, Reserve returns the wait until a retry and reserves nothing.
		if err := reserve(&l, step{1, 0, want, false}); err != nil {
			t.Errorf("at %v: %v", rate, err)
		}
	}
	free := *a.bulk.(*Redis)
	free.rate = Unlimited
	if err := errors.Join(
		reserve(&free, step{1, 0, 0, true}),
		free.Return(t.Context(), 1, 0),
		// The calls at the rate Unlimited have not changed the bucket.
		reserve(a.bulk, step{1, 0, 10020 * ms, false}),
	); err != nil {
		t.Errorf("after the limit was lifted and set again: %v", err)
	}
}

func TestRedis_FollowsARateSetByHand(t *testing.T) {
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
			t.Fatalf("Reserve: %v, %v; want true without an error", ok, err)
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
	// The debt is paid off at the new rate in both processes.
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
