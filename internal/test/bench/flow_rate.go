//go:build unix

package main

import (
	"context"
	"fmt"
	"time"
)

// warmUp is the time at the start of a case that is not measured. Sending is slower in this time:
// planning begins, and the slow start of the account allows one call at a time at first.
const warmUp = 3 * time.Second

// measureRates measures, for each rate and number of workers, how much of an account's rate is used, and
// whether the rate is exceeded. The account always has a backlog.
func measureRates(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	fmt.Printf("\none account with a backlog, measured for %s each\n", o.lasts)
	fmt.Println("workers   rate/s  a call     used    granted in 1 s   accepted in 1 s  requests/grant   redis commands/s")
	for _, rate := range o.rates {
		for _, workers := range o.workers {
			if err := measureRate(ctx, o, workers, rate, &b); err != nil {
				return nil, err
			}
		}
	}
	return b.broken, nil
}

// perCall returns how many recipients a call has at a rate in messages a second.
func perCall(rate int) int {
	if rate >= 5000 {
		return 500
	}
	return 1
}

// redisCounters counts the cost of the workers of the measured account so far: the commands that Redis has
// run, and the requests to the limiter.
type redisCounters struct {
	commands int64
	requests int
}

func (r *flowRig) counters(ctx context.Context) (c redisCounters, err error) {
	if c.commands, err = r.commands(ctx); err != nil {
		return c, err
	}
	c.requests, err = r.limiterRequests(ctx, measured)
	return c, err
}

func measureRate(ctx context.Context, o flowOptions, workers, rate int, b *bounds) error {
	size := perCall(rate)
	r, err := newFlowRig(ctx, o, flowSetup{workers: workers, traced: true,
		accounts: []flowAccount{{gateway: measured, rate: fmt.Sprintf("%d/s", rate), perCall: size}}})
	if err != nil {
		return err
	}
	defer r.end()
	backlog := rate * int((o.lasts+warmUp+3*time.Second)/time.Second)
	if err := r.enqueue(ctx, "backlog", measured, "ACME", backlog, 0); err != nil {
		return err
	}
	first, err := r.firstCall(ctx)
	if err != nil {
		return err
	}
	from := first.Add(warmUp)
	if err := wait(ctx, from); err != nil {
		return err
	}
	before, err := r.counters(ctx)
	if err != nil {
		return err
	}
	if err := wait(ctx, from.Add(o.lasts)); err != nil {
		return err
	}
	after, err := r.counters(ctx)
	if err != nil {
		return err
	}
	to := time.Now()
	if err := wait(ctx, to.Add(time.Second)); err != nil { // countBetween needs a call after the measured span
		return err
	}
	granted, err := r.grants(ctx, measured)
	if err != nil {
		return err
	}
	went := acceptedCalls(r.gateway.Log(), nil)
	n, took := countBetween(went, from, to)
	grants, _ := countBetween(granted, from, to)
	used := float64(n) / took.Seconds() / float64(rate)
	// The default burst is the number of messages that the rate allows in a tenth of a second.
	bound := rate + max(rate/10, 1, size)
	most, arrived := maxInASecond(granted), maxInASecond(went)
	perGrant := float64(after.requests-before.requests) / float64(max(1, grants/size))
	perSecond := float64(after.commands-before.commands)/to.Sub(from).Seconds() - 3*float64(rate/size) // tracing costs three commands a call
	fmt.Printf("%7d  %7d  %6d  %6.1f%%  %7d ≤ %6d  %7d ≤ %6.0f  %14.2f  %17.0f\n",
		workers, rate, size, 100*used, most, bound, arrived, 1.05*float64(bound), perGrant, perSecond)
	of := fmt.Sprintf("%d workers at %d/s: ", workers, rate)
	b.check(used >= 0.99, "%s%.1f%% of the rate used, must be at least 99%%", of, 100*used)
	b.check(most <= bound, "%s%d granted in a second, must be at most %d", of, most, bound)
	b.check(float64(arrived) <= 1.05*float64(bound), "%s%d arrived in a second, must be at most %.0f", of, arrived, 1.05*float64(bound))
	b.check(perGrant <= 1.05, "%s%.2f requests to the limiter a grant, must be at most 1.05", of, perGrant)
	return nil
}

// measureKill kills half of the workers while a backlog is sent, and measures how much of the
// rate is lost.
func measureKill(ctx context.Context, o flowOptions) ([]string, error) {
	const workers, rate = 4, 500
	var b bounds
	r, err := newFlowRig(ctx, o, flowSetup{workers: workers,
		accounts: []flowAccount{{gateway: measured, rate: fmt.Sprintf("%d/s", rate), perCall: 1}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.enqueue(ctx, "backlog", measured, "ACME", rate*int((o.lasts+warmUp+5*time.Second)/time.Second), 0); err != nil {
		return nil, err
	}
	first, err := r.firstCall(ctx)
	if err != nil {
		return nil, err
	}
	from := first.Add(warmUp)
	killed := from.Add(o.lasts / 3)
	if err := wait(ctx, killed); err != nil {
		return nil, err
	}
	for _, w := range r.workers[:workers/2] {
		if err := w.Kill(); err != nil {
			return nil, err
		}
	}
	to := from.Add(o.lasts)
	if err := wait(ctx, to.Add(time.Second)); err != nil {
		return nil, err
	}
	went := acceptedCalls(r.gateway.Log(), nil)
	before, t := countBetween(went, from, killed)
	n, took := countBetween(went, killed, to)
	rateBefore := float64(before) / t.Seconds()
	lost := took.Seconds() - float64(n)/rate
	fmt.Printf("\n%d of %d workers killed at %d/s: before it %.1f/s, after it %.1f/s on average, %.2f s of capacity lost in %s\n",
		workers/2, workers, rate, rateBefore, float64(n)/took.Seconds(), lost, took.Round(100*time.Millisecond))
	// One second of the rate may be lost after the kill. In addition, 1 % of the rate may be unused, as in
	// measureRates.
	b.check(lost <= 1+0.01*took.Seconds(), "%.2f s of capacity lost in %.0f s, must be at most 1 s and 1 %%", lost, took.Seconds())
	return b.broken, nil
}
