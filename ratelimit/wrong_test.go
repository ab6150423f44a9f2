package ratelimit

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestSuite_FindsWrongLimiters(t *testing.T) {
	t.Parallel()
	for _, w := range wrongLimiters(t) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range slices.Concat(rules, traffic) {
				if c.name != w.finds {
					continue
				}
				err := c.run(w.open)
				if err == nil {
					t.Fatalf("the check %q finds no error in the wrong limiter", c.name)
				}
				t.Log(err)
				return
			}
			t.Fatalf("there is no check %q", w.finds)
		})
	}
}

// wrongLimiters returns limiters with one fault each. Real limiters have had these faults, and
// the suite must find each of them. The field "finds" has the name of the check that must find
// the fault.
func wrongLimiters(t testing.TB) []struct {
	name, finds string
	open        opener
} {
	local := openLocal(t)
	change := func(f func(a *account)) opener {
		return func(r Rate, burst int) *account {
			a := local(r, burst)
			f(a)
			return a
		}
	}
	return []struct {
		name, finds string
		open        opener
	}{
		{"counts calendar seconds", "backlog", change(func(a *account) {
			w := &calendarSecondLimiter{clock: a.clock, rate: a.rate}
			a.bulk, a.otp = w, w
		})},
		{"has a second's worth of burst", "any second", func(r Rate, burst int) *account {
			a := local(r, max(burst, int(r)))
			a.burst = burst
			return a
		}},
		{"polls and wakes up late", "backlog", change(func(a *account) {
			p := pollingLimiter{a.bulk}
			a.bulk, a.otp = p, p
		})},
		{"forgets what a large call owes", "larger than the burst", change(func(a *account) {
			a.bulk = debtForgettingLimiter{a.bulk, a.burst}
		})},
		{"refuses calls larger than its burst", "larger than the burst", change(func(a *account) {
			a.bulk = burstBoundLimiter{rate.NewLimiter(rate.Limit(a.rate), a.burst), a.clock}
		})},
		{"books what it refuses", "refusal", change(func(a *account) { a.bulk = booksRefused{a.bulk} })},
		{"gives all refused callers the same wait", "refused calls retry in turn", change(func(a *account) {
			a.bulk = sameWaitLimiter{a.bulk}
		})},
		{"gives everything back whenever it is returned", "given back late", change(func(a *account) {
			a.bulk = returnsAll{a.bulk}
		})},
		{"never gives back", "given back", change(func(a *account) { a.bulk = neverReturningLimiter{a.bulk} })},
		{"lets a later cool-down shorten an earlier one", "cool-down", change(func(a *account) {
			a.bulk = newestCooldown{a.bulk, a}
		})},
		{"keeps transactional work in a separate bucket", "both kinds", change(func(a *account) {
			a.otp = local(a.rate*share, a.burst).on(a.clock)
		})},
		{"lets bulk debt hold up transactional work", "transactional", change(func(a *account) { a.otp = a.bulk })},
	}
}

// The method "on" sets the clock of the account's bucket to c, and returns the limiter of the
// bucket.
func (a *account) on(c clock) Limiter {
	l := a.bulk.(*Local)
	l.bucket.now = c.now
	return l
}

type calendarSecondLimiter struct {
	clock clock
	rate  Rate
	mu    sync.Mutex
	start time.Time
	used  int
}

func (w *calendarSecondLimiter) Reserve(_ context.Context, n int, _ time.Duration) (time.Duration, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	if s := now.Truncate(time.Second); s != w.start {
		w.start, w.used = s, 0
	}
	if float64(w.used+n) > float64(w.rate) && w.used > 0 {
		return w.start.Add(time.Second).Sub(now), false, nil
	}
	w.used += n
	return 0, true, nil
}

func (w *calendarSecondLimiter) Return(context.Context, int, time.Duration) error { return nil }

func (w *calendarSecondLimiter) Cooldown(context.Context, time.Duration) error { return nil }

type pollingLimiter struct{ Limiter }

func (l pollingLimiter) Reserve(ctx context.Context, n int, _ time.Duration) (time.Duration, bool, error) {
	wait, ok, err := l.Limiter.Reserve(ctx, n, 0)
	if !ok {
		wait = wait.Truncate(100*time.Millisecond) + 100*time.Millisecond
	}
	return wait, ok, err
}

type debtForgettingLimiter struct {
	Limiter
	burst int
}

func (l debtForgettingLimiter) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	return l.Limiter.Reserve(ctx, min(n, l.burst), max)
}

type burstBoundLimiter struct {
	limiter *rate.Limiter
	clock   clock
}

func (l burstBoundLimiter) Reserve(_ context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	now := l.clock.now()
	r := l.limiter.ReserveN(now, n)
	return r.DelayFrom(now), r.OK() && r.DelayFrom(now) <= max, nil
}

func (l burstBoundLimiter) Return(context.Context, int, time.Duration) error { return nil }

func (l burstBoundLimiter) Cooldown(context.Context, time.Duration) error { return nil }

type booksRefused struct{ Limiter }

func (l booksRefused) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	max = bounded(max)
	wait, _, err := l.Limiter.Reserve(ctx, n, maxAhead)
	if wait <= max {
		return wait, true, err
	}
	return wait - max, false, err
}

type sameWaitLimiter struct{ Limiter }

func (l sameWaitLimiter) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	wait, ok, err := l.Limiter.Reserve(ctx, n, max)
	if !ok {
		clear(l.Limiter.(*Local).bucket.back)
		wait, _, err = l.Limiter.Reserve(ctx, n, max)
	}
	return wait, ok, err
}

type returnsAll struct{ Limiter }

func (l returnsAll) Return(ctx context.Context, n int, _ time.Duration) error {
	return l.Limiter.Return(ctx, n, maxAhead)
}

type neverReturningLimiter struct{ Limiter }

func (l neverReturningLimiter) Return(context.Context, int, time.Duration) error { return nil }

type newestCooldown struct {
	Limiter
	account *account
}

func (l newestCooldown) Cooldown(_ context.Context, d time.Duration) error {
	l.Limiter.(*Local).bucket.cool = l.account.clock.now().Add(d)
	return nil
}
