package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	ms   = time.Millisecond
	long = time.Hour
)

// check is something that every Limiter must pass. It says what is wrong rather
// than failing a test, so that wrong limiters can be shown to be found.
type check struct {
	name string
	run  func(open opener) error
}

// rules say what one call after the other must answer, exactly.
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

// traffic says what must come of minutes of work by many.
var traffic = []check{
	{"asked again in turn", checkAskedAgain},
	{"both kinds", checkBothKinds},
	{"any second", checkAnySecondOfAnything},
	{"backlog", checkBacklog},
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

func TestSuiteFindsWrongLimiters(t *testing.T) {
	t.Parallel()
	for _, w := range wrongs(t) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range slices.Concat(rules, traffic) {
				if c.name != w.finds {
					continue
				}
				err := c.run(w.open)
				if err == nil {
					t.Fatalf("check %q finds nothing wrong", c.name)
				}
				t.Log(err)
				return
			}
			t.Fatalf("there is no check %q", w.finds)
		})
	}
}

// step is one Reserve and what it must answer.
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
	// Two have gathered since the last turn.
	if err := reserve(a.bulk, step{2, 0, 0, true}, step{1, long, 20 * ms, true}); err != nil {
		return err
	}
	a.clock.advance(time.Minute)
	// An idle minute gathers no more than the burst.
	return reserve(a.bulk, step{5, 0, 0, true}, step{1, long, 20 * ms, true})
}

func checkLarge(open opener) error {
	a := open(50, 5)
	if err := reserve(a.bulk,
		step{500, 0, 0, true},
		step{1, long, 9920 * ms, true},            // 495 owed and one more
		step{500, long, (9920 + 100) * ms, true},  // the bucket is full again
		step{5, long, (10020 + 10000) * ms, true}, // 495 owed and five
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
			step{1, 99 * ms, 200 * ms, false}, // after those refused before it
			step{1, 100 * ms, 100 * ms, true}, // nothing was booked by them
		),
		func() error {
			a := open(10, 1)
			if err := reserve(a.bulk, step{1, 0, 0, true}, step{7, long, 100 * ms, true}, step{1, 300 * ms, 500 * ms, false}); err != nil {
				return err
			}
			// Whoever asks again when he was told to is served.
			a.clock.advance(500 * ms)
			return reserve(a.bulk, step{1, 300 * ms, 300 * ms, true})
		}(),
	)
}

// Sixty-four callers with places for ten of them booked ahead must not all
// come back at the same moment to be refused again.
func checkAskedAgain(open opener) error {
	a := open(10, 1)
	var callers []*caller
	for range 64 {
		callers = append(callers, &caller{limiter: a.bulk, n: 1, max: time.Second, late: ms})
	}
	turns, asked, err := backlog(a, callers, epoch.Add(time.Minute))
	if err != nil {
		return err
	}
	// A grant costs one question, the refusal before it one more, and those for
	// whom the queue is too long come back early.
	if most := 5 * len(turns) / 2; asked > most {
		return fmt.Errorf("asked %d times for %d turns", asked, len(turns))
	}
	return nil
}

func checkGivenBack(open opener) error {
	back := func(a *account, n int, ahead time.Duration) error {
		return a.bulk.Return(context.Background(), n, ahead)
	}
	a := open(10, 1)
	b := open(10, 5)
	c := open(10, 5)
	return errors.Join(
		// The last one booked is had again whole, ahead of its turn.
		reserve(a.bulk, step{1, 0, 0, true}, step{20, long, 100 * ms, true}), back(a, 20, 100*ms),
		reserve(a.bulk, step{1, long, 100 * ms, true}),
		// Whose turn has come and gone, and nobody booked behind it: too, up to the burst.
		func() error { a.clock.advance(150 * ms); return nil }(), back(a, 1, -50*ms),
		reserve(a.bulk, step{1, 0, 0, true}, step{1, long, 100 * ms, true}),
		// A turn with others behind it is gone: they were told to wait for it.
		reserve(b.bulk, step{5, 0, 0, true}, step{1, long, 100 * ms, true}, step{1, long, 200 * ms, true}),
		back(b, 1, 100*ms), reserve(b.bulk, step{1, long, 300 * ms, true}),
		// A bucket is never fuller than its burst.
		reserve(c.bulk, step{3, 0, 0, true}), func() error { c.clock.advance(200 * ms); return nil }(),
		back(c, 3, -200*ms), reserve(c.bulk, step{5, 0, 0, true}, step{1, long, 100 * ms, true}),
		back(open(10, 5), 3, 0), back(open(0, 0), 3, 0),
	)
}

