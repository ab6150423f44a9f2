//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
)

// mendedWithin is how long what has begun may take to its end once nothing goes
// wrong any more. Accounts may be held for a minute.
const settleWithin = 5 * time.Minute

// play runs the whole and returns what it came to.
func (r *rig) play(ctx context.Context) (*report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.began = time.Now()
	var background, campaigns sync.WaitGroup
	defer background.Wait()
	defer cancel()
	failed := make(chan error, len(r.slots))
	for _, s := range r.slots {
		background.Go(func() { failed <- s.run(ctx) })
	}
	if err := r.awaitWorkers(ctx); err != nil {
		return nil, err
	}
	if r.clocks {
		r.injected.begin(string(workerClockEver))()
	}
	r.began = time.Now()
	over, stop := context.WithTimeout(ctx, r.duration)
	defer stop()
	background.Go(func() { r.traffic.sample(ctx) })
	for _, gateway := range sandbox.Names() {
		for range streams(gateway) {
			campaigns.Go(func() { r.traffic.runCampaigns(ctx, gateway, over.Done()) })
		}
	}
	st := &injector{rig: r, over: over, ctx: ctx}
	background.Go(func() { r.progress(ctx) })
	calm, ended := make(chan struct{}), make(chan struct{})
	background.Go(func() {
		st.injectAll(schedule(r.plan))
		close(calm)
		campaigns.Wait()
		r.traffic.background.Wait() // the storm begins no more of them
		close(ended)
	})
	select {
	case <-over.Done():
	case err := <-failed:
		if err != nil {
			return nil, fmt.Errorf("a worker cannot be started: %w", err)
		}
	}
	if ctx.Err() != nil {
		return nil, errors.New("stopped; nothing is left behind")
	}
	return r.settle(ctx, calm, ended)
}

// settle waits until all is mended and over, and compares.
func (r *rig) settle(ctx context.Context, calm, ended <-chan struct{}) (*report, error) {
	r.gateway.Mend()
	bounded, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	mended := time.Now()
	for _, c := range []<-chan struct{}{ended, calm} {
		select {
		case <-c:
		case <-bounded.Done():
		}
	}
	if ctx.Err() != nil {
		return nil, errors.New("stopped; nothing is left behind")
	}
	return r.report(ctx, time.Since(mended))
}

// progress prints a line now and then.
func (r *rig) progress(ctx context.Context) {
	every := 15 * time.Second
	if r.verbose {
		every = 5 * time.Second
	}
	for tick := time.Tick(every); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		s := r.gateway.Stats()
		r.logf("%d campaigns begun, %d open; gateways: %d messages in %d calls, %d broken, %d duplicates",
			len(r.traffic.campaigns()), len(r.traffic.open()), s.Accepted, s.Calls, s.Faults, s.Duplicates)
		if time.Since(r.began) > r.duration {
			r.logf("waiting for %s", strings.Join(r.traffic.open(), ", "))
		}
	}
}
