package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// reporting is a deployment with an account "at" at Africa's Talking and a tuma serve process that takes the
// delivery reports.
type reporting struct {
	*deployment
	listen string // address of tuma serve
	door   string // URL for delivery reports
	serve  *exec.Cmd
	worker *exec.Cmd
}

// newReporting starts a Redis that writes each change to disk before it answers, the sandbox, a worker and tuma serve.
// The parameter "rate" is the rate of the account, in messages a second.
func newReporting(t *testing.T, o simulator.Options, rate int) *reporting {
	t.Helper()
	gateway := catalog.Simulate(o)
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	x := &reporting{listen: freeAddress(t)}
	x.door = "http://" + x.listen + "/callbacks/at/a-secret-for-tests/delivery"
	x.deployment = deploymentWith(t, gateway, "  at:\n    provider: africastalking\n    base_url: "+srv.URL+"/africastalking\n    username: demo\n    api_key: demopass\n"+
		"    sender: ACME\n    rate: "+strconv.Itoa(rate)+"/s\n    timeout: 2s\n    max_recipients: 100\n    callback_secret: a-secret-for-tests\n", redistest.WithAOF("always"))
	x.write("tuma.yaml", "redis: {url: '"+x.redis.UserURL()+"', durability: fsync}\n"+x.read("tuma.yaml")[len("redis: {url: '"+x.redis.UserURL()+"'}\n"):])
	x.worker = x.start()
	x.startServe()
	return x
}

// startServe starts a tuma serve process, and returns when it is ready.
func (x *reporting) startServe() {
	x.t.Helper()
	x.serve = x.process("serve", "--listen", x.listen)
	x.eventually(20*time.Second, "tuma serve", func() bool {
		status, _ := x.readyz(x.listen)
		return status == http.StatusOK
	})
}

// The method "post" posts a delivery report that tuma serve must take.
func (x *reporting) post(form url.Values) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 20*time.Second)
	defer cancel()
	if status := postForm(ctx, x.door, form); status != http.StatusOK {
		x.t.Fatalf("the report %v got the status %d, want 200", form, status)
	}
}

// awaitIndex waits until the worker has entered all message IDs in the index.
func (x *reporting) awaitIndex() {
	x.t.Helper()
	x.eventually(20*time.Second, "the message IDs to be in the index", func() bool {
		logins, err := x.rdb.SMembers(x.t.Context(), "tuma:dlr").Result()
		if err != nil || len(logins) == 0 {
			return false
		}
		for _, login := range logins {
			if n, err := x.rdb.HLen(x.t.Context(), "tuma:dlr:{"+login+"}:n").Result(); err != nil || n > 0 {
				return false
			}
		}
		return true
	})
}

// postForm posts a form and returns the status of the answer. It returns 0 if it gets no answer.
func postForm(ctx context.Context, to string, form url.Values) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// The method "rows" returns the results of a campaign.
func (x *reporting) rows(id string) (out []producer.Result) {
	x.t.Helper()
	for r, err := range x.client.Results(x.t.Context(), id) {
		if err != nil {
			x.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// A report with the reason UserInBlackList puts its number on the suppression list of the sender ID, but only if
// delivered messages prove that the sender ID works. The gateway must report a delivered message before this report,
// and another delivered message after it. The next campaign must not send to a number on the list.
func TestReports_BlacklistedNumbersAreSuppressed(t *testing.T) {
	t.Parallel()
	x := newReporting(t, simulator.Options{}, 1000)
	const n = 6
	campaign := func(id string) producer.Status {
		t.Helper()
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "at", Body: text}, campaignNumbers(1, n)); err != nil {
			t.Fatal(err)
		}
		return x.wait(id, 30*time.Second)
	}
	campaign("first")
	x.awaitIndex() // until the index is complete, the worker applies the reports instead of tuma serve
	rows := x.rows("first")
	report := func(i int, status, reason string) {
		t.Helper()
		x.post(url.Values{"id": {rows[i].MessageID}, "phoneNumber": {"+" + rows[i].MSISDN}, "status": {status}, "failureReason": {reason}})
	}
	suppressed := func() (out []string) {
		t.Helper()
		for _, r := range rows {
			var list []struct{ Sender, Origin string }
			if err := json.Unmarshal([]byte(x.must("optout", "check", r.MSISDN, "--json")), &list); err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				out = append(out, r.MSISDN+" "+e.Sender+" "+e.Origin)
			}
		}
		return out
	}
	report(0, "Rejected", "UserInBlackList") // no delivered message has proved the sender ID yet
	report(1, "Success", "")
	report(2, "Rejected", "UserInBlackList")
	report(2, "Rejected", "UserInBlackList")
	report(3, "Failed", "AbsentSubscriber")
	if got := suppressed(); len(got) != 0 {
		t.Errorf("before the next report of a delivered message, the lists have %q, want no number", got)
	}
	report(4, "Success", "")
	want := []string{rows[2].MSISDN + " ACME gateway:at:UserInBlackList"}
	if got := suppressed(); !slices.Equal(got, want) {
		t.Errorf("the lists have %q, want %q", got, want)
	}
	if s := campaign("second"); s.Skipped != 1 || s.Accepted != n-1 {
		t.Errorf("the second campaign has the status %+v, want 1 skipped", s)
	}
	if s := x.status("first"); s.Delivered != 2 || s.Undelivered != 3 || s.Accepted != 1 {
		t.Errorf("the first campaign has the status %+v, want 2 delivered, 3 undelivered, 1 accepted", s)
	}
}