// Calls are given back by callers who overslept, while others go on; what was
// really used must keep to the rate all the same.
func checkGivenBackLate(open opener) error {
	a := open(10, 10)
	for range 20 { // booked ahead: their turns are a tenth of a second apart
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
		if wait, ok, err := a.bulk.Reserve(context.Background(), 1, long); err != nil || !ok {
			return errors.Join(errors.New("refused"), err)
		} else {
			used = append(used, turn{a.clock.now().Add(wait), 1})
		}
	}
	// The last one that was booked ahead has its turn one second in; from then on
	// a turn each tenth of a second is what there is.
	slices.SortFunc(used, func(a, b turn) int { return a.at.Compare(b.at) })
	if first := used[0].at.Sub(epoch); first < 1100*ms {
		return fmt.Errorf("a turn at %v, before the last that was booked earlier", first)
	}
	for i, u := range used[1:] {
		if gap := u.at.Sub(used[i].at); gap < 99*ms {
			return fmt.Errorf("turns %v apart", gap)
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
			step{1, long, 4 * time.Second, true}, // the burst, and no more than that
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
	// A one-time code need not wait ten seconds; bulk must, and a little longer for each of them.
	if err := errors.Join(
		reserve(a.otp, step{1, time.Second, 100 * ms, true}, step{2, time.Second, 300 * ms, true}),
		reserve(a.bulk, step{1, long, 9980 * ms, true}),
		// It does not overtake a turn that has been given out.
		reserve(a.otp, step{1, long, 10000 * ms, true}),
	); err != nil {
		return err
	}
	b := open(50, 5)
	if err := reserve(b.bulk, step{500, 0, 0, true}); err != nil {
		return err
	}
	b.clock.advance(5 * time.Second)
	// The share does not gather: after one call at once the next waits for it again.
	return errors.Join(
		reserve(b.otp, step{1, 0, 0, true}, step{1, long, 100 * ms, true}),
		// Where there is no debt, there is no difference.
		reserve(open(50, 5).otp, step{5, 0, 0, true}, step{1, long, 20 * ms, true}, step{500, long, 120 * ms, true}),
	)
}

// Bulk and transactional callers together keep to the rate, and use it, and
// transactional ones get their share beside bulk debt.
func checkBothKinds(open opener) error {
	for _, n := range []int{1, 20, 500} {
		a := open(50, 5)
		var callers []*caller
		for range 16 {
			callers = append(callers, &caller{limiter: a.bulk, n: n, max: 800 * ms, late: ms})
		}
		otp := &counting{Limiter: a.otp}
		for range 16 {
			callers = append(callers, &caller{limiter: otp, n: 1, max: time.Second, late: ms})
		}
		end := epoch.Add(time.Minute)
		turns, _, err := backlog(a, callers, end)
		if err != nil {
			return fmt.Errorf("bulk calls of %d: %w", n, err)
		}
		if err := errors.Join(checkAnySecond(turns, a.rate, a.burst), checkUsed(turns, a.rate, end)); err != nil {
			return fmt.Errorf("bulk calls of %d: %w", n, err)
		}
		// A fifth of the rate, less the turns of bulk that were booked before they asked.
		if least := 0.8 * share * float64(a.rate) * 60; float64(otp.granted) < least {
			return fmt.Errorf("beside bulk calls of %d, %d transactional ones went in a minute; want %v", n, otp.granted, least)
		}
	}
	return nil
}

// counting counts what it grants.
type counting struct {
	Limiter
	granted int
}

func (l *counting) Reserve(ctx context.Context, n int, max time.Duration) (time.Duration, bool, error) {
	wait, ok, err := l.Limiter.Reserve(ctx, n, max)
	if ok {
		l.granted++
	}
	return wait, ok, err
}

func checkWrongUse(open opener) error {
	a := open(10, 1)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok, err := a.bulk.Reserve(over, 1, long); ok || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Reserve with a context that is over: %v, %w", ok, err)
	}
	if err := a.bulk.Cooldown(over, long); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Cooldown with a context that is over: %w", err)
	}
	if err := a.bulk.Return(over, 1, 0); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Return with a context that is over: %w", err)
	}
	for _, n := range []int{0, -1, MaxTokens + 1} {
		if _, ok, err := a.bulk.Reserve(context.Background(), n, long); ok || err == nil {
			return fmt.Errorf("Reserve(%d) = %v, %w", n, ok, err)
		}
		if err := a.bulk.Return(context.Background(), n, 0); err == nil {
			return fmt.Errorf("Return(%d) did not err", n)
		}
	}
	// Nothing of this was booked, and the largest call and wait there are do no harm.
	return reserve(a.bulk,
		step{1, 0, 0, true},
		step{MaxTokens, 1 << 62, 100 * ms, true},
		step{1, 1 << 62, 100*ms + MaxTokens*100*ms, true},
	)
}

