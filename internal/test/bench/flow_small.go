//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// measureSmall sends campaigns of different sizes, and measures the rate of calls for each size. The gateway takes
// one number a call and answers after one second.
func measureSmall(ctx context.Context, o flowOptions) ([]string, error) {
	const slots, latency, first = 8, time.Second, 100_000
	var b bounds
	r, err := newFlowRig(ctx, o, flowSetup{workers: 1, latency: latency,
		accounts: []flowAccount{{gateway: measured, rate: "10000/s", perCall: 1, concurrency: slots, timeout: 5 * time.Second}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.sendAll(ctx, "proof", 1, 0); err != nil { // this campaign ends the slow start of the account
		return nil, err
	}
	fmt.Printf("\none number a call, %s latency, concurrency %d; calls a second without the last %d:", latency, slots, slots)
	for i, n := range []int{16, 20, 60, 500} {
		begun := time.Now()
		from := fmt.Sprintf("S%d", n)
		if err := r.sendAll(ctx, from, n, first*(i+1)); err != nil {
			return nil, err
		}
		got := callsPerSecond(r.gateway.Log(), from, begun, latency, slots)
		want := float64(slots) / latency.Seconds()
		fmt.Printf(" %d recipients %.2f (%.0f %%)", n, got, 100*got/want)
		b.check(got >= 0.9*want, "%d recipients: %.2f calls a second, must be at least %.2f", n, got, 0.9*want)
	}
	fmt.Println()
	return b.broken, nil
}

// sendAll sends a campaign of n numbers and waits for its end. The campaign's ID is also its sender.
func (r *flowRig) sendAll(ctx context.Context, id string, n, first int) error {
	if err := r.enqueue(ctx, id, measured, id, n, first); err != nil {
		return err
	}
	return poll(ctx, 2*time.Minute, "campaign "+id, func() (bool, error) {
		s, err := r.client.Status(ctx, id)
		return s.State == producer.Done, err
	})
}

// callsPerSecond returns how many calls of a sender the gateway answers a second. It ignores the last calls, one for
// each slot, because some slots are idle at the end of a campaign. So the measured time begins at "begun", and ends
// when the first of the ignored calls begins. A call that is in flight at that moment counts as a fraction: the
// time since its start, divided by the latency.
func callsPerSecond(log []simulator.Entry, from string, begun time.Time, latency time.Duration, slots int) float64 {
	var starts []time.Time
	for _, e := range log {
		if e.From == from {
			starts = append(starts, e.At)
		}
	}
	if len(starts) <= slots {
		return 0
	}
	slices.SortFunc(starts, time.Time.Compare)
	end := starts[len(starts)-slots]
	var busy time.Duration
	for _, at := range starts[:len(starts)-slots] {
		busy += min(latency, end.Sub(at))
	}
	return float64(busy) / float64(latency) / end.Sub(begun).Seconds()
}
