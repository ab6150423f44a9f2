package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/providertest"
)

// binary is the path of the tuma command that TestMain builds.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tuma-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tuma")
	build := exec.Command("go", "build", "-o", binary, "github.com/tuma-sms/tuma/cmd/tuma")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build tuma: %v\n%s", err, out)
		return 1
	}
	return providertest.Guarded(m).Run()
}

// deployment is an installation of Tuma like that of a platform team, with worker processes on one Redis.
type deployment struct {
	t       *testing.T
	dir     string
	redis   *redistest.Server
	rdb     redis.UniversalClient
	gateway *simulator.Server
	client  *producer.Client
	env     []string // further environment variables of processes and commands
	program string   // path of the tuma command to run; if it is "", the path in the variable "binary" is used
	mu      sync.Mutex
	workers []*exec.Cmd
}

// newDeployment starts a Redis and a sandbox, and writes a tuma.yaml with one account at KoboMobile. The
// parameter "extra" has further lines of the account.
func newDeployment(t *testing.T, o simulator.Options, extra ...string) *deployment {
	t.Helper()
	gateway := catalog.Simulate(o)
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	account := "  kobo-main:\n    provider: kobo\n    base_url: " + srv.URL + "\n    user: demo\n    pass: demopass\n    rate: \"0\"\n    sender: ACME\n"
	for _, line := range extra {
		account += "    " + line + "\n"
	}
	return deploymentWith(t, gateway, account)
}

// deploymentWith starts a Redis and writes a tuma.yaml with these accounts. Workers, commands and the test's producer
// log in to Redis as a user that has only the rights that README.md names.
//
// By default, the Redis has an append-only file that is written once a second. The parameter "options" changes the
// Redis.
func deploymentWith(t *testing.T, gateway *simulator.Server, accounts string, options ...redistest.Option) *deployment {
	t.Helper()
	f := &deployment{t: t, dir: t.TempDir(), gateway: gateway}
	options = append([]redistest.Option{redistest.WithAOF("everysec"), redistest.WithUser("tuma", "secret", documentedRights(t)...)}, options...)
	f.redis = redistest.Start(t, options...)
	f.rdb = f.redis.Client(f.redis.AsUser)
	f.write("tuma.yaml", "redis: {url: '"+f.redis.UserURL()+"'}\ndefault_country: KE\nwindows: off\naccounts:\n"+accounts)
	var err error
	if f.client, err = producer.New(f.rdb, producer.WithPollInterval(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.end)
	return f
}

// documentedRights returns the rights in the line of README.md that begins with "ACL SETUSER tuma on >PASSWORD".
func documentedRights(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if rights, ok := strings.CutPrefix(line, "ACL SETUSER tuma on >PASSWORD "); ok {
			return strings.Fields(rights)
		}
	}
	t.Fatal("README.md has no line that begins with ACL SETUSER tuma on >PASSWORD")
	return nil
}

func (f *deployment) write(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// The method "start" starts another worker process, and returns when the worker is ready.
func (f *deployment) start() *exec.Cmd {
	f.t.Helper()
	cmd := f.spawn()
	f.eventually(20*time.Second, "a worker to serve", func() bool { return f.serves(cmd) })
	return cmd
}

// The method "serves" reports whether a worker process serves the first account. The test needs this because the
// method serving() still counts killed workers for some time. So its result need not rise when another worker starts.
func (f *deployment) serves(cmd *exec.Cmd) bool {
	accounts, err := f.client.Accounts(context.Background())
	if err != nil || len(accounts) == 0 {
		return false
	}
	fields, err := f.rdb.HKeys(context.Background(), "tuma:account:{"+accounts[0].Name+"}").Result()
	return err == nil && slices.ContainsFunc(fields, func(field string) bool {
		return strings.HasPrefix(field, "w:") && strings.Contains(field, fmt.Sprintf("-%d-", cmd.Process.Pid))
	})
}

func (f *deployment) serving() int {
	accounts, err := f.client.Accounts(context.Background())
	if err != nil || len(accounts) == 0 {
		return 0
	}
	return accounts[0].Workers
}

// The method "spawn" starts another worker process, with further flags, and does not wait until it is ready.
func (f *deployment) spawn(flags ...string) *exec.Cmd {
	f.t.Helper()
	return f.process("worker", flags...)
}

// The method "process" starts the process of a command, and does not wait until the command is ready. The command
// runs until the test stops it. At the end of the test, the method "end" kills the process.
func (f *deployment) process(command string, flags ...string) *exec.Cmd {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, "worker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	args := []string{command, "--config", filepath.Join(f.dir, "tuma.yaml"), "--log-level", "info", "--log-format", "json"}
	cmd := exec.Command(cmp.Or(f.program, binary), append(args, flags...)...)
	// Requests to other machines go to a proxy that does not exist. So a worker cannot reach other machines.
	cmd.Env = append(os.Environ(), "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=")
	cmd.Env = append(cmd.Env, f.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers = append(f.workers, cmd)
	return cmd
}

// kill kills a worker with SIGKILL.
func (f *deployment) kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // the worker may have exited already
	_ = cmd.Wait()         // returns "signal: killed"
}

// The method "drain" stops a worker with SIGTERM and waits until it has drained and exited.
func (f *deployment) drain(cmd *exec.Cmd) {
	f.t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			f.t.Errorf("a drained worker ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		<-done // f.end must not wait for the process a second time
		f.t.Fatal("a worker did not drain within 30 s")
	}
}

func (f *deployment) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.workers {
		if w.ProcessState == nil {
			f.kill(w)
		}
	}
	if f.t.Failed() {
		if log, err := os.ReadFile(filepath.Join(f.dir, "worker.log")); err == nil {
			f.t.Logf("the workers' last lines:\n%s", log[max(0, len(log)-4000):])
		}
	}
}

