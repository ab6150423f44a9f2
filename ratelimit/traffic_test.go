package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// traffic lists the checks with many callers over minutes of virtual time.
var traffic = []check{
	{"refused calls retry in turn", checkAskedAgain},
	{"both kinds", checkBothKinds},
	{"any second", checkAnySecondOfAnything},
	{"backlog", checkBacklog},
}

// There are 64 callers, but only ten of them can have reservations at the same time. The others
// must not all retry at the same moment, because they would be refused again.
func checkAskedAgain(open opener) error {
	a := open(10, 1)
	var callers []*caller
	for range 64 {
		callers = append(callers, &caller{limiter: a.bulk, n: 1, max: time.Second, late: ms})
	}
	turns, asked, err := runCallers(a, callers, epoch.Add(time.Minute))
	if err != nil {
		return err
	}
	// A grant needs one call of Reserve, and the refusal before the grant needs another call.
	// Some callers retry before their turn, because maxReturn limits their wait.
	if most := 5 * len(turns) / 2; asked > most {
		return fmt.Errorf("callers called Reserve %d times for %d turns; want at most %d times", asked, len(turns), most)
	}
	return nil
}

// Bulk and transactional callers together use the rate and do not exceed it. Transactional
// callers get their share of the rate while a bulk call's debt is paid off.
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
		turns, _, err := runCallers(a, callers, end)
		if err != nil {
			return fmt.Errorf("bulk calls of %d tokens: %w", n, err)
		}
		if err := errors.Join(checkAnySecond(turns, a.rate, a.burst), checkUsed(turns, a.rate, end)); err != nil {
			return fmt.Errorf("bulk calls of %d tokens: %w", n, err)
		}
		// Transactional calls have a share of the rate. They must get at least 80 % of this share.
		// Bulk turns that were reserved earlier may take the other 20 %.
		if least := 0.8 * share * float64(a.rate) * 60; float64(otp.granted) < least {
			return fmt.Errorf("beside bulk calls of %d tokens, %d transactional calls were granted in a minute; want at least %v", n, otp.granted, least)
		}
	}
	return nil
}

// The type "counting" is a limiter that counts its grants.
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

// For any sequence of Reserve and Return calls, the turns in any second stay within the rate
// and the burst.
func checkAnySecondOfAnything(open opener) error {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		a := open(Rate(1+random.IntN(300)), 1+random.IntN(40))
		turns, err := makeRandomCalls(a, random)
		if err == nil {
			err = checkAnySecond(turns, a.rate, a.burst)
		}
		if err != nil {
			return fmt.Errorf("seed %d, %v, burst %d: %w", seed, a.rate, a.burst, err)
		}
	}
	return nil
}

// makeRandomCalls makes random calls on the account a for some virtual time. It returns the used
// turns.
func makeRandomCalls(a *account, random *rand.Rand) (used []turn, err error) {
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
		// Most reservations are used. Some are returned, before or after their turn.
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

// checkBacklog runs workers for a minute of virtual time. These workers always have something to
// send. They must use the whole rate, must not exceed it, and must not call Reserve too often.
func checkBacklog(open opener) error {
	for _, try := range []struct {
		workers, n int
		asks       float64 // the maximum number of Reserve calls for each turn, on average
	}{{1, 1, 1}, {4, 3, 1}, {16, 1, 1}, {16, 20, 2.5}} {
		a := open(50, 5)
		var callers []*caller
		for range try.workers {
			callers = append(callers, &caller{limiter: a.bulk, n: try.n, max: time.Second, call: 10 * ms, late: 5 * ms})
		}
		end := epoch.Add(time.Minute)
		turns, asked, err := runCallers(a, callers, end)
		if err == nil {
			err = errors.Join(checkAnySecond(turns, a.rate, a.burst), checkUsed(turns, a.rate, end))
		}
		if err == nil && float64(asked) > try.asks*float64(len(turns)) {
			err = fmt.Errorf("callers called Reserve %d times for %d turns; want at most %v times for each turn", asked, len(turns), try.asks)
		}
		if err != nil {
			return fmt.Errorf("%d workers, %d tokens a call: %w", try.workers, try.n, err)
		}
	}
	return nil
}
