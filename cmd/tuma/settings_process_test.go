package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// rollout is a Redis and a sandbox with two versions of a configuration.
type rollout struct {
	t        *testing.T
	redis    *redistest.Server
	versions map[string]*cli
	sent     int
}

// wantInForce maps each version of the configuration to the settings that must be in force.
var wantInForce = map[string]struct {
	rate    float64
	country string
	windows string // as JSON
	via     string // account of the routes
}{
	"v1": {20, "KE", `{"KE":"00:00-23:59"}`, "kobo-a"},
	"v2": {200, "NG", `{"KE":"00:00-24:00","NG":"00:00-24:00"}`, "kobo-b"},
}

func newRollout(t *testing.T) *rollout {
	t.Helper()
	r := &rollout{t: t, redis: redistest.Start(t, redistest.WithAOF("no")), versions: map[string]*cli{}}
	gateway := catalog.Simulate(simulator.Options{})
	server := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		server.Close()
	})
	for version, x := range map[string]string{
		"v1": "rate: 20/s, unit: messages", "v2": "rate: 200/s, unit: requests",
	} {
		want := wantInForce[version]
		windows := map[string]string{"v1": `{KE: "00:00-23:59", NG: off}`, "v2": `{KE: "00:00-24:00", NG: "00:00-24:00"}`}[version]
		r.versions[version] = newCLI(t, fmt.Sprintf(`
redis: {url: "%s"}
retention: %dd
accounts:
  kobo-a: {provider: kobo, base_url: "%s/kobo", user: a, pass: x, sender: ACME, %s}
  kobo-b: {provider: kobo, base_url: "%s/kobo", user: b, pass: x, sender: ACME, %s}
default_country: %s
windows: %s
routes:
  - {match: "", via: [%s]}
`, r.redis.URL(), len(version)+int(want.rate)/20, server.URL, x, server.URL, x, want.country, windows, want.via))
	}
	return r
}

// start starts a worker of a version as a process, and returns when it has started.
func (r *rollout) start(version string) *exec.Cmd {
	r.t.Helper()
	p := r.versions[version].process("worker")
	r.t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	eventually(r.t, "the worker of "+version, func() bool { return strings.Contains(p.Stderr.(*syncBuffer).String(), "worker started") })
	return p
}

// stop stops a worker as a rolling update does.
func (r *rollout) stop(p *exec.Cmd) {
	r.t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		r.t.Errorf("worker after SIGTERM: got %v, want exit 0\n%s", err, p.Stderr)
	}
}

