//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// measureChange changes an account's rate with `tuma rate` while two workers send. It
// measures the rate at the gateway from one second after each change.
func measureChange(ctx context.Context, o flowOptions) ([]string, error) {
	const configured, follows = 100, time.Second
	changes := []struct {
		order string
		rate  float64
	}{{"300/s", 300}, {"20/s", 20}, {"0", 0}, {"default", configured}}
	each := max(o.lasts/time.Duration(len(changes)), 3*time.Second)
	var b bounds
	r, err := newFlowRig(ctx, o, flowSetup{workers: 2, latency: 10 * time.Millisecond,
		accounts: []flowAccount{{gateway: measured, rate: fmt.Sprintf("%d/s", configured), perCall: 1}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.enqueue(ctx, "backlog", measured, "ACME", 2500*int(each/time.Second+2), 0); err != nil {
		return nil, err
	}
	first, err := r.firstCall(ctx)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, first.Add(warmUp)); err != nil {
		return nil, err
	}
	fmt.Printf("\ntwo workers, configured rate %d/s; rates from one second after each tuma rate:", configured)
	for _, c := range changes {
		if output, err := r.command("rate", measured, c.order).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("tuma rate: %w: %s", err, output)
		}
		from := time.Now().Add(follows)
		to := from.Add(each)
		if err := wait(ctx, to.Add(time.Second)); err != nil {
			return nil, err
		}
		n, took := countBetween(acceptedCalls(r.gateway.Log(), nil), from, to)
		got := float64(n) / took.Seconds()
		fmt.Printf("  %s: %.1f/s", c.order, got)
		switch {
		case c.rate == 0:
			b.check(got > 2*300, "%.1f/s without a limit, must be above 600/s", got)
		default:
			b.check(math.Abs(got-c.rate) <= 0.05*c.rate, "%.1f/s after tuma rate %s, must be within 5 %% of %.0f/s", got, c.order, c.rate)
		}
	}
	fmt.Println()
	return b.broken, nil
}
