//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// settleWithin is the maximum time that the campaigns may take to end after the last fault.
// It is long because an account may still be held for a minute then, and five minutes may pass until a parked delivery
// report is matched again.
const settleWithin = 8 * time.Minute

// The method "play" runs the workers, the campaigns and the faults, and returns the report. It returns an error if a
// process cannot be started or ctx ends.
func (r *chaosRun) play(ctx context.Context) (*report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.began = time.Now()
	var background, campaigns sync.WaitGroup
	defer background.Wait()
	defer cancel()
	processes := slices.Concat(r.slots, r.serveSlots)
	failed := make(chan error, len(processes))
	for _, s := range processes {
		background.Go(func() { failed <- s.run(ctx) })
	}
	if err := errors.Join(r.awaitWorkers(ctx), r.awaitServes(ctx)); err != nil {
		return nil, err
	}
	if r.clocks {
		r.injected.begin(string(workerClockEver))()
	}
	r.began = time.Now()
	over, stop := context.WithTimeout(ctx, r.duration)
	defer stop()
	background.Go(func() { r.traffic.sample(ctx) })
	r.runTraffic(ctx, over.Done(), &campaigns, &background)
	st := &injector{chaosRun: r, over: over, ctx: ctx}
	background.Go(func() { r.progress(ctx) })
	calm, ended := make(chan struct{}), make(chan struct{})
	background.Go(func() {
		st.injectAll(schedule(r.plan))
		close(calm)
		campaigns.Wait()
		r.traffic.background.Wait() // the injector has returned, so no campaign is added
		if r.serves > 0 {
			r.awaitReports(ctx)
		}
		close(ended)
	})
	select {
	case <-over.Done():
	case err := <-failed:
		if err != nil {
			return nil, fmt.Errorf("start a process: %w", err)
		}
	}
	if ctx.Err() != nil {
		return nil, errors.New("stopped: all processes have ended and all files are removed")
	}
	return r.settle(ctx, calm, ended)
}

// runTraffic starts the goroutines that send campaigns, single messages and messages of subscribers until the channel
// "over" is closed. It adds these goroutines to the group "campaigns". It adds goroutines that only read to the group
// "background".
func (r *chaosRun) runTraffic(ctx context.Context, over <-chan struct{}, campaigns, background *sync.WaitGroup) {
	for _, gateway := range r.gateway.Names() {
		for range concurrentCampaigns(gateway) {
			campaigns.Go(func() { r.traffic.runCampaigns(ctx, gateway, over) })
		}
	}
	if r.serves == 0 {
		return
	}
	background.Go(func() { r.sampleFinals(ctx) })
	campaigns.Go(func() { r.traffic.runMessages(ctx, over) })
	for _, account := range slices.Repeat(forwards, subscribers) {
		campaigns.Go(func() { r.runSubscriber(ctx, account, over) })
	}
}

// The method "settle" removes the gateways' faults. Then it waits until the faults are over, the campaigns have ended
// and their delivery reports are in the results. It waits for settleWithin at most, and returns the report.
func (r *chaosRun) settle(ctx context.Context, calm, ended <-chan struct{}) (*report, error) {
	r.gateway.ClearFaults()
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
		return nil, errors.New("stopped: all processes have ended and all files are removed")
	}
	return r.report(ctx, time.Since(mended))
}

// The method "progress" prints a line about the run every 15 s, or every 5 s with -v, until ctx ends.
func (r *chaosRun) progress(ctx context.Context) {
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
		r.logf("%d campaigns started, %d open; gateways: %d messages in %d calls, %d calls with a fault, %d duplicates",
			len(r.traffic.campaigns()), len(r.traffic.open()), s.Accepted, s.Calls, s.Faults, s.Duplicates)
		if open := r.traffic.open(); time.Since(r.began) > r.duration && len(open) > 0 {
			r.logf("waiting for %s", strings.Join(open, ", "))
		}
	}
}
