package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/tuma-sms/tuma/internal/dispatch"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/sweep"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// The function "scrape" returns the values of a registry. A key has the metric's name and the values of its
// labels, such as "tuma_calls_total kobo-main kobo ok". For a histogram it returns the count.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// sum returns the sum of all values whose key begins with the prefix.
func sum(values map[string]float64, prefix string) (total float64) {
	for k, v := range values {
		if strings.HasPrefix(k, prefix) {
			total += v
		}
	}
	return total
}

// text returns the text of a scrape of the registries.
func text(t *testing.T, all ...*prometheus.Registry) string {
	t.Helper()
	var out strings.Builder
	for _, reg := range all {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.String()
}

func TestMetrics_SetsAreThoseOfThePartsThatCount(t *testing.T) {
	t.Parallel()
	for name, sets := range map[string][2][]string{
		"results of calls": {metrics.CallResults, dispatch.CallResults},
		"repairs":          {metrics.Repairs, sweep.Repairs},
		"states of tasks":  {metrics.TaskStates, queue.TaskStates},
	} {
		if !slices.Equal(sets[0], sets[1]) {
			t.Errorf("%s: the metric has %q, the code counts %q", name, sets[0], sets[1])
		}
	}
}

// Two workers send through a gateway with faults. The sums of their counters must equal the gateway's own
// counts.
func TestMetrics_CountsEqualThoseOfTheGateway(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	for _, f := range []simulator.Fault{{Name: "429", N: 1, RetryAfter: time.Second}, {Name: "accept_close", N: 2}} {
		if err := r.gateway.Fail(f); err != nil {
			t.Fatal(err)
		}
	}
	var regs []*prometheus.Registry
	for range 2 {
		reg := prometheus.NewRegistry()
		regs = append(regs, reg)
		r.startWith(worker.Config{Metrics: reg, Accounts: []worker.Account{r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 })}})
	}
	numbers := append(kenyanNumbers(1000), "0710000000", "not a number") // a duplicate number and an invalid number
	r.enqueue("planted-campaign", numbers)
	s := r.wait("planted-campaign", 60*time.Second)
	var got map[string]float64
	r.eventually(10*time.Second, "the sweeper to count the skipped recipients", func() bool {
		got = map[string]float64{}
		for _, reg := range regs {
			for k, v := range scrape(t, reg) {
				got[k] += v
			}
		}
		return got["tuma_messages_total kobo-main accepted kobo"]+got["tuma_messages_total kobo-main skipped kobo"] >= 1002
	})
	stats := r.gateway.Stats()
	calls := float64(stats.Calls)
	for k, want := range map[string]float64{
		"tuma_messages_total kobo-main accepted kobo": float64(stats.Accepted), "tuma_messages_total kobo-main skipped kobo": 2,
		"tuma_messages_total kobo-main unknown kobo": 0, "tuma_messages_total kobo-main rejected kobo": 0, "tuma_call_seconds kobo-main": calls,
		"tuma_calls_total kobo-main kobo ok": 100, "tuma_calls_total kobo-main kobo retryable": 1, "tuma_calls_total kobo-main kobo unknown": 2,
		"tuma_rate_granted_total kobo-main": 10 * calls, "tuma_settle_seconds kobo-main": calls, "tuma_calls_in_flight kobo-main": 0, "tuma_slots kobo-main": 16,
		"tuma_invariant_breaches_total": 0, "tuma_redis_up": 2,
	} {
		if got[k] != want {
			t.Errorf("%s = %v, want %v", k, got[k], want)
		}
	}
	if s.Accepted != 1000 || stats.Accepted != 1000 || got["tuma_claim_seconds kobo-main"] < 3 || got["tuma_reserve_wait_seconds kobo-main"] < 3 {
		t.Errorf("accepted %d, at the gateway %d; %v claims, %v waits", s.Accepted, stats.Accepted, got["tuma_claim_seconds kobo-main"], got["tuma_reserve_wait_seconds kobo-main"])
	}
	shown := text(t, regs...)
	for _, planted := range []string{"planted-campaign", "demopass", "Hello from ACME", "25471000", "0710000", "not a number"} {
		if strings.Contains(shown, planted) {
			t.Errorf("/metrics contains %q", planted)
		}
	}
	if problems, err := testutil.GatherAndLint(regs[0]); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// A worker that serves another account reads the values that the sweeper has counted. A higher rate raises the