// Many goroutines asking at the same moment get one turn each, none twice.
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
					errs = append(errs, fmt.Errorf("refused: %w", err))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(waits)
	for i, wait := range waits {
		if want := time.Duration(i) * ms; wait != want {
			errs = append(errs, fmt.Errorf("turn %d is after %v, want %v", i, wait, want))
			break
		}
	}
	return errors.Join(errs...)
}

// Whatever is asked for, by whom and when, and given back or not: no second holds too much.
func checkAnySecondOfAnything(open opener) error {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		a := open(Rate(1+random.IntN(300)), 1+random.IntN(40))
		turns, err := anything(a, random)
		if err == nil {
			err = checkAnySecond(turns, a.rate, a.burst)
		}
		if err != nil {
			return fmt.Errorf("seed %d, %v, burst %d: %w", seed, a.rate, a.burst, err)
		}
	}
	return nil
}

// anything uses an account at random for a while, and returns the turns that were used.
func anything(a *account, random *rand.Rand) (used []turn, err error) {
	ctx := context.Background()
	largest := 1 + random.IntN(1+random.IntN(80))
	pause := 1 + random.IntN(2_000_000*largest/int(a.rate))
	furthest := time.Duration(random.IntN(2000)) * ms
	var pending []turn
	for range 300 {
		a.clock.advance(time.Duration(random.IntN(pause)) * time.Microsecond)
		n := 1 + random.IntN(largest)
		wait, ok, err := []Limiter{a.bulk, a.bulk, a.otp}[random.IntN(3)].Reserve(ctx, n, furthest)
		if err != nil {
			return nil, err
		}
		if ok {
			pending = append(pending, turn{a.clock.now().Add(wait), n})
		}
		// Some are given back, before their turn or after it; most are used.
		for len(pending) > 6 {
			i := random.IntN(len(pending))
			p := pending[i]
			pending = slices.Delete(pending, i, i+1)
			if random.IntN(3) > 0 {
				used = append(used, p)
			} else if err := a.bulk.Return(ctx, p.n, p.at.Sub(a.clock.now())); err != nil {
				return nil, err
			}
		}
		if random.IntN(50) == 0 {
			if err := a.bulk.Cooldown(ctx, time.Duration(random.IntN(700))*ms); err != nil {
				return nil, err
			}
		}
	}
	return append(used, pending...), nil
}

// A minute of backlog, with few workers and many, small calls and large.
func checkBacklog(open opener) error {
	for _, try := range []struct {
		workers, n int
		asks       float64 // for a turn, at most
	}{{1, 1, 1}, {4, 3, 1}, {16, 1, 1}, {16, 20, 2.5}} {
		a := open(50, 5)
		var callers []*caller
		for range try.workers {
			callers = append(callers, &caller{limiter: a.bulk, n: try.n, max: time.Second, call: 10 * ms, late: 5 * ms})
		}
		end := epoch.Add(time.Minute)
		turns, asked, err := backlog(a, callers, end)
		if err == nil {
			err = errors.Join(checkAnySecond(turns, a.rate, a.burst), checkUsed(turns, a.rate, end))
		}
		if err == nil && float64(asked) > try.asks*float64(len(turns)) {
			err = fmt.Errorf("asked %d times for %d turns", asked, len(turns))
		}
		if err != nil {
			return fmt.Errorf("%d workers, %d tokens a call: %w", try.workers, try.n, err)
		}
	}
	return nil
}