func (r *rollout) accounts() (all []accountView) {
	r.t.Helper()
	out, _ := r.versions["v1"].mustRun("accounts", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// wantVersion checks that all settings of a version are in force within two seconds. Campaigns that
// are enqueued with either configuration must then be planned with these settings.
func (r *rollout) wantVersion(step, version string) {
	r.t.Helper()
	want, began := wantInForce[version], time.Now()
	inForce := func() bool {
		all := r.accounts()
		for _, a := range all {
			windows, _ := json.Marshal(a.Windows)
			if a.Rate != want.rate || a.Country != want.country || string(windows) != want.windows {
				return false
			}
		}
		return len(all) == 2
	}
	eventually(r.t, step+": "+version+" to be in force", inForce)
	if d := time.Since(began); d > 2*time.Second {
		r.t.Errorf("%s: %s was in force after %s, want at most 2 s", step, version, d)
	}
	for producer := range r.versions {
		r.wantPlanned(step, producer, version)
	}
}

// wantPlanned uses the configuration of one version to send to numbers in the national form of both
// countries. Tuma must read all numbers as numbers of the country that is in force.
func (r *rollout) wantPlanned(step, enqueuedBy, version string) {
	r.t.Helper()
	want := wantInForce[version]
	r.sent++
	id := "c" + strconv.Itoa(r.sent)
	c := r.versions[enqueuedBy]
	out, errOut, exit := c.runWithInput("0712345678\n08031234567\n", "send", "--id", id, "--body", "Hello", "--json")
	var receipt producer.Receipt
	if exit != exitDone || json.Unmarshal([]byte(out), &receipt) != nil {
		r.t.Fatalf("%s: send: got exit %d, want 0 and a receipt as JSON\n%s%s", step, exit, out, errOut)
	}
	windows, _ := json.Marshal(receipt.Windows)
	if receipt.Country != want.country || string(windows) != want.windows {
		r.t.Errorf("%s: the receipt names %q and %s, want those of %s", step, receipt.Country, windows, version)
	}
	var st producer.Status
	eventually(r.t, step+": the end of "+id, func() bool {
		out, _ := c.mustRun("status", id, "--json")
		if err := json.Unmarshal([]byte(out), &st); err != nil {
			r.t.Fatal(err)
		}
		return st.Ended()
	})
	windows, _ = json.Marshal(st.Windows)
	if st.Country != want.country || string(windows) != want.windows || st.Accepted != 1 || len(st.Accounts) != 1 || st.Accounts[0] != want.via {
		r.t.Errorf("%s: status %+v, want country, sending hours and account of %s, and 1 accepted", step, st, version)
	}
	results, _ := c.mustRun("results", id, "--status", "accepted")
	prefix := map[string]string{"KE": ",254712345678,", "NG": ",2348031234567,"}[want.country]
	if !strings.Contains(results, prefix) {
		r.t.Errorf("%s: the accepted number is\n%s\nwant one that contains %s", step, results, prefix)
	}
}

// wantDifferences checks that `tuma accounts` and `tuma check` name the worker "differing", and each
// setting in which this worker differs. They must not name the worker "agreeing".
func (r *rollout) wantDifferences(step string, differing, agreeing *exec.Cmd, version string) {
	r.t.Helper()
	id := func(p *exec.Cmd) string { return "-" + strconv.Itoa(p.Process.Pid) + "-" }
	_, errOut := r.versions["v1"].mustRun("accounts")
	for _, want := range []string{"rate of kobo-a", "rate of kobo-b", "unit of kobo-a", "default_country", "windows", "routes", "retention", ", since "} {
		if !strings.Contains(errOut, want) {
			r.t.Errorf("%s: tuma accounts does not name %q:\n%s", step, want, errOut)
		}
	}
	if !strings.Contains(errOut, id(differing)) || strings.Contains(errOut, id(agreeing)) {
		r.t.Errorf("%s: tuma accounts must name worker %s only:\n%s", step, id(differing), errOut)
	}
	log := differing.Stderr.(*syncBuffer)
	eventually(r.t, step+": the log line", func() bool { return strings.Contains(log.String(), "configuration differs") })
	if n := strings.Count(log.String(), "configuration differs"); n != 1 {
		r.t.Errorf("%s: the worker logged %d times that its configuration differs, want once\n%s", step, n, log)
	}
	for name, c := range r.versions {
		_, errOut, _ := c.run("check")
		if own := strings.Contains(errOut, "tuma.yaml has rate of kobo-a"); own != (name != version) {
			r.t.Errorf("%s: tuma check with %s while %s is in force must name the rate of tuma.yaml only if the versions differ; it printed\n%s", step, name, version, errOut)
		}
		if !strings.Contains(errOut, id(differing)) {
			r.t.Errorf("%s: tuma check does not name worker %s:\n%s", step, id(differing), errOut)
		}
	}
}

func (r *rollout) wantNoDifferences(step string) {
	r.t.Helper()
	for _, a := range r.accounts() {
		if len(a.Differs) > 0 {
			r.t.Errorf("%s: account %s differs: %+v, want no differences", step, a.Name, a.Differs)
		}
	}
}

// Worker processes are updated one by one, and then rolled back. At each step the configuration of
// the worker that started last is in force.
func TestRollout_TheWorkerThatStartedLastDecides(t *testing.T) {
	t.Parallel()
	for _, order := range [][2]string{{"v1", "v2"}, {"v2", "v1"}} {
		t.Run(order[0]+" first", func(t *testing.T) {
			t.Parallel()
			r := newRollout(t)
			before, after := order[0], order[1]
			a := r.start(before)
			r.wantVersion("one worker", before)
			b := r.start(before)
			r.wantVersion("two workers", before)
			r.wantNoDifferences("two workers")
			c := r.start(after)
			r.wantVersion("a new one beside them", after)
			r.stop(b)
			r.wantDifferences("a new one beside one", a, c, after)
			r.stop(a)
			r.wantVersion("the new one alone", after)
			d := r.start(after)
			r.wantVersion("the update is complete", after)
			r.wantNoDifferences("the update is complete")
			e := r.start(before)
			r.wantVersion("the rollback begins", before)
			r.stop(d)
			r.wantDifferences("the rollback begins", c, e, before)
			if err := c.Process.Kill(); err != nil { // a crash changes nothing
				t.Fatal(err)
			}
			r.wantVersion("one has crashed", before)
			r.stop(e)
			r.start(after) // a stopped worker's settings stay in force until the next start
			r.wantVersion("started again", after)
		})
	}
}

// A rate set with `tuma rate` stays in force when workers start, until it is reset.
func TestRollout_ARateByHandStaysInForce(t *testing.T) {
	t.Parallel()
	r := newRollout(t)
	r.start("v1")
	r.versions["v1"].mustRun("rate", "kobo-a", "5/s")
	r.start("v2")
	eventually(t, "the settings of v2", func() bool { return r.accounts()[1].Rate == 200 })
	if a := r.accounts()[0]; a.Rate != 5 || a.ConfiguredRate == nil || *a.ConfiguredRate != 200 {
		t.Errorf("kobo-a: %+v, want 5/s by hand, and 200/s configured", a)
	}
	r.versions["v1"].mustRun("rate", "kobo-a", "default")
	if a := r.accounts()[0]; a.Rate != 200 || a.ConfiguredRate != nil {
		t.Errorf("kobo-a after the reset: %+v, want 200/s", a)
	}
}

// A worker that serves only some accounts sets the settings of these accounts and of the cluster.
// The settings of the other accounts do not change.
func TestRollout_AWorkerForSomeAccountsLeavesTheOthers(t *testing.T) {
	t.Parallel()
	r := newRollout(t)
	r.start("v1")
	p := r.versions["v2"].process("worker", "--accounts", "kobo-a")
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	eventually(t, "the settings of v2", func() bool { all := r.accounts(); return all[0].Rate == 200 && all[1].Country == "NG" })
	if b := r.accounts()[1]; b.Rate != 20 || b.Workers != 1 {
		t.Errorf("kobo-b: %+v, want the rate of the worker that serves it, 20/s", b)
	}
}

// Enqueueing needs only a configuration and Redis. A worker that starts later sends the campaign.
func TestSend_WithoutAWorkerWaitsForOne(t *testing.T) {
	t.Parallel()
	r := newRollout(t)
	c := r.versions["v1"]
	_, errOut, exit := c.runWithInput("0712345678\n", "send", "--id", "early", "--via", "kobo-a", "--body", "Hello")
	if exit != exitDone || !strings.Contains(errOut, "no worker serves kobo-a: nothing is sent until a worker runs") {
		t.Fatalf("send: got exit %d and standard error\n%s\nwant exit 0 and a note", exit, errOut)
	}
	if _, errOut, exit := c.runWithInput("0712345678\n", "send", "--id", "routed", "--body", "Hello"); exit != exitDone || !strings.Contains(errOut, "no worker serves kobo-a") {
		t.Fatalf("send by route: got exit %d and standard error\n%s", exit, errOut)
	}
	if _, errOut, exit := c.runWithInput("0712345678\n", "send", "--via", "nowhere", "--body", "Hello"); exit != exitMisuse || !strings.Contains(errOut, "start a worker first, or run: tuma accounts sync") {
		t.Errorf("send through an unknown account: got exit %d and standard error\n%s", exit, errOut)
	}
	r.start("v2") // v2 has another country, but the campaigns keep the country that they got when they were enqueued
	for _, id := range []string{"early", "routed"} {
		eventually(t, id, func() bool {
			out, _ := c.mustRun("status", id, "--json")
			var st producer.Status
			return json.Unmarshal([]byte(out), &st) == nil && st.Accepted == 1 && st.Country == "KE"
		})
	}
	if _, errOut, _ := c.runWithInput("0712345678\n", "send", "--id", "late", "--via", "kobo-a", "--country", "KE", "--body", "Hello"); strings.Contains(errOut, "no worker") {
		t.Errorf("send beside a worker printed\n%s\nwant no note about workers", errOut)
	}
}

func TestAccountsSync_PublishesWithoutAWorker(t *testing.T) {
	t.Parallel()
	r := newRollout(t)
	out, errOut := r.versions["v1"].mustRun("accounts", "sync")
	if out != "published: kobo-a, kobo-b\n" || errOut != "" {
		t.Errorf("sync printed %q and %q, want both accounts", out, errOut)
	}
	client, err := producer.New(r.redis.Client())
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := client.Enqueue(t.Context(), producer.Campaign{ID: "lib", Via: "kobo-a", Body: "Hello"}, producer.Numbers("0712345678"))
	if err != nil || receipt.Country != "KE" || len(receipt.NoWorker) != 1 {
		t.Errorf("Enqueue after sync: %+v, %v; want country KE and an account without a worker", receipt, err)
	}
	r.versions["v2"].mustRun("accounts", "sync") // no worker runs, so this replaces the settings of v1
	if a := r.accounts(); a[0].Rate != 200 || a[0].Country != "NG" || a[0].Workers != 0 {
		t.Errorf("after the second sync: %+v, want the settings of v2 and no worker", a[0])
	}
	p := r.start("v1")
	r.wantVersion("a worker after sync", "v1")
	out, errOut = r.versions["v2"].mustRun("accounts", "sync")
	if out != "" || !strings.Contains(errOut, "left unchanged, because a worker serves them: kobo-a, kobo-b") {
		t.Errorf("sync beside a worker printed %q and %q, want both accounts kept", out, errOut)
	}
	r.wantVersion("sync beside a worker", "v1")
	r.stop(p)
	if a := r.accounts(); len(a) != 2 || a[0].Workers != 0 || a[0].Rate != 20 {
		t.Errorf("after the worker has stopped: %+v, want its cards", a)
	}
}
