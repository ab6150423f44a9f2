package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/providertest"
)

// TestMain runs the tests. With TUMA_TEST_AS_TUMA=1 in its environment the test binary runs as the
// command tuma, for tests that need separate processes.
func TestMain(m *testing.M) {
	if os.Getenv("TUMA_TEST_AS_TUMA") == "1" {
		providertest.Guard() // Guard blocks calls to real gateways. Only tests use the result, and no test runs here.
		main()
	}
	redis.SetLogger(discardLogger{})
	goleak.VerifyTestMain(providertest.Guarded(m))
}

// cli runs the command tuma in the process of the test, with a separate environment and directory.
type cli struct {
	t   testing.TB
	dir string
	env []string
}

// newCLI returns a cli. The parameter "config" is the text of its tuma.yaml. If the text is empty, the cli has no
// tuma.yaml.
func newCLI(t testing.TB, config string, env ...string) *cli {
	t.Helper()
	c := &cli{t: t, dir: t.TempDir(), env: env}
	if config != "" {
		c.env = append(c.env, "TUMA_CONFIG="+c.file("tuma.yaml", config))
	}
	return c
}

func (c *cli) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cli) run(args ...string) (out, errOut string, exit int) {
	c.t.Helper()
	return c.runWithInput("", args...)
}

// runWithInput is like run. The parameter "input" is the text on standard input.
func (c *cli) runWithInput(input string, args ...string) (out, errOut string, exit int) {
	c.t.Helper()
	var o, e bytes.Buffer
	exit = run(c.t.Context(), args, strings.NewReader(input), &o, &e, c.env)
	return o.String(), e.String(), exit
}

// mustRun is like run, but fails the test unless the exit status is 0.
func (c *cli) mustRun(args ...string) (out, errOut string) {
	c.t.Helper()
	out, errOut, exit := c.run(args...)
	if exit != exitDone {
		c.t.Fatalf("tuma %s: got exit %d, want 0\n%s%s", strings.Join(args, " "), exit, out, errOut)
	}
	return out, errOut
}

// The type "started" is a command that runs in the background of this process.
type started struct {
	stop context.CancelFunc
	exit chan int
	log  *syncBuffer
}

func (c *cli) start(args ...string) *started {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
	s := &started{stop: cancel, exit: make(chan int, 1), log: &syncBuffer{}}
	go func() { s.exit <- run(ctx, args, strings.NewReader(""), s.log, s.log, c.env) }()
	c.t.Cleanup(func() { s.end(c.t) })
	return s
}

// end stops the command and returns its exit status.
func (s *started) end(t testing.TB) int {
	t.Helper()
	s.stop()
	select {
	case exit := <-s.exit:
		s.exit <- exit
		return exit
	case <-time.After(30 * time.Second):
		t.Error("tuma did not end within 30 seconds")
		return -1
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually waits until condition returns true. After 30 seconds it fails the test with a message
// that names what it waited for.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited 30 seconds for %s, which did not happen", what)
		case <-tick.C:
		}
	}
}

// fixture is a Redis, a sandbox and a configuration with two accounts at the sandbox. The account
// "other" lacks an environment variable.
type fixture struct {
	*cli
	redis   *redistest.Server
	gateway *simulator.Server
}

func newFixture(t testing.TB, o simulator.Options, options ...redistest.Option) *fixture {
	t.Helper()
	h := &fixture{redis: redistest.Start(t, append([]redistest.Option{redistest.WithAOF("no")}, options...)...), gateway: catalog.Simulate(o)}
	server := httptest.NewServer(h.gateway)
	t.Cleanup(func() {
		h.gateway.Close()
		server.Close()
	})
	h.cli = newCLI(t, `
redis: {url: "`+h.redis.URL()+`"}
accounts:
  kobo-main: {provider: kobo, base_url: "`+server.URL+`/kobo", user: demo, pass: secret-word, sender: ACME, timeout: 2s, price: 0.80 KES}
  other: {provider: kobo, base_url: "`+server.URL+`/kobo", user: "${UNSET_VARIABLE}", pass: x, rate: 600/m, unit: requests}
default_country: KE
windows: off
`)
	return h
}

// startWorker starts a worker for kobo-main and waits until it has published the account.
func (h *fixture) startWorker() *started {
	h.t.Helper()
	w := h.start("worker", "--accounts", "kobo-main")
	eventually(h.t, "the worker to publish its account", func() bool {
		out, _, _ := h.run("accounts", "--json")
		return strings.Contains(out, `"workers": 1`)
	})
	return w
}