// number of desired workers, but a larger backlog does not. A hold lowers this number to 1.
func TestMetrics_DesiredWorkersFollowRateAndHold(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 200 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Rate, a.Concurrency = 1, 20, 1 }))
	reg := prometheus.NewRegistry()
	r.startWith(worker.Config{Metrics: reg, Accounts: []worker.Account{r.account(func(_ *kobo.Config, a *worker.Account) { a.Name = "other" })}})
	desired := func() float64 { return scrape(t, reg)["tuma_workers_desired"] }
	if n := desired(); n != 1 {
		t.Errorf("without work %v workers are desired, want 1", n)
	}
	r.enqueue("c", kenyanNumbers(1000))
	// Each call takes 0.2 s, so 20 calls a second keep 4 calls in flight. The measured P95 may be up to 42 % too long.
	steady := func(n float64) bool { return n >= 4 && n <= 7 }
	r.eventually(20*time.Second, "the number of desired workers to reach the limit of the gateway", func() bool {
		got := scrape(t, reg)
		return steady(got["tuma_workers_desired"]) && got["tuma_backlog_messages kobo-main marketing"] > 0 && got["tuma_workers"] == 2
	})
	r.enqueue("d", kenyanNumbers(10_000))
	r.eventually(20*time.Second, "the backlog to grow", func() bool { return scrape(t, reg)["tuma_backlog_messages kobo-main marketing"] > 9000 })
	if n := desired(); !steady(n) {
		t.Errorf("with ten times the backlog %v workers are desired, want 4 to 7 as before", n)
	}
	begun := time.Now()
	if err := r.rdb.HSet(t.Context(), "tuma:account:{kobo-main}", "rate", "80 8").Err(); err != nil {
		t.Fatal(err)
	}
	r.eventually(15*time.Second, "the number of desired workers to follow the rate", func() bool { n := desired(); return n >= 16 && n <= 28 })
	t.Logf("the number followed the rate after %s", time.Since(begun))
	if err := r.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
		t.Fatal(err)
	}
	r.eventually(15*time.Second, "the number of desired workers to follow the hold", func() bool {
		got := scrape(t, reg)
		return got["tuma_workers_desired"] == 1 && got["tuma_account_held kobo-main hand"] == 1 && sum(got, "tuma_account_held kobo-main ") == 1
	})
	if got := scrape(t, reg); got["tuma_backlog_messages kobo-main marketing"] < 9000 || got["tuma_backlog_oldest_seconds kobo-main marketing"] <= 0 || got["tuma_rate_limit kobo-main"] != 80 {
		t.Errorf("backlog %v, oldest %v, rate %v; want the backlog of a held account, and the rate in force", got["tuma_backlog_messages kobo-main marketing"],
			got["tuma_backlog_oldest_seconds kobo-main marketing"], got["tuma_rate_limit kobo-main"])
	}
}

