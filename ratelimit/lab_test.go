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

// account is a new account under test, with a clock that only the test moves.
type account struct {
	rate  Rate
	burst int
	// bulk and otp are the account's limiters for bulk and transactional calls. Both limiters
	// share one bucket.
	bulk, otp Limiter
	clock     clock
}

// An opener makes a new account each time it is called.
type opener func(r Rate, burst int) *account

type clock interface {
	now() time.Time
	advance(d time.Duration)
}

// epoch is the start of virtual time, a whole number of seconds. It is close to the present,
// so that floating point rounds the times as in production.
var epoch = time.Unix(1_800_000_000, 0)

// handClock is a clock that moves only when the test moves it. It keeps its time in the memory of
// this process.
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

// turn is a reservation of n tokens that a caller has used, with the time of the use.
type turn struct {
	at time.Time
	n  int
}

// checkAnySecond returns an error if the turns in any second use too many tokens. The limit is
// the rate plus the burst. If the largest call has more tokens than the burst, the limit is the rate
// plus this call. Both ends of the second are included.
func checkAnySecond(turns []turn, r Rate, burst int) error {
	turns = slices.SortedFunc(slices.Values(turns), func(a, b turn) int { return a.at.Compare(b.at) })
	most := float64(burst)
	for _, t := range turns {
		most = max(most, float64(t.n))
	}
	// Waits are rounded up to a microsecond. So two turns can be one microsecond closer than the
	// rate allows.
	most += float64(r)*(1+2e-6) + 1e-6
	first, sum := 0, 0
	for _, last := range turns {
		sum += last.n
		for ; last.at.Sub(turns[first].at) > time.Second; first++ {
			sum -= turns[first].n
		}
		if float64(sum) > most {
			return fmt.Errorf("%d tokens in the second that ends at %v; want at most %v", sum, last.at.Sub(epoch), most)
		}
	}
	return nil
}

// checkUsed returns an error if the turns used less than 99 % of the rate between the first turn
// and end. During all of that time, callers must have been waiting.
func checkUsed(turns []turn, r Rate, end time.Time) error {
	used := 0
	for _, t := range turns {
		used += t.n
	}
	first := slices.MinFunc(turns, func(a, b turn) int { return a.at.Compare(b.at) })
	could := float64(r) * end.Sub(first.at).Seconds()
	if part := float64(used) / could; part < 0.99 {
		return fmt.Errorf("used %d of %.0f tokens: %.1f %%; want at least 99 %%", used, could, 100*part)
	}
	return nil
}

// caller is one of many callers. Each caller repeats three steps: it reserves, waits and
// calls.
type caller struct {
	limiter Limiter
	n       int
	max     time.Duration
	call    time.Duration // how long a call to the gateway takes
	late    time.Duration // after a wait, the caller is late by a random time below this limit
	wake    time.Time
}

// runCallers runs the callers up to the virtual time "end". It returns the turns that the callers
// used, and the number of their calls of Reserve.
func runCallers(a *account, callers []*caller, end time.Time) (turns []turn, asked int, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	queue := make(byWake, 0, len(callers))
	for _, c := range callers {
		c.wake = a.clock.now()
		heap.Push(&queue, c)
	}
	for {
		c := queue[0]
		if c.wake.After(end) {
			return turns, asked, nil
		}
		a.clock.advance(c.wake.Sub(a.clock.now()))
		wait, ok, err := c.limiter.Reserve(context.Background(), c.n, c.max)
		if err != nil {
			return nil, 0, err
		}
		asked++
		if !ok && wait <= 0 {
			return nil, 0, fmt.Errorf("Reserve refused with a wait of %v", wait)
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

// Pop panics. It is never called, because every caller stays in the heap.
func (q *byWake) Pop() any { panic("Pop is not used") }
