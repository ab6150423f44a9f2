package ratelimit

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// account is a fresh account under test, with a clock that only the test moves.
type account struct {
	rate  Rate
	burst int
	// bulk and otp are its two limiters, which share one bucket.
	bulk, otp Limiter
	clock     clock
}

// An opener makes a new account for each call.
type opener func(r Rate, burst int) *account

type clock interface {
	now() time.Time
	advance(d time.Duration)
}

// epoch is when virtual time begins. It is late enough for the limiter to be as
// exact as it is today, and a whole number of seconds.
var epoch = time.Unix(1_800_000_000, 0)

// handClock is a clock in this process.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func newHandClock() *handClock { return &handClock{at: epoch} }

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openLocal(t testing.TB) opener {
	return func(r Rate, burst int) *account {
		c := newHandClock()
		l, err := NewLocal(r, burst, c.now)
		if err != nil {
			t.Fatal(err)
		}
		return &account{rate: r, burst: burst, bulk: l, otp: l.Transactional(), clock: c}
	}
}

// turn is a booking that was used: n tokens, at a moment.
type turn struct {
	at time.Time
	n  int
}

// checkAnySecond fails if some sliding second, both its ends counted, holds more
// tokens than the rate and the larger of the burst and the largest call.
func checkAnySecond(turns []turn, r Rate, burst int) error {
	turns = slices.SortedFunc(slices.Values(turns), func(a, b turn) int { return a.at.Compare(b.at) })
	most := float64(burst)
	for _, t := range turns {
		most = max(most, float64(t.n))
	}
	// Waits are rounded up to a microsecond, which can squeeze two turns together by one.
	most += float64(r)*(1+2e-6) + 1e-6
	first, sum := 0, 0
	for _, last := range turns {
		sum += last.n
		for ; last.at.Sub(turns[first].at) > time.Second; first++ {
			sum -= turns[first].n
		}
		if float64(sum) > most {
			return fmt.Errorf("%d tokens in the second until %v, at most %v are allowed", sum, last.at.Sub(epoch), most)
		}
	}
	return nil
}

// checkUsed fails if less than 99 % of the rate was used between the first turn
// and until, while there was always somebody who wanted more.
func checkUsed(turns []turn, r Rate, until time.Time) error {
	used := 0
	for _, t := range turns {
		used += t.n
	}
	first := slices.MinFunc(turns, func(a, b turn) int { return a.at.Compare(b.at) })
	could := float64(r) * until.Sub(first.at).Seconds()
	if part := float64(used) / could; part < 0.99 {
		return fmt.Errorf("%d tokens of %.0f were used: %.1f %%", used, could, 100*part)
	}
	return nil
}

// caller is one of many who take turn after turn: ask, wait, call, ask again.
type caller struct {
	limiter Limiter
	n       int
	max     time.Duration
	call    time.Duration // how long a call takes
	late    time.Duration // how much too late it may wake up, at random
	wake    time.Time
}

// backlog has the callers work until a moment of virtual time, and returns the
// turns they used and how often they asked.
func backlog(a *account, callers []*caller, until time.Time) (turns []turn, asked int, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	queue := make(byWake, 0, len(callers))
	for _, c := range callers {
		c.wake = a.clock.now()
		heap.Push(&queue, c)
	}
	for {
		c := queue[0]
		if c.wake.After(until) {
			return turns, asked, nil
		}
		a.clock.advance(c.wake.Sub(a.clock.now()))
		wait, ok, err := c.limiter.Reserve(context.Background(), c.n, c.max)
		if err != nil {
			return nil, 0, err
		}
		asked++
		if !ok && wait <= 0 {
			return nil, 0, fmt.Errorf("refused, and told to ask again after %v", wait)
		}
		next := c.wake.Add(wait)
		if ok {
			turns = append(turns, turn{next, c.n})
			next = next.Add(c.call)
		}
		if c.late > 0 {
			next = next.Add(time.Duration(random.Int64N(int64(c.late))).Truncate(time.Microsecond))
		}
		c.wake = next
		heap.Fix(&queue, 0)
	}
}

type byWake []*caller

func (q byWake) Len() int           { return len(q) }
func (q byWake) Less(i, j int) bool { return cmp.Less(q[i].wake.UnixNano(), q[j].wake.UnixNano()) }
func (q byWake) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byWake) Push(x any)        { *q = append(*q, x.(*caller)) }

