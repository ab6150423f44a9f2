package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	ms   = time.Millisecond
	long = time.Hour
)

// check is a check that every Limiter must pass. It returns an error and does not fail the test.
// So a test can prove that the check finds wrong limiters.
type check struct {
	name string
	run  func(open opener) error
}

// rules check the exact results of sequences of calls.
var rules = []check{
	{"a burst, then one at a time", checkOrder},
	{"larger than the burst", checkLarge},
	{"refusal", checkRefusal},
	{"given back", checkGivenBack},
	{"given back late", checkGivenBackLate},
	{"cool-down", checkCooldown},
	{"unlimited", checkUnlimited},
	{"transactional", checkTransactional},
	{"wrong use", checkWrongUse},
	{"many at once", checkManyAtOnce},
}

func runSuite(t *testing.T, open opener, checks ...check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.run(open); err != nil {
				t.Error(err)
			}
		})
	}
}

// step is one call of Reserve and its expected results.
type step struct {
	n    int
	max  time.Duration
	wait time.Duration
	ok   bool
}

func reserve(l Limiter, steps ...step) error {
	for i, s := range steps {
		wait, ok, err := l.Reserve(context.Background(), s.n, s.max)
		if err != nil {
			return err
		}
		if wait != s.wait || ok != s.ok {
			return fmt.Errorf("step %d: Reserve(%d, %v) = %v, %v; want %v, %v", i, s.n, s.max, wait, ok, s.wait, s.ok)
		}
	}
	return nil
}

func checkOrder(open opener) error {
	a := open(50, 5)
	for range 5 {
		if err := reserve(a.bulk, step{1, 0, 0, true}); err != nil {
			return err
		}
	}
	if err := reserve(a.bulk, step{1, long, 20 * ms, true}, step{3, long, 80 * ms, true}, step{1, long, 100 * ms, true}); err != nil {
		return err
	}
	a.clock.advance(100*ms + 40*ms)
	// Two tokens have been added since the last turn.
	if err := reserve(a.bulk, step{2, 0, 0, true}, step{1, long, 20 * ms, true}); err != nil {
		return err
	}
	a.clock.advance(time.Minute)
	// An idle minute does not fill the bucket beyond the burst.
	return reserve(a.bulk, step{5, 0, 0, true}, step{1, long, 20 * ms, true})
}

func checkLarge(open opener) error {
	a := open(50, 5)
	if err := reserve(a.bulk,
		step{500, 0, 0, true},
		step{1, long, 9920 * ms, true},            // this call waits for the debt of 495 tokens and for one token
		step{500, long, (9920 + 100) * ms, true},  // this call waits until the bucket is full again
		step{5, long, (10020 + 10000) * ms, true}, // this call waits for the debt of 495 tokens and for five tokens
	); err != nil {
		return err
	}
	a.clock.advance(19 * time.Second)
	return reserve(a.bulk, step{1, long, 1040 * ms, true})
}

func checkRefusal(open opener) error {
	a := open(10, 1)
	return errors.Join(
		reserve(a.bulk,
			step{1, 0, 0, true},
			step{1, -1, 100 * ms, false},
			step{1, 99 * ms, 200 * ms, false}, // this wait is longer than the wait of the caller that was refused before
			step{1, 100 * ms, 100 * ms, true}, // the two refused calls above have reserved nothing
		),
		func() error {
			a := open(10, 1)
			if err := reserve(a.bulk, step{1, 0, 0, true}, step{7, long, 100 * ms, true}, step{1, 300 * ms, 500 * ms, false}); err != nil {
				return err
			}
			// A refused caller that retries after the returned wait gets a turn.
			a.clock.advance(500 * ms)
			return reserve(a.bulk, step{1, 300 * ms, 300 * ms, true})
		}(),
	)
}

