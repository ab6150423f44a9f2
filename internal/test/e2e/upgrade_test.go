package e2e

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

var upgradeOld = flag.String("upgrade.old", "", "commit or tag of the old tuma of TestUpgrade; make test-upgrade sets it")

// upgrade is a deployment with old and new workers and commands. Its campaigns are sent to a gateway with idempotency
// keys and to a gateway without keys.
type upgrade struct {
	*deployment
	old   string         // path of the old tuma
	sent  map[string]int // maps the ID of a campaign to its number of recipients
	first int            // the first number of the next campaign
}

// buildOld builds tuma of an older commit, and returns its path. If the repository lacks the commit, the test is skipped.
func buildOld(t *testing.T, commit string) string {
	t.Helper()
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", args...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	full, err := git("rev-parse", "--verify", "--quiet", commit+"^{commit}")
	if err != nil {
		t.Skipf("the repository has no commit %q, so nothing was tested: run git fetch --unshallow --tags, or name another one with make test-upgrade OLD=COMMIT", commit)
	}
	tree, path := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "tuma-old")
	if out, err := git("worktree", "add", "--detach", tree, full); err != nil {
		t.Fatalf("git worktree add: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := git("worktree", "remove", "--force", tree); err != nil {
			t.Errorf("git worktree remove: %v\n%s", err, out)
		}
	})
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/tuma")
	build.Dir = tree
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tuma of %s: %v\n%s", full, err, out)
	}
	t.Logf("the old tuma is that of %s", full)
	return path
}

