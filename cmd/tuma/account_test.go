package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/catalog"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Credit: 250})
	if out, errOut := h.mustRun("accounts"); out != "" || !strings.Contains(errOut, "no accounts yet: a worker publishes its accounts") {
		t.Errorf("accounts without a worker: got %s%s, want only a note that there are no accounts yet", out, errOut)
	}
	if out, _ := h.mustRun("accounts", "--json"); out != "[]\n" {
		t.Errorf("accounts --json without a worker: got %s, want []", out)
	}
	h.startWorker()
	h.mustRun("hold", "kobo-main")
	eventually(t, "the balance", func() bool {
		out, _ := h.mustRun("accounts")
		return strings.Contains(out, "250 (")
	})
	out, _ := h.mustRun("accounts", "--json")
	var all []accountView
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	a := all[0]
	if a.Name != "kobo-main" || a.Provider != "kobo" || a.Unit != "messages" || a.Sender != "ACME" || a.MaxRecipients != 500 || a.Workers != 1 || a.Slots != 8 ||
		a.Hold == nil || a.Hold.Reason != "manual" || a.Hold.By != "operator" || a.Hold.Since.IsZero() || a.Circuit != "closed" || a.Balance != "250" {
		t.Errorf("got %+v, hold %+v; want the published account kobo-main, on hold by operator", a, a.Hold)
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Credit: 250, Users: map[string]string{"demo": "secret-word"}})
	if out, _ := h.mustRun("balance", "kobo-main"); out != "kobo-main  250\n" {
		t.Errorf("balance: got %q, want kobo-main with 250", out)
	}
	if out, _ := h.mustRun("gateway", "balance", "kobo-main", "--json"); !strings.Contains(out, `"balance": 250`) {
		t.Errorf("gateway balance --json: got %s, want balance 250", out)
	}
	// One account lacks a setting: `tuma balance` still queries the other accounts.
	out, errOut, exit := h.run("balance")
	if exit != exitMisuse || out != "kobo-main  250\n" || !strings.Contains(errOut, "UNSET_VARIABLE is not set") {
		t.Errorf("balance of all accounts: got exit %d and output %s%s, want exit 2 and the balance of kobo-main", exit, out, errOut)
	}
	h.gateway.SetPassword("demo", "changed")
	out, errOut, exit = h.run("balance", "kobo-main")
	if exit != exitFailed || out != "" || !strings.Contains(errOut, "error_user") || strings.Contains(errOut, "secret-word") {
		t.Errorf("balance with a wrong password: got exit %d and output %s%s, want exit 1 and the code error_user", exit, out, errOut)
	}
}

func TestCheck_ReportsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	out, errOut, exit := h.run("check")
	if exit != exitMisuse || !strings.Contains(out, "redis          ok") || !strings.Contains(out, "kobo-main: balance") ||
		!strings.Contains(errOut, "accounts.other.user: environment variable UNSET_VARIABLE is not set") {
		t.Errorf("got exit %d and output\n%s%s\nwant exit 2, the checks of Redis and kobo-main, and the unset variable", exit, out, errOut)
	}
	h.env = append(h.env, "UNSET_VARIABLE=value")
	if out, errOut, exit := h.run("check"); exit != exitDone || strings.Count(out, " ok ") != 7 || !strings.Contains(out, "windows        ok  off") {
		t.Errorf("got exit %d and output\n%s%s\nwant exit 0 and 7 checks that are ok", exit, out, errOut)
	}
	h.gateway.SetPassword("demo", "changed")
	if _, errOut, exit := h.run("check"); exit != exitFailed || !strings.Contains(errOut, "check the account's user and pass") {
		t.Errorf("got exit %d and output\n%s\nwant exit 1 and advice to check the login", exit, errOut)
	}
}

