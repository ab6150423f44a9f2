//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// idleSetup returns a setup of five accounts and one worker, without campaigns.
func idleSetup() flowSetup {
	s := flowSetup{workers: 1}
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		s.accounts = append(s.accounts, flowAccount{gateway: name, rate: "100/s"})
	}
	return s
}

// measureIdle measures how many Redis commands a second an idle worker causes.
func measureIdle(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	r, err := newFlowRig(ctx, o, idleSetup())
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := wait(ctx, time.Now().Add(warmUp)); err != nil {
		return nil, err
	}
	before, err := r.commands(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := wait(ctx, begun.Add(o.lasts)); err != nil {
		return nil, err
	}
	after, err := r.commands(ctx)
	if err != nil {
		return nil, err
	}
	perSecond := float64(after-before) / time.Since(begun).Seconds()
	inside, err := r.insideScripts(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Printf("\nan idle worker with five accounts: %.0f Redis commands a second including those in scripts, %.0f without them\n", perSecond, perSecond-inside)
	b.check(perSecond-inside <= 100, "%.0f Redis commands a second, must be at most 100", perSecond-inside)
	return b.broken, nil
}

// measureLatency measures the time from the enqueue of a campaign of one message until the
// message arrives at the gateway, while the system is idle.
func measureLatency(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	r, err := newFlowRig(ctx, o, idleSetup())
	if err != nil {
		return nil, err
	}
	defer r.end()
	all := make([]time.Duration, 0, o.times)
	for i := range o.times {
		// The pause is random, so that the enqueue may fall at any point between two polls of
		// the queue.
		if err := wait(ctx, time.Now().Add(200*time.Millisecond+rand.N(400*time.Millisecond))); err != nil {
			return nil, err
		}
		begun := time.Now()
		if err := r.enqueue(ctx, fmt.Sprintf("one-%d", i), measured, "ACME", 1, i); err != nil {
			return nil, err
		}
		if err := poll(ctx, 30*time.Second, "the message", func() (bool, error) { return len(r.gateway.Log()) > i, nil }); err != nil {
			return nil, err
		}
		all = append(all, r.gateway.Log()[i].At.Sub(begun))
	}
	slices.Sort(all)
	middle, p99 := all[len(all)/2], all[(len(all)*99+99)/100-1]
	fmt.Printf("\n%d campaigns of one message: from enqueue to the gateway %s at the median, %s at p99\n",
		len(all), middle.Round(time.Millisecond), p99.Round(time.Millisecond))
	b.check(middle <= 100*time.Millisecond, "%s at the median, must be at most 100ms", middle.Round(time.Millisecond))
	b.check(p99 <= 300*time.Millisecond, "%s at p99, must be at most 300ms", p99.Round(time.Millisecond))
	return b.broken, nil
}

// insideScripts counts with MONITOR for three seconds how many commands a second run inside
// scripts. Such commands need no round trip to Redis.
func (r *flowRig) insideScripts(ctx context.Context) (perSecond float64, err error) {
	const lasts = 3 * time.Second
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.redis.client.Options().Addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(lasts)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, err
	}
	n := 0
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.Contains(lines.Text(), " lua] ") {
			n++
		}
	}
	if err := lines.Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("monitor: %w", err)
	}
	return float64(n) / lasts.Seconds(), nil
}
