//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// measureFair sends ten campaigns of the same size through one account. Ten times during the case
// it compares the campaigns: it finds the highest and the lowest number of messages that a
// campaign has sent so far, and checks the difference of these numbers.
func measureFair(ctx context.Context, o flowOptions) ([]string, error) {
	const campaigns, rate, slots, workers = 10, 1000, 8, 2
	each := rate * int(o.lasts/time.Second) / campaigns
	var b bounds
	r, err := newFlowRig(ctx, o, flowSetup{workers: workers,
		accounts: []flowAccount{{gateway: measured, rate: fmt.Sprintf("%d/s", rate), perCall: 1, concurrency: slots}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	// The account is held until all campaigns are enqueued, so that no campaign has a head start.
	if err := r.client.Hold(ctx, measured, "start"); err != nil {
		return nil, err
	}
	for i := range campaigns {
		if err := r.enqueue(ctx, fmt.Sprintf("campaign-%d", i), measured, fmt.Sprintf("C%d", i), each, i*each); err != nil {
			return nil, err
		}
	}
	if _, err := r.client.Release(ctx, measured); err != nil {
		return nil, err
	}
	total := campaigns * each
	if err := poll(ctx, 3*o.lasts+30*time.Second, "the campaigns", func() (bool, error) {
		return r.gateway.Stats().Accepted >= int64(total), nil
	}); err != nil {
		return nil, err
	}
	// openLimit is how many messages of one campaign may be queued at once. All campaigns together may have two open
	// batches for each slot of the account, and each campaign gets an equal part of them. A batch has 50 messages.
	openLimit := 50 * max(1, (2*slots*workers+campaigns-1)/campaigns)
	fmt.Printf("\nten campaigns of %d at %d/s, messages of the least and the most advanced at each tenth (a campaign has up to %d queued):\n ", each, rate, openLimit)
	count := map[string]int{}
	for i := range campaigns {
		count[fmt.Sprintf("C%d", i)] = 0
	}
	for i, e := range r.gateway.Log() {
		count[e.From] += e.Messages
		if (i+1)%(total/10) != 0 {
			continue
		}
		v := slices.Sorted(maps.Values(count))
		least, most := v[0], v[len(v)-1]
		fmt.Printf(" %d-%d", least, most)
		b.check(most-least <= 2*openLimit, "%d messages apart after %d of %d, must be at most %d", most-least, i+1, total, 2*openLimit)
	}
	fmt.Println()
	return b.broken, nil
}

// measureBehind measures how long campaigns of one message wait while the same account sends a campaign of
// a million messages.
func measureBehind(ctx context.Context, o flowOptions) ([]string, error) {
	const rate, million = 500, 1_000_000
	var b bounds
	r, err := newFlowRig(ctx, o, flowSetup{workers: 2, accounts: []flowAccount{{gateway: measured, rate: fmt.Sprintf("%d/s", rate), perCall: 1}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.enqueue(ctx, "million", measured, "MANY", million, 0); err != nil {
		return nil, err
	}
	if err := poll(ctx, time.Minute, "the million to be planned", func() (bool, error) {
		s, err := r.client.Status(ctx, "million")
		return s.State == producer.Sending, err
	}); err != nil {
		return nil, err
	}
	all := make([]time.Duration, 0, 20)
	for i := range cap(all) {
		if err := wait(ctx, time.Now().Add(200*time.Millisecond+rand.N(400*time.Millisecond))); err != nil {
			return nil, err
		}
		begun, from := time.Now(), fmt.Sprintf("ONE%d", i)
		if err := r.enqueue(ctx, fmt.Sprintf("one-%d", i), measured, from, 1, million+i); err != nil {
			return nil, err
		}
		var at time.Time
		if err := poll(ctx, 30*time.Second, "the message", func() (bool, error) {
			for _, e := range slices.Backward(r.gateway.Log()) {
				if e.From == from {
					at = e.At
				}
			}
			return !at.IsZero(), nil
		}); err != nil {
			return nil, err
		}
		all = append(all, at.Sub(begun))
	}
	slices.Sort(all)
	middle, most := all[len(all)/2], all[len(all)-1]
	fmt.Printf("\n%d campaigns of one message behind one of %d at %d/s: from enqueue to the gateway %s at the median, %s for the slowest\n",
		len(all), million, rate, middle.Round(time.Millisecond), most.Round(time.Millisecond))
	b.check(most <= 2*time.Second, "%s for the slowest, must be at most 2s", most.Round(time.Millisecond))
	return b.broken, nil
}

// The function "hanging" returns the gateway that measureHang stops. This gateway takes one number a call,
// so that its calls occupy the most slots.
func hanging() string {
	names := catalog.Names()
	return names[max(0, slices.IndexFunc(names, func(name string) bool { return infos[name].MaxRecipients == 1 }))]
}

// measureHang measures the throughput of each account twice: while all gateways work, and while one
// gateway hangs. The other accounts must keep 95 % of their throughput.
func measureHang(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	without, err := throughput(ctx, o, false)
	if err != nil {
		return nil, err
	}
	with, err := throughput(ctx, o, true)
	if err != nil {
		return nil, err
	}
	fmt.Println("\nmessages a second at each gateway; in the second column, " + hanging() + " answers no call:")
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		fmt.Printf("  %-15s %7.1f  %7.1f\n", name, without[name], with[name])
		b.check(name == hanging() || with[name] >= 0.95*without[name], "%s: %.1f/s beside a gateway that hangs, must be at least 95 %% of %.1f/s", name, with[name], without[name])
	}
	return b.broken, nil
}

// The function "throughput" returns the rate of messages that each gateway receives. If the parameter "hang" is true,
// one of the gateways does not answer any call.
func throughput(ctx context.Context, o flowOptions, hang bool) (map[string]float64, error) {
	const rate = 100
	s := flowSetup{workers: 2, latency: 20 * time.Millisecond}
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		s.accounts = append(s.accounts, flowAccount{gateway: name, rate: fmt.Sprintf("%d/s", rate), perCall: 1, timeout: 2 * time.Second})
	}
	r, err := newFlowRig(ctx, o, s)
	if err != nil {
		return nil, err
	}
	defer r.end()
	if hang {
		if err := r.gateway.Fail(simulator.Fault{Name: "hang", Gateway: hanging(), P: 1}); err != nil {
			return nil, err
		}
	}
	n := rate * int((o.lasts+warmUp+4*time.Second)/time.Second)
	for i, a := range s.accounts {
		if err := r.enqueue(ctx, "to-"+a.gateway, a.gateway, "ACME", n, i*n); err != nil {
			return nil, err
		}
	}
	first, err := r.firstCall(ctx)
	if err != nil {
		return nil, err
	}
	from := first.Add(warmUp)
	if err := wait(ctx, from.Add(o.lasts+time.Second)); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for name := range logins {
		got, took := countBetween(acceptedCalls(r.gateway.Log(), func(e simulator.Entry) bool { return strings.HasPrefix(e.Gateway, name) }), from, from.Add(o.lasts))
		out[name] = float64(got) / took.Seconds()
	}
	return out, nil
}