func TestWorker_AnswersHealthChecksAndDrains(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	w := h.start("worker", "--accounts", "kobo-main", "--listen", "127.0.0.1:0", "--log-format", "json")
	var address string
	eventually(t, "the health checks", func() bool {
		for line := range strings.SplitSeq(w.log.String(), "\n") {
			var said struct{ Address string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Address != "" {
				address = said.Address
			}
		}
		return address != ""
	})
	get := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		return resp.StatusCode
	}
	eventually(t, "readiness", func() bool { return get("/readyz") == http.StatusOK })
	if got := get("/elsewhere"); got != http.StatusNotFound {
		t.Errorf("/elsewhere: got status %d, want 404", got)
	}
	h.redis.Kill()
	if got := get("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz without Redis: got status %d, want 200, because it only reports on the process", got)
	}
	if got := get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz without Redis: got status %d, want 503", got)
	}
	h.redis.Restart()
	eventually(t, "readiness again", func() bool { return get("/readyz") == http.StatusOK })
	if _, errOut, exit := h.run("worker", "--accounts", "kobo-main", "--listen", address); exit != exitFailed || !strings.Contains(errOut, "--listen: ") {
		t.Errorf("a second worker at the same address: got exit %d and standard error %s, want exit 1 and an error about --listen", exit, errOut)
	}
	if exit := w.end(t); exit != exitDone {
		t.Errorf("end of the worker: got exit %d and output\n%s\nwant exit 0", exit, w.log)
	}
}

func TestWorker_EndedWhileWaitingForRedisExitsWith0(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a Redis that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := newCLI(t, "redis: {url: 'redis://"+silent.Addr().String()+"'}\naccounts: {k: {provider: kobo, user: u, pass: p}}\n")
	w := c.start("worker")
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if exit := w.end(t); exit != exitDone || w.log.String() != "" {
		t.Errorf("got exit %d and output\n%s\nwant exit 0 and no output", exit, w.log)
	}
}

func TestWorker_NeedsOnlyTheAccountsItServes(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	if _, errOut, exit := h.run("worker"); exit != exitMisuse || !strings.Contains(errOut, "UNSET_VARIABLE is not set") {
		t.Errorf("got exit %d and standard error %s, want exit 2 and the unset variable", exit, errOut)
	}
	c := newCLI(t, "redis: {url: \""+h.redis.URL()+"\"}\n")
	if _, errOut, exit := c.run("worker"); exit != exitMisuse || !strings.Contains(errOut, "has no accounts") {
		t.Errorf("got exit %d and standard error %s, want exit 2 and an error about missing accounts", exit, errOut)
	}
}

func TestSandbox_PrintsAUsableConfiguration(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "")
	s := c.start("sandbox", "--listen", "127.0.0.1:0")
	eventually(t, "the sandbox", func() bool { return strings.Contains(s.log.String(), "sender: ACME") })
	_, yaml, _ := strings.Cut(s.log.String(), "\n\n")
	use := newCLI(t, yaml)
	if out, _ := use.mustRun("balance"); strings.Count(out, "1000000000") != len(catalog.Names()) || !strings.Contains(out, "try-kobo ") {
		t.Errorf("balance with the printed configuration: got %s, want the balance 1000000000 of every gateway", out)
	}
	if exit := s.end(t); exit != exitDone {
		t.Errorf("end of the sandbox: got exit %d, want 0", exit)
	}
	if _, errOut, exit := c.run("sandbox", "--listen", "nonsense"); exit != exitFailed || !strings.Contains(errOut, "--listen: ") {
		t.Errorf("sandbox at a wrong address: got exit %d and standard error %s, want exit 1 and an error about --listen", exit, errOut)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	if _, _, exit := h.runWithInput("0712345678\n", "send", "--id", "my-campaign", "--via", "kobo-main", "--body", "Hello"); exit != exitDone {
		t.Fatalf("send: got exit %d, want 0", exit)
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"my-campaign", []string{"status", ""}},
		{"my-campaign", []string{"results", ""}},
		{"kobo-main", []string{"hold", ""}},
		{"kobo-main", []string{"send", "--via", ""}},
		{"transactional", []string{"send", "--class", ""}},
	} {
		if out, _ := h.mustRun(append([]string{"__complete"}, tt.args...)...); !strings.Contains(out, tt.want) {
			t.Errorf("tuma %v completes to %s, want %s", tt.args, out, tt.want)
		}
	}
	// Without a configuration, completion offers the accounts that workers have published. Without
	// Redis, completion offers nothing.
	c := newCLI(t, "", "TUMA_REDIS_URL="+h.redis.URL())
	if out, _ := c.mustRun("__complete", "release", ""); !strings.Contains(out, "kobo-main") {
		t.Errorf("without a configuration: tuma release completes to %s, want kobo-main", out)
	}
	c = newCLI(t, "", unreachableRedis)
	if out, _ := c.mustRun("__complete", "release", ""); strings.Contains(out, "kobo") {
		t.Errorf("without Redis: tuma release completes to %s, want no account", out)
	}
}

