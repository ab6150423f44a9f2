package e2e

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// The method "metrics" returns the values of the metrics of a process. A key is the line without its value.
func (f *deployment) metrics(address string) map[string]float64 {
	f.t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		i := strings.LastIndex(line, " ")
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64); i > 0 && err == nil {
			values[line[:i]] = v
		}
	}
	return values
}

// Two worker processes must export the same number of desired workers. At the gateway's limit, this number must not
// grow when the backlog grows tenfold. If the rate is raised to four times its value, the number must rise within 15
// seconds. A hold must lower it to the minimum.
func TestDesiredWorkers_FollowRateAndHoldNotBacklog(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{Latency: 200 * time.Millisecond}, "max_recipients: 1", "concurrency: 1")
	f.write("tuma.yaml", strings.Replace(f.read("tuma.yaml"), `rate: "0"`, "rate: 10/s", 1))
	workers := []string{freeAddress(t), freeAddress(t)}
	for _, address := range workers {
		f.spawn("--listen", address)
	}
	const backlog = `tuma_backlog_messages{account="kobo-main",class="marketing"}`
	// The function "desired" returns the number of desired workers and the backlog. Both are 0 while the two
	// processes export different numbers of desired workers, or do not count two workers yet.
	desired := func() (n, waiting float64) {
		first, second := f.metrics(workers[0]), f.metrics(workers[1])
		if n = first["tuma_workers_desired"]; n != second["tuma_workers_desired"] || first["tuma_workers"] != 2 {
			return 0, 0
		}
		return n, min(first[backlog], second[backlog])
	}
	for _, address := range workers {
		f.eventually(30*time.Second, "a worker", func() bool { status, _ := f.readyz(address); return status == http.StatusOK })
	}
	f.eventually(20*time.Second, "the minimum without work", func() bool { n, _ := desired(); return n == 1 })
	enqueue := func(id string, campaign, n int) {
		t.Helper()
		if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "kobo-main", Body: text}, campaignNumbers(campaign, n)); err != nil {
			t.Fatal(err)
		}
	}
	enqueue("first", 1, 2_000)
	// A call takes 0.2 s, so 10 calls a second keep 2 calls in flight. A worker makes one call at a time. Up to 4
	// workers are right: the measured P95 of call durations may be 42 % too high, and a busy machine is slower.
	atLimit := func(n float64) bool { return n >= 2 && n <= 4 }
	f.eventually(30*time.Second, "the limit of the gateway", func() bool { n, waiting := desired(); return atLimit(n) && waiting > 0 })
	before, _ := desired()
	enqueue("second", 2, 20_000)
	f.eventually(30*time.Second, "the backlog to grow", func() bool { _, waiting := desired(); return waiting > 18_000 })
	sent, highest := f.gateway.Stats().Accepted, 0.0
	f.eventually(time.Minute, "50 more messages", func() bool {
		n, _ := desired()
		highest = max(highest, n)
		return f.gateway.Stats().Accepted >= sent+50
	})
	if !atLimit(highest) {
		t.Errorf("with ten times the backlog up to %v workers are desired, want 2 to 4 as before (%v)", highest, before)
	}
	begun := time.Now()
	f.must("rate", "kobo-main", "40/s")
	f.eventually(15*time.Second, "the number to follow the rate", func() bool { n, _ := desired(); return n >= 8 && n <= 16 })
	t.Logf("the number followed the rate after %s", time.Since(begun))
	begun = time.Now()
	f.must("hold", "kobo-main")
	f.eventually(15*time.Second, "the number to follow the hold", func() bool { n, waiting := desired(); return n == 1 && waiting > 18_000 })
	t.Logf("the number followed the hold after %s", time.Since(begun))
}