// The method "tuma" runs a tuma command and returns its output and exit status.
func (f *deployment) tuma(args ...string) (stdout, stderr string, exit int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, cmp.Or(f.program, binary), append([]string{"--config", filepath.Join(f.dir, "tuma.yaml")}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &out, &errOut, f.dir, append(os.Environ(), f.env...)
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		f.t.Fatalf("tuma %v: %v", args, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// The method "must" runs a tuma command, which has to succeed. It returns the standard output.
func (f *deployment) must(args ...string) string {
	f.t.Helper()
	out, errOut, exit := f.tuma(args...)
	if exit != 0 {
		f.t.Fatalf("tuma %v: exit %d\n%s%s", args, exit, out, errOut)
	}
	return out
}

// The method "status" reads a campaign's status with the tuma command and checks that its counts add up.
func (f *deployment) status(id string) producer.Status {
	f.t.Helper()
	var s producer.Status
	if err := json.Unmarshal([]byte(f.must("status", id, "--json")), &s); err != nil {
		f.t.Fatal(err)
	}
	f.checkI1(s)
	return s
}

func (f *deployment) checkI1(s producer.Status) {
	f.t.Helper()
	sum := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped
	if s.State != producer.Uploading && sum != s.Total {
		f.t.Fatalf("the statuses have %d recipients, want the total of %d: %+v", sum, s.Total, s)
	}
}

// The method "wait" waits for the end of a campaign. It checks at every status that the counts add up.
func (f *deployment) wait(id string, limit time.Duration) producer.Status {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	var last producer.Status
	for s, err := range f.client.Watch(ctx, id) {
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			f.t.Fatal(err)
		}
		f.checkI1(s)
		if last = s; s.Ended() {
			return s
		}
	}
	f.t.Fatalf("%s has not ended within %s: %+v; gateway %+v", id, limit, last, f.gateway.Stats())
	return last
}

// The method "compare" compares the result of every recipient with the gateway's own count.
func (f *deployment) compare(id string, want int) {
	f.t.Helper()
	rows := 0
	for r, err := range f.client.Results(f.t.Context(), id) {
		if err != nil {
			f.t.Fatal(err)
		}
		rows++
		n, err := strconv.ParseUint(r.MSISDN, 10, 64)
		if err != nil {
			f.t.Fatalf("row %d: %v", r.Row, err)
		}
		if got := f.gateway.Accepted(n); got != 1 || r.Status != "accepted" {
			f.t.Fatalf("row %d is %s (%s %s), and the gateway accepted it %d times", r.Row, r.Status, r.Reason, r.Code, got)
		}
	}
	if s := f.gateway.Stats(); rows != want || s.Duplicates != 0 || s.Conflicts != 0 || s.Accepted != int64(want) {
		f.t.Fatalf("got %d results, want %d, each accepted once; gateway %+v", rows, want, s)
	}
}

func (f *deployment) eventually(limit time.Duration, what string, is func() bool) {
	f.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			f.t.Fatalf("timed out after %s, waiting for %s", limit, what)
		case <-tick.C:
		}
	}
}

// The method "recipients" writes a CSV file of n distinct Kenyan numbers and returns its path.
func (f *deployment) recipients(name string, n int) string {
	var b strings.Builder
	b.WriteString("name,phone\n")
	for i := range n {
		fmt.Fprintf(&b, "Customer %d,07%08d\n", i, 10_000_000+i)
	}
	return f.write(name, b.String())
}

func (f *deployment) read(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}