var (
	reportMessages = flag.Int("reports.messages", 2_000, "messages of TestReports_KillsLoseNoReport")
	reportRate     = flag.Int("reports.rate", 400, "messages a second of TestReports_KillsLoseNoReport")
	reportKills    = flag.Int("reports.kills", 6, "kills of TestReports_KillsLoseNoReport")
	reportSeed     = flag.Uint64("reports.seed", 1, "seed of the sandbox of TestReports_KillsLoseNoReport")
)

// TestReports_KillsLoseNoReport kills the worker, tuma serve and Redis in turn, every two seconds while the campaign is
// sent. Each report comes twice and out of order. A tenth of the reports come before the answer to the call, and some
// reports have a mangled ID. In the end, every message that the gateway accepted must have the final status that the
// gateway reported. A final status must never be replaced, and the counts must be consistent at every sample.
// `make chaos-reports` runs this test with 100,000 messages.
func TestReports_KillsLoseNoReport(t *testing.T) {
	t.Parallel()
	x := newReporting(t, simulator.Options{Latency: 20 * time.Millisecond, Seed: *reportSeed}, *reportRate)
	gateway := x.gateway.Gateway("africastalking")
	if err := gateway.SetReports(simulator.Reports{URL: x.door, Delay: time.Second, Fail: 0.2, Twice: 1, Early: 0.1, Late: 0.05, Mangled: 0.02, Interim: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "at", Body: text}, campaignNumbers(1, *reportMessages)); err != nil {
		t.Fatal(err)
	}
	finals := map[int]string{} // maps a row to its first final status
	limit := time.Now().Add(3*time.Minute + 20*time.Duration(*reportMessages / *reportRate)*time.Second)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	kills := 0
	for {
		s, err := x.client.Status(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		x.checkI1(s)
		sending := !s.Ended()
		select {
		case <-tick.C:
			if sending && kills < *reportKills {
				x.killOne(kills)
				kills++
			}
			missing, sample := x.sampleFinals(finals)
			if !sending && missing == 0 && gateway.ReportStats().Waiting == 0 {
				t.Logf("seed %d: %d kills; reports %+v; %d of %d final", *reportSeed, kills, gateway.ReportStats(), s.Reports.Final, s.Reports.Expected)
				if kills < 3 {
					t.Errorf("%d kills, want at least one of each process", kills)
				}
				return
			}
			if time.Now().After(limit) {
				x.logMissing()
				t.Fatalf("%d messages have another status than the gateway's, e.g. %+v; status %+v, reports %+v", missing, sample, s, gateway.ReportStats())
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logMissing logs the messages that do not have their final status yet, and the parked reports about them.
func (x *reporting) logMissing() {
	x.t.Helper()
	parked := map[string][]string{}
	for _, key := range x.rdb.Keys(x.t.Context(), "tuma:dlr:{*}:p").Val() {
		for id, record := range x.rdb.HGetAll(x.t.Context(), key).Val() {
			if words := strings.SplitN(record, " ", 4); len(words) == 4 {
				parked[words[2]] = append(parked[words[2]], id)
			}
		}
	}
	gateway, calls := x.gateway.Gateway("africastalking").Finals(), map[int]int{}
	for _, r := range x.rows("c") {
		_, accepted := gateway[mustNumber(x.t, r.MSISDN)]
		if !accepted || r.Status == "delivered" || r.Status == "undelivered" {
			continue
		}
		calls[r.Row/50]++
		if len(calls) < 40 && calls[r.Row/50] == 1 {
			x.t.Logf("row %d is %s; parked reports about its number: %v", r.Row, r.Status, parked[r.MSISDN])
		}
	}
	x.t.Logf("missing by 50 rows: %v", calls)
}

// killOne kills the worker, tuma serve or Redis, and restarts it.
func (x *reporting) killOne(i int) {
	x.t.Helper()
	switch i % 3 {
	case 0:
		x.kill(x.worker)
		x.worker = x.spawn()
	case 1:
		x.kill(x.serve)
		x.startServe()
	default:
		x.redis.Kill()
		x.redis.Restart()
	}
}

// sampleFinals reads all results. A final status must not differ from the final status in an earlier sample, or from
// the final status at the gateway. sampleFinals returns how many of the gateway's messages do not have their final
// status yet. It also returns one of these messages.
func (x *reporting) sampleFinals(finals map[int]string) (missing int, sample producer.Result) {
	x.t.Helper()
	rows := x.rows("c")
	gateway := x.gateway.Gateway("africastalking").Finals()
	for _, r := range rows {
		delivered, accepted := gateway[mustNumber(x.t, r.MSISDN)]
		want := "undelivered"
		if delivered {
			want = "delivered"
		}
		if first, ok := finals[r.Row]; ok && r.Status != first {
			x.t.Errorf("row %d was %s, and is %s now", r.Row, first, r.Status)
		}
		switch {
		case r.Status == "delivered" || r.Status == "undelivered":
			finals[r.Row] = r.Status
			if !accepted || r.Status != want {
				x.t.Errorf("row %d is %s; the gateway accepted it: %t, and reports %s", r.Row, r.Status, accepted, want)
			}
		case accepted:
			missing, sample = missing+1, r
		}
	}
	return missing, sample
}