// Pop is never called: a caller always comes back.
func (q *byWake) Pop() any { panic("nobody leaves") }

// wrongs are limiters that each have one fault which real ones have had. The
// suite has to find every one; finds names a check that must.
func wrongs(t testing.TB) []struct {
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
			w := &window{clock: a.clock, rate: a.rate}
			a.bulk, a.otp = w, w
		})},
		{"has a second's worth of burst", "any second", func(r Rate, burst int) *account {
			a := local(r, max(burst, int(r)))
			a.burst = burst
			return a
		}},
		{"polls and wakes up late", "backlog", change(func(a *account) {
			p := polls{a.bulk}
			a.bulk, a.otp = p, p
		})},
		{"forgets what a large call owes", "larger than the burst", change(func(a *account) {
			a.bulk = forgets{a.bulk, a.burst}
		})},
		{"refuses calls larger than its burst", "larger than the burst", change(func(a *account) {
			a.bulk = plain{rate.NewLimiter(rate.Limit(a.rate), a.burst), a.clock}
		})},
		{"books what it refuses", "refusal", change(func(a *account) { a.bulk = booksRefused{a.bulk} })},
		{"tells all whom it refuses the same moment", "asked again in turn", change(func(a *account) {
			a.bulk = herds{a.bulk}
		})},
		{"gives everything back whenever it is returned", "given back late", change(func(a *account) {
			a.bulk = returnsAll{a.bulk}
		})},
		{"never gives back", "given back", change(func(a *account) { a.bulk = keeps{a.bulk} })},
		{"lets a later cool-down shorten an earlier one", "cool-down", change(func(a *account) {
			a.bulk = newestCooldown{a.bulk, a}
		})},
		{"keeps transactional work in a bucket of its own", "both kinds", change(func(a *account) {
			a.otp = local(a.rate*share, a.burst).on(a.clock)
		})},
		{"lets bulk debt hold up transactional work", "transactional", change(func(a *account) { a.otp = a.bulk })},
	}
}

// on moves an account's bucket to another clock.
func (a *account) on(c clock) Limiter {
	l := a.bulk.(*Local)
	l.bucket.now = c.now
	return l
}

type window struct {
	clock clock
	rate  Rate
	mu    sync.Mutex
	start time.Time
	used  int
}

func (w *window) Reserve(_ context.Context, n int, _ time.Duration) (time.Duration, bool, error) {
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

func (w *window) Return(context.Context, int, time.Duration) error { return nil }

func (w *window) Cooldown(context.Context, time.Duration) error { return nil }

type polls struct{ Limiter }

func (l polls) Reserve(ctx context.Context, n int, _ time.Duration) (time.Duration, bool, error) {
	wait, ok, err := l.Limiter.Reserve(ctx, n, 0)
	if !ok {
		wait = wait.Truncate(100*time.Millisecond) + 100*time.Millisecond
	}
	return wait, ok, err
}

type forgets struct {
	Limiter
	burst int
}

func (l forgets) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	return l.Limiter.Reserve(ctx, min(n, l.burst), max)
}

type plain struct {
	limiter *rate.Limiter
	clock   clock
}

func (l plain) Reserve(_ context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	now := l.clock.now()
	r := l.limiter.ReserveN(now, n)
	return r.DelayFrom(now), r.OK() && r.DelayFrom(now) <= max, nil
}

func (l plain) Return(context.Context, int, time.Duration) error { return nil }

func (l plain) Cooldown(context.Context, time.Duration) error { return nil }

type booksRefused struct{ Limiter }

func (l booksRefused) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	max = bounded(max)
	wait, _, err := l.Limiter.Reserve(ctx, n, maxAhead)
	if wait <= max {
		return wait, true, err
	}
	return wait - max, false, err
}

type herds struct{ Limiter }

func (l herds) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
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

type keeps struct{ Limiter }

func (l keeps) Return(context.Context, int, time.Duration) error { return nil }

type newestCooldown struct {
	Limiter
	account *account
}

func (l newestCooldown) Cooldown(_ context.Context, d time.Duration) error {
	l.Limiter.(*Local).bucket.cool = l.account.clock.now().Add(d)
	return nil
}
