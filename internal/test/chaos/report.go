//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// report is the result of a run: the counts of each gateway and the broken promises.
type report struct {
	*chaosRun
	lasted, settled time.Duration
	audits          []*audit
	stats           map[string]simulator.Stats
	breaches        []string
}

// recoverWithin is the maximum time from a worker's kill until its calls are resolved, if no
// other fault happens meanwhile. It is 15 s longer than the timeout of a call.
const recoverWithin = callTimeout + 15*time.Second

// The method "report" compares every campaign's results with the gateways, recipient by recipient, and collects the
// broken promises of the run. The parameter "settled" is how long the campaigns took to end after the last fault.
func (r *chaosRun) report(ctx context.Context, settled time.Duration) (*report, error) {
	out := &report{chaosRun: r, lasted: time.Since(r.began), settled: settled, stats: map[string]simulator.Stats{}}
	audits := map[string]*audit{}
	for _, name := range r.gateway.Names() {
		audits[name] = &audit{gateway: name, unknownCalls: map[string]bool{}}
		out.audits = append(out.audits, audits[name])
	}
	posts := r.gateway.Gateway(posted).Finals()
	for _, c := range r.traffic.campaigns() {
		if err := r.compare(ctx, c, audits[c.gateway], posts); err != nil {
			return nil, err
		}
	}
	for _, a := range out.audits {
		st := r.gateway.Gateway(a.gateway).Stats()
		out.stats[a.gateway] = st
		a.finish(gatewayCounts{numbers: int(st.Numbers), duplicates: int(st.Duplicates), conflicts: int(st.Conflicts), broken: out.broken(a.gateway)})
		out.breaches = append(out.breaches, a.breaches...)
	}
	r.traffic.mu.Lock()
	out.breaches = append(out.breaches, r.traffic.breaches...)
	r.traffic.mu.Unlock()
	out.breaches = append(out.breaches, r.polls.check()...)
	for _, check := range []func(context.Context) ([]string, error){r.checkCampaigns, r.checkInbound} {
		breaches, err := check(ctx)
		if err != nil {
			return nil, err
		}
		out.breaches = append(out.breaches, breaches...)
	}
	for _, s := range slices.Concat(r.slots, r.serveSlots) {
		s.mu.Lock()
		out.breaches = append(out.breaches, s.unexpectedEnds...)
		s.mu.Unlock()
	}
	if r.clocks {
		r.injected.fail(r.slots[r.workers-1].checkClock(lastingClockOffset(r.seed)))
	}
	out.breaches = append(out.breaches, r.injected.failures...)
	for _, x := range r.injected.recoveries {
		if x.alone && x.took > recoverWithin {
			out.breaches = append(out.breaches, fmt.Sprintf("%d calls of a killed worker took %s to resolve with no other fault; at most %s is allowed", len(x.left), x.took, recoverWithin))
		}
	}
	return out, nil
}

// The method "broken" returns how many calls the gateway left in doubt, or answered after the caller had closed the
// connection.
func (r *report) broken(gateway string) int {
	return int(r.gateway.Gateway(gateway).Stats().Ambiguous + r.callersGone[gateway].Load())
}

// The method "compare" compares the results of one campaign with what its gateway accepted and reported. The
// parameter "posts" maps a number to true if its message is delivered, according to the gateway that posts reports.
// This map includes messages whose reports were not posted.
func (r *chaosRun) compare(ctx context.Context, c *campaign, a *audit, posts map[uint64]bool) error {
	a.campaigns++
	switch enqueued, ended := r.traffic.progress(c); {
	case !enqueued:
		a.breach("%s could not be enqueued", c.id)
		return nil
	case !ended:
		st, err := r.traffic.watcher.Status(ctx, c.id)
		a.breach("%s has not ended %s after the last fault: %+v %v", c.id, settleWithin, st, err)
	}
	gateway, rows := r.gateway.Gateway(c.gateway), 0
	for x, err := range r.traffic.watcher.Results(ctx, c.id) {
		if err != nil {
			return fmt.Errorf("results of %s: %w", c.id, err)
		}
		want := c.first + uint64(rows)
		rows++
		got := gateway.Accepted(want)
		a.checkRow(c.id, x, want, got, c.noUnknown, r.claims.isExposed)
		a.checkOptOut(c.id, x, got, r.optOuts.historyOf(want))
		if r.serves > 0 {
			r.deliveries.see(c.id, x)
			a.checkDelivery(c.id, x, r.lastWordOf(c.gateway, want, x, posts))
		}
	}
	if rows != c.total {
		a.lost += max(0, c.total-rows)
		a.breach("%s has %d rows in its results, but %d recipients were enqueued", c.id, rows, c.total)
	}
	return nil
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "\nchaos: seed %d, faults for %s, all campaigns ended %s later; %d workers, %d tuma serve, redis %s, durability %s\n\n",
		r.seed, r.duration, r.settled.Round(100*time.Millisecond), r.workers, r.serves, r.redisIs(), r.durability)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "faults injected")
	for _, name := range slices.Sorted(maps.Keys(r.injected.counts)) {
		fmt.Fprintf(w, "  %s\t%d\n", name, r.injected.counts[name])
	}
	_ = w.Flush()
	fmt.Fprintln(out)
	r.printGateways(out)
	fmt.Fprintln(out)
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "checks that the counts of a status add up\t%d, one a second for each open campaign; Redis did not answer %d times\n", r.traffic.samples.Load(), r.traffic.unread.Load())
	fmt.Fprintf(w, "enqueues tried again\t%d\n", r.traffic.enqueueErrors.Load())
	fmt.Fprintf(w, "opt-outs tried again\t%d\n", r.optOuts.retries.Load())
	r.printServes(w)
	fmt.Fprintf(w, "calls in flight when a worker or Redis was killed or stopped\t%d\n", r.claims.exposures())
	r.printRecoveries(w)
	_ = w.Flush()
	if len(r.breaches) == 0 {
		fmt.Fprintln(out, "\nEvery recipient has one status. No message was sent twice or lost. No call went to an opted-out recipient, except calls reported in flight.")
		if r.serves > 0 {
			fmt.Fprintln(out, "Each delivery report that got a 2xx is in the results. No delivered or undelivered recipient changed its status.")
		}
		return
	}
	fmt.Fprintf(out, "\nBROKEN PROMISES (at most %d of a kind):\n  %s\n", maxBreaches, strings.Join(r.breaches, "\n  "))
}