func checkGivenBack(open opener) error {
	back := func(a *account, n int, ahead time.Duration) error {
		return a.bulk.Return(context.Background(), n, ahead)
	}
	a := open(10, 1)
	b := open(10, 5)
	c := open(10, 5)
	d := open(10, 5)
	return errors.Join(
		// The last reservation can be returned completely before its turn.
		reserve(a.bulk, step{1, 0, 0, true}, step{20, long, 100 * ms, true}), back(a, 20, 100*ms),
		reserve(a.bulk, step{1, long, 100 * ms, true}),
		// A reservation can also be returned after its turn, if no later reservation exists. The
		// bucket then holds at most its burst.
		func() error { a.clock.advance(150 * ms); return nil }(), back(a, 1, -50*ms),
		reserve(a.bulk, step{1, 0, 0, true}, step{1, long, 100 * ms, true}),
		// If later reservations exist, returned tokens are lost. The waits of the later
		// reservations already include the time for these tokens.
		reserve(b.bulk, step{5, 0, 0, true}, step{1, long, 100 * ms, true}, step{1, long, 200 * ms, true}),
		back(b, 1, 100*ms), reserve(b.bulk, step{1, long, 300 * ms, true}),
		// A bucket is never fuller than its burst.
		reserve(c.bulk, step{3, 0, 0, true}), func() error { c.clock.advance(200 * ms); return nil }(),
		back(c, 3, -200*ms), reserve(c.bulk, step{5, 0, 0, true}, step{1, long, 100 * ms, true}),
		// A large call is reserved, and after it a small call. Most tokens of the large call can
		// still be returned. The next call then gets a turn before the small call. The token of
		// this next call cannot be returned, because the small call's turn is later.
		reserve(d.bulk, step{5, 0, 0, true}, step{30, long, 500 * ms, true}, step{1, long, 3100 * ms, true}),
		back(d, 30, 500*ms), reserve(d.bulk, step{1, long, 2800 * ms, true}),
		back(d, 1, 2800*ms), reserve(d.bulk, step{1, long, 2900 * ms, true}),
		back(open(10, 5), 3, 0), back(open(0, 0), 3, 0),
	)
}

// Callers that are late return their reservations while other callers continue. The used tokens
// must not exceed the rate.
func checkGivenBackLate(open opener) error {
	a := open(10, 10)
	for range 20 { // ten turns are granted at once, and ten are reserved a tenth of a second apart
		if _, _, err := a.bulk.Reserve(context.Background(), 1, long); err != nil {
			return err
		}
	}
	var used []turn
	for range 10 {
		a.clock.advance(100 * ms)
		if err := a.bulk.Return(context.Background(), 1, 0); err != nil {
			return err
		}
		wait, ok, err := a.bulk.Reserve(context.Background(), 1, long)
		if err != nil || !ok {
			return errors.Join(errors.New("refused"), err)
		}
		used = append(used, turn{a.clock.now().Add(wait), 1})
	}
	// The last reservation that was made at the beginning has its turn after one second. From
	// then on, a turn follows every tenth of a second.
	slices.SortFunc(used, func(a, b turn) int { return a.at.Compare(b.at) })
	if first := used[0].at.Sub(epoch); first < 1100*ms {
		return fmt.Errorf("a turn at %v is before the turn of the last earlier reservation", first)
	}
	for i, u := range used[1:] {
		if gap := u.at.Sub(used[i].at); gap < 99*ms {
			return fmt.Errorf("two turns are %v apart; want 100 ms", gap)
		}
	}
	return nil
}

func checkCooldown(open opener) error {
	cool := func(l Limiter, d time.Duration) error { return l.Cooldown(context.Background(), d) }
	a := open(10, 2)
	free := open(0, 0)
	return errors.Join(
		cool(a.bulk, 5*time.Second), cool(a.bulk, time.Second), cool(a.otp, -time.Hour), cool(a.otp, 0),
		reserve(a.bulk, step{1, time.Second, 4 * time.Second, false}),
		reserve(a.otp, step{1, time.Second, 4 * time.Second, false}),
		func() error { a.clock.advance(time.Second); return nil }(),
		reserve(a.bulk,
			step{1, long, 4 * time.Second, true},
			step{1, long, 4 * time.Second, true}, // when the pause ends, the bucket holds its burst of two tokens
			step{1, long, 4100 * ms, true},
		),
		cool(a.otp, 10*time.Second),
		func() error { a.clock.advance(9900 * ms); return nil }(),
		reserve(a.bulk, step{2, long, 100 * ms, true}, step{1, long, 200 * ms, true}),

		cool(free.bulk, 2*time.Second),
		reserve(free.bulk, step{1, time.Second, time.Second, false}, step{1000, long, 2 * time.Second, true}),
		func() error { free.clock.advance(2 * time.Second); return nil }(),
		reserve(free.otp, step{1000, 0, 0, true}, step{1000, 0, 0, true}),
	)
}