func TestWorker_SecondSignalCutsOffNoCall(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	p := h.process("worker", "--accounts", "kobo-main")
	eventually(t, "the worker", func() bool {
		out, _ := h.mustRun("accounts", "--json")
		return strings.Contains(out, `"workers": 1`)
	})
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("worker after SIGTERM: got error %v, want exit 0\n%s", err, p.Stderr)
	}

	// A hanging call keeps a draining worker running until the account's timeout, also after a second signal: a call
	// that is cut off may leave recipients with an unknown outcome.
	h.gateway.FailNext(1, "hang")
	p = h.process("worker", "--accounts", "kobo-main")
	defer func() { _ = p.Process.Kill() }()
	eventually(t, "the worker", func() bool {
		out, _ := h.mustRun("accounts", "--json")
		return strings.Contains(out, `"workers": 1`)
	})
	if _, _, exit := h.runWithInput("0712345678\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello"); exit != exitDone {
		t.Fatalf("send: got exit %d, want 0", exit)
	}
	eventually(t, "a call that hangs", func() bool { return h.gateway.Stats().InFlight == 1 })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the drain", func() bool { return strings.Contains(p.Stderr.(*syncBuffer).String(), "draining") })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("worker after two signals: got error %v, want exit 0\n%s", err, p.Stderr)
	}
	if log := p.Stderr.(*syncBuffer).String(); !strings.Contains(log, "worker is draining already") || !strings.Contains(log, "worker drained") {
		t.Errorf("got the log\n%s\nwant a line that answers the second signal, and one at the end", log)
	}
}

// The method "process" starts tuma as a separate process.
func (c *cli) process(args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), testBinary(c.t), args...)
	cmd.Env = append(c.env, "TUMA_TEST_AS_TUMA=1")
	cmd.Stderr = &syncBuffer{}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

func TestRate_ChangedByHandUntilReset(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	if _, errOut, exit := h.run("rate", "kobo-main", "80/s"); exit != exitFailed || !strings.Contains(errOut, "kobo-main") {
		t.Errorf("rate of an account that no worker has published: got exit %d and standard error %s, want exit 1 and the account", exit, errOut)
	}
	h.startWorker()
	rate := func() accountView {
		t.Helper()
		out, _ := h.mustRun("accounts", "--json")
		var all []accountView
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	configured := rate()
	if out, _ := h.mustRun("rate", "kobo-main", "80/s"); !strings.HasPrefix(out, "account kobo-main: rate 80/s. The configured rate is ") {
		t.Errorf("tuma rate printed %q, want the new and the configured rate", out)
	}
	if v := rate(); v.Rate != 80 || v.ConfiguredRate == nil || *v.ConfiguredRate != configured.Rate {
		t.Errorf("after tuma rate: got %+v, want rate 80 and the configured rate", v)
	}
	if out, _ := h.mustRun("accounts"); !strings.Contains(out, "80/s (configured ") {
		t.Errorf("tuma accounts printed\n%s\nwant 80/s and the configured rate", out)
	}
	h.mustRun("rate", "kobo-main", "default")
	if v := rate(); v.Rate != configured.Rate || v.Burst != configured.Burst || v.ConfiguredRate != nil {
		t.Errorf("after tuma rate default: got %+v, want %+v", v, configured)
	}
	for _, wrong := range []string{"-1/s", "80", "fast", "0/s"} {
		if _, errOut, exit := h.run("rate", "--", "kobo-main", wrong); exit != exitMisuse || !strings.Contains(errOut, "must be like 50/s or 600/m") {
			t.Errorf("rate %s: got exit %d and standard error %s, want exit 2 and the valid forms of a rate", wrong, exit, errOut)
		}
	}
}