// The backlog contains only messages that may be sent now.
func TestMetrics_BacklogLeavesOutWhatMustWait(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	reg := prometheus.NewRegistry()
	r.startWith(worker.Config{Metrics: reg, Accounts: []worker.Account{r.account()}})
	if err := r.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
		t.Fatal(err)
	}
	enqueue := func(id string, n int, change func(*producer.Campaign)) {
		c := producer.Campaign{ID: id, Via: "kobo-main", Body: "Hello"}
		change(&c)
		if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers(kenyanNumbers(n)...)); err != nil {
			t.Fatal(err)
		}
	}
	enqueue("due", 7, func(*producer.Campaign) {})
	enqueue("code", 3, func(c *producer.Campaign) { c.Class = producer.Transactional })
	enqueue("later", 11, func(c *producer.Campaign) { c.StartAt = time.Now().Add(time.Hour) })
	enqueue("paused", 13, func(*producer.Campaign) {})
	if _, err := r.producer.Pause(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	var got map[string]float64
	r.eventually(15*time.Second, "the census to count all four campaigns", func() bool {
		got = scrape(t, reg)
		return got["tuma_campaigns scheduled"] == 1 && got["tuma_campaigns paused"] == 1 && got["tuma_campaigns sending"] == 2
	})
	if m, x := got["tuma_backlog_messages kobo-main marketing"], got["tuma_backlog_messages kobo-main transactional"]; m != 7 || x != 3 {
		t.Errorf("backlog of %v and %v messages, want 7 and 3", m, x)
	}
	if _, err := r.producer.Cancel(t.Context(), "later"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	r.eventually(15*time.Second, "the census to count the ended campaigns, and a backlog of 0 messages", func() bool {
		got = scrape(t, reg)
		return got["tuma_campaigns done"] == 2 && got["tuma_campaigns cancelled"] == 1 && got["tuma_campaigns paused"] == 1 &&
			sum(got, "tuma_backlog_messages kobo-main") == 0
	})
	if n := got["tuma_messages_total kobo-main skipped kobo"]; n != 11 {
		t.Errorf("%v messages were skipped, want the 11 of the cancelled campaign", n)
	}
}

func TestMetrics_BreachIsCountedOnce(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	reg := prometheus.NewRegistry()
	r.startWith(worker.Config{Metrics: reg, Accounts: []worker.Account{r.account()}})
	if err := r.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
		t.Fatal(err)
	}
	r.enqueue("good", kenyanNumbers(5))
	r.enqueue("bad", kenyanNumbers(5))
	if _, err := r.producer.Pause(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.HIncrBy(t.Context(), "tuma:{bad}:l", "pending", -1).Err(); err != nil {
		t.Fatal(err)
	}
	breaches := func() float64 { return scrape(t, reg)["tuma_invariant_breaches_total"] }
	r.eventually(15*time.Second, "the sweeper to find the breach", func() bool { return breaches() == 1 })
	begun := time.Now()
	r.eventually(15*time.Second, "ten more sweeps", func() bool { return time.Since(begun) > time.Second })
	if n := breaches(); n != 1 {
		t.Errorf("%v breaches, want 1: one campaign is broken", n)
	}
}

// If a result is missing in the records of an ended campaign, that is a breach, even if the counts of the
// campaign are consistent.
func TestMetrics_BreachIsFoundInTheResults(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	reg := prometheus.NewRegistry()
	r.startWith(worker.Config{Metrics: reg, Accounts: []worker.Account{r.account()}, SweepEvery: 30 * time.Second})
	r.enqueue("c", kenyanNumbers(5))
	r.wait("c", 30*time.Second)
	// According to the counts, one of the five recipients was rejected. According to the results, all were
	// accepted.
	r.rdb.HIncrBy(t.Context(), "tuma:{c}:l", "accepted", -1)
	r.rdb.HIncrBy(t.Context(), "tuma:{c}:l", "rejected", 1)
	reg2 := prometheus.NewRegistry()
	r.rdb.Del(t.Context(), "tuma:sweeper")
	r.startWith(worker.Config{Metrics: reg2, Accounts: []worker.Account{r.account()}})
	r.eventually(15*time.Second, "the new sweeper to find the breach", func() bool {
		return scrape(t, reg2)["tuma_invariant_breaches_total"] == 1
	})
}

func TestMetrics_ScrapeDoesNotDependOnTheNumberOfCampaigns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("enqueues 10,000 campaigns")
	}
	r := newTestTuma(t, simulator.Options{})
	reg := prometheus.NewRegistry()
	r.startWith(worker.Config{Metrics: reg, SweepEvery: time.Second, Accounts: []worker.Account{r.account()}})
	if err := r.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 8)
	for part := range 8 {
		go func() {
			for i := range 1250 {
				c := producer.Campaign{ID: fmt.Sprintf("c-%d-%d", part, i), Via: "kobo-main", Body: "Hello"}
				if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers("0710000000")); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 8 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	r.eventually(2*time.Minute, "the census to count 10,000 campaigns", func() bool { return sum(scrape(t, reg), "tuma_campaigns") == 10_000 })
	best := time.Minute
	for range 20 {
		begun := time.Now()
		scrape(t, reg)
		best = min(best, time.Since(begun))
		<-time.After(50 * time.Millisecond)
	}
	if best > 50*time.Millisecond {
		t.Errorf("the fastest of 20 scrapes took %s, want at most 50 ms", best)
	}
	t.Logf("the fastest of 20 scrapes took %s", best)
}