func checkUnlimited(open opener) error {
	a := open(Unlimited, 0)
	for range 100 {
		if err := reserve(a.bulk, step{MaxTokens, 0, 0, true}); err != nil {
			return err
		}
	}
	return nil
}

func checkTransactional(open opener) error {
	a := open(50, 5)
	if err := reserve(a.bulk, step{500, 0, 0, true}); err != nil {
		return err
	}
	// Bulk calls must wait ten seconds. Each one-time code that is sent meanwhile makes this wait
	// slightly longer. The wait of a one-time code is much shorter.
	if err := errors.Join(
		reserve(a.otp, step{1, time.Second, 100 * ms, true}, step{2, time.Second, 300 * ms, true}),
		reserve(a.bulk, step{1, long, 9980 * ms, true}),
		// A one-time code does not overtake a turn that was already granted.
		reserve(a.otp, step{1, long, 10000 * ms, true}),
	); err != nil {
		return err
	}
	b := open(50, 5)
	if err := reserve(b.bulk, step{500, 0, 0, true}); err != nil {
		return err
	}
	b.clock.advance(5 * time.Second)
	// The transactional share must not accumulate: after one immediate call, the next call must
	// wait.
	return errors.Join(
		reserve(b.otp, step{1, 0, 0, true}, step{1, long, 100 * ms, true}),
		// Without a debt, the calls of both classes wait equally long.
		reserve(open(50, 5).otp, step{5, 0, 0, true}, step{1, long, 20 * ms, true}, step{500, long, 120 * ms, true}),
	)
}

func checkWrongUse(open opener) error {
	a := open(10, 1)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok, err := a.bulk.Reserve(over, 1, long); ok || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Reserve with a cancelled context: %v, error %w; want false and context.Canceled", ok, err)
	}
	if err := a.bulk.Cooldown(over, long); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Cooldown with a cancelled context: error %w; want context.Canceled", err)
	}
	if err := a.bulk.Return(over, 1, 0); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Return with a cancelled context: error %w; want context.Canceled", err)
	}
	for _, n := range []int{0, -1, MaxTokens + 1} {
		if _, ok, err := a.bulk.Reserve(context.Background(), n, long); ok || err == nil {
			return fmt.Errorf("Reserve(%d) = %v, error %w; want false and an error", n, ok, err)
		}
		if err := a.bulk.Return(context.Background(), n, 0); err == nil {
			return fmt.Errorf("Return(%d) returned no error; want one", n)
		}
	}
	// The calls above have reserved nothing. The largest n and the largest max must not overflow.
	return reserve(a.bulk,
		step{1, 0, 0, true},
		step{MaxTokens, 1 << 62, 100 * ms, true},
		step{1, 1 << 62, 100*ms + MaxTokens*100*ms, true},
	)
}

// Many concurrent goroutines get one turn each, and every turn is granted only once.
func checkManyAtOnce(open opener) error {
	const goroutines, each = 32, 25
	a := open(1000, 1)
	var (
		mu    sync.Mutex
		waits []time.Duration
		errs  []error
		all   sync.WaitGroup
	)
	for i := range goroutines {
		all.Go(func() {
			l := []Limiter{a.bulk, a.otp}[i%2]
			for range each {
				wait, ok, err := l.Reserve(context.Background(), 1, long)
				mu.Lock()
				waits = append(waits, wait)
				if !ok || err != nil {
					errs = append(errs, fmt.Errorf("Reserve refused a call: %w", err))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(waits)
	for i, wait := range waits {
		if want := time.Duration(i) * ms; wait != want {
			errs = append(errs, fmt.Errorf("turn %d has a wait of %v; want %v", i, wait, want))
			break
		}
	}
	return errors.Join(errs...)
}