func newUpgrade(t *testing.T, old string) *upgrade {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{Latency: 40 * time.Millisecond})
	web := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		web.Close()
	})
	x := &upgrade{old: old, sent: map[string]int{}, first: 10_000_000}
	x.deployment = deploymentWith(t, gateway, "  kobo: {provider: kobo, base_url: '"+web.URL+"/kobo', user: demo, pass: demo, sender: ACME, timeout: 2s, max_recipients: 20, rate: 150/s}\n"+
		"  at: {provider: africastalking, base_url: '"+web.URL+"/africastalking', username: demo, api_key: demo, sender: ACME, timeout: 3s, max_recipients: 5, rate: 60/s}\n")
	// If an answer is lost, KoboMobile repeats it for the same idempotency key. So the old and the new tuma must use
	// the same key for a call.
	for _, name := range []string{"accept_close", "accept_502", "close"} {
		if err := gateway.Fail(simulator.Fault{Name: name, Gateway: "kobo", P: 0.05}); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// The method "with" selects the old or the new tuma for the processes and commands that x starts after this call.
func (x *upgrade) with(old bool) *upgrade {
	x.program = ""
	if old {
		x.program = x.old
	}
	return x
}

// The method "worker" starts a worker, and returns when the worker serves its accounts.
func (x *upgrade) worker(old bool, flags ...string) *exec.Cmd {
	x.t.Helper()
	cmd := x.with(old).spawn(flags...)
	x.eventually(30*time.Second, "a worker to serve", func() bool {
		fields, err := x.rdb.HKeys(x.t.Context(), "tuma:account:{kobo}").Result()
		return err == nil && strings.Contains(strings.Join(fields, " "), "-"+strconv.Itoa(cmd.Process.Pid)+"-")
	})
	return cmd
}

// send enqueues a campaign of n recipients at each gateway with the command of the old or the new tuma. The campaigns
// at kobo have merge fields.
func (x *upgrade) send(step string, old bool, n int) {
	x.t.Helper()
	by := map[bool]string{true: "old", false: "new"}[old]
	for via, body := range map[string]string{"kobo": "Dear {{name}}, your statement is ready.", "at": text} {
		id := step + "-" + by + "-" + via
		var list strings.Builder
		list.WriteString("name,phone\n")
		for i := range n {
			fmt.Fprintf(&list, "Customer %d,07%08d\n", i%7, x.first+i)
		}
		x.first += n
		x.sent[id] = n
		x.with(old).must("send", "--id", id, "--via", via, "--body", body, "--file", x.write(id+".csv", list.String()))
	}
}

// sendBoth enqueues campaigns with the old and with the new command while the workers send. It returns when the
// gateways have accepted more than 100 further messages.
func (x *upgrade) sendBoth(step string) {
	x.t.Helper()
	x.send(step, true, 300)
	x.send(step, false, 300)
	before := x.gateway.Stats().Accepted
	x.eventually(time.Minute, "messages of the step "+step, func() bool { return x.gateway.Stats().Accepted > before+100 })
}

// compareAll waits until every campaign has ended. It checks that the old and the new command show all accepted
// recipients, and that the gateways have accepted each message once.
func (x *upgrade) compareAll() {
	x.t.Helper()
	total := 0
	for id, n := range x.sent {
		total += n
		if s := x.wait(id, 3*time.Minute); s.State != producer.Done || s.Accepted != n {
			x.t.Errorf("%s has the status %+v, want %d accepted", id, s, n)
		}
		for _, old := range []bool{true, false} {
			if lines := strings.Count(x.with(old).must("results", id, "--status", "accepted"), "accepted"); lines < n {
				x.t.Errorf("%s: the tuma with old=%t shows %d accepted recipients, want %d", id, old, lines, n)
			}
		}
		for r, err := range x.client.Results(x.t.Context(), id) {
			if err != nil {
				x.t.Fatal(err)
			}
			if got := x.gateway.Accepted(mustNumber(x.t, r.MSISDN)); got != 1 {
				x.t.Errorf("%s row %d: the gateway accepted it %d times, want once", id, r.Row, got)
			}
		}
	}
	if s := x.gateway.Stats(); s.Accepted != int64(total) || s.Duplicates != 0 || s.Conflicts != 0 || s.Faults == 0 {
		x.t.Errorf("the gateways have the counts %+v, want %d accepted, with faults, and no duplicates and conflicts", s, total)
	}
	x.t.Logf("%d campaigns, %d messages; gateways %+v", len(x.sent), total, x.gateway.Stats())
}

// Old and new workers and commands run side by side, in the order of docs/operations.md: first the workers are
// replaced, one by one, and then the commands. An old worker is killed while new workers run. Then the update is rolled
// back in the reverse order. No message may be sent twice or lost.
func TestUpgrade_OldAndNewSideBySide(t *testing.T) {
	t.Parallel()
	if *upgradeOld == "" {
		t.Skip("needs an old tuma, which takes a minute to build: make test-upgrade")
	}
	x := newUpgrade(t, buildOld(t, *upgradeOld))
	const old, fresh = true, false
	first, second := x.worker(old), x.worker(old)
	crashing := x.worker(old, "--accounts", "kobo") // KoboMobile has idempotency keys, so other workers can repeat the calls of this worker
	x.send("before", old, 600)
	x.eventually(time.Minute, "the first messages", func() bool { return x.gateway.Stats().Accepted > 50 })

	third := x.worker(fresh)
	x.sendBoth("one-new-worker")
	x.kill(crashing)
	x.drain(first)
	fourth := x.worker(fresh)
	x.sendBoth("two-new-workers")
	x.drain(second)
	x.sendBoth("all-workers-new")
	x.send("all-new", fresh, 300)

	// The rollback is in the reverse order, so no new command enqueues after this step. Work that only a new worker can
	// read waits for a new worker.
	fifth := x.worker(old)
	x.sendBoth("rollback")
	x.drain(third)
	x.drain(fourth)
	x.send("rolled-back", old, 300)
	for _, id := range []string{"rolled-back-old-kobo", "rolled-back-old-at"} {
		if s := x.wait(id, 3*time.Minute); s.Accepted != 300 {
			t.Errorf("%s has the status %+v, want all accepted by the old worker", id, s)
		}
	}
	sixth := x.worker(fresh)
	x.compareAll()
	x.drain(fifth)
	x.drain(sixth)
}
