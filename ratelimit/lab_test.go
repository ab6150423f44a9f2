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