// printServes prints how many requests the processes `tuma serve` got, and how many requests they sent to the gateways.
func (r *report) printServes(w io.Writer) {
	if r.serves == 0 {
		return
	}
	x, s := r.relay, r.reportStats()
	fmt.Fprintf(w, "callbacks: 2xx, 5xx, without an answer\t%d, %d, %d\n", x.taken.Load(), x.failed.Load(), x.silent.Load())
	fmt.Fprintf(w, "delivery reports at %s: taken, posted again, never posted\t%d, %d, %d\n", posted, s.Taken, s.Repeated, s.Lost)
	messages, words := r.inbound.counts()
	fmt.Fprintf(w, "messages of subscribers, each posted twice\t%d, %d of them STOP or START\n", messages, words)
	fmt.Fprintf(w, "requests to the HTTP API: 2xx, repeated\t%d, %d\n", r.traffic.api.answers.Load(), r.traffic.api.repeated.Load())
	fmt.Fprintf(w, "final statuses watched once a second\t%d\n", r.deliveries.sampledRows())
	for _, name := range polled {
		all, most := r.polls.busiest(name)
		fmt.Fprintf(w, "requests for delivery reports at %s\t%d, at most %d in a second\n", name, all, most)
	}
}

func (r *report) redisIs() string {
	if r.foreign {
		return "your own"
	}
	return "with appendfsync " + r.fsync
}

func (r *report) printGateways(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, of func(a *audit) int) {
		sum := 0
		fmt.Fprintf(w, "%s\t", name)
		for _, a := range r.audits {
			fmt.Fprintf(w, "%d\t", of(a))
			sum += of(a)
		}
		fmt.Fprintf(w, "%d\t\n", sum)
	}
	fmt.Fprint(w, "\t")
	for _, a := range r.audits {
		fmt.Fprintf(w, "%s\t", a.gateway)
	}
	fmt.Fprint(w, "all\t\n")
	row("campaigns", func(a *audit) int { return a.campaigns })
	row("messages", func(a *audit) int { return a.recipients })
	row("accepted", func(a *audit) int { return a.accepted })
	row("delivered", func(a *audit) int { return a.delivered })
	row("undelivered", func(a *audit) int { return a.undelivered })
	row("final reports that got a 2xx", func(a *audit) int { return a.promised })
	row("rejected", func(a *audit) int { return a.rejected })
	row("skipped", func(a *audit) int { return a.skipped })
	row("opted out meanwhile", func(a *audit) int { return a.optedOut })
	row("calls to them that opt-outs reported in flight", func(a *audit) int { return a.reportedInFlight })
	row("calls to them that came after the opt-out", func(a *audit) int { return a.lateCalls })
	row("unknown", func(a *audit) int { return a.unknown })
	row("unknown: worker or Redis killed or stopped", func(a *audit) int { return a.excused })
	row("unknown: gateway broke the call", func(a *audit) int { return a.unknown - a.excused - a.forbiddenUnknown })
	row("number of those calls", func(a *audit) int { return len(a.unknownCalls) })
	row("calls left in doubt by the gateway", func(a *audit) int { return r.broken(a.gateway) })
	row("DUPLICATES", func(a *audit) int { return max(a.duplicates, int(r.stats[a.gateway].Duplicates)) })
	row("LOST", func(a *audit) int { return a.lost })
	row("calls at the gateway", func(a *audit) int { return int(r.stats[a.gateway].Calls) })
	row("calls with a gateway fault", func(a *audit) int { return int(r.stats[a.gateway].Faults) })
	row("calls that repeat an idempotency key", func(a *audit) int { return int(r.stats[a.gateway].Replays) })
	_ = w.Flush()
}

func (r *report) printRecoveries(w io.Writer) {
	var all, alone []time.Duration
	for _, x := range r.injected.recoveries {
		all = append(all, x.took)
		if x.alone {
			alone = append(alone, x.took)
		}
	}
	for _, x := range []struct {
		what string
		took []time.Duration
	}{{"time to recover from kill -9 of a worker", all}, {"  with no other fault meanwhile", alone}} {
		if len(x.took) == 0 {
			continue
		}
		slices.Sort(x.took)
		fmt.Fprintf(w, "%s\tmedian %.1f s, at most %.1f s, for %d kills that left open calls\n",
			x.what, x.took[len(x.took)/2].Seconds(), x.took[len(x.took)-1].Seconds(), len(x.took))
	}
}
