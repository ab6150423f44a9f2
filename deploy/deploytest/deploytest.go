// Package deploytest runs Tuma and Redis as processes, for tests of the deployment files.
package deploytest

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/deploy/gobuild"
)

// Root is the folder of the repository, relative to a test in a folder of the module deploy.
const Root = "../.."

// Deadline is the time limit for a step that takes seconds on a machine without other load.
const Deadline = time.Minute

// built is the folder with the command that the function "tuma" has built. It is empty before the build.
var built string

// The first call of the function "tuma" builds the tuma command. Later calls return the same path.
var tuma = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tuma-deploytest-")
	if err != nil {
		return "", err
	}
	built = dir
	release := gobuild.Release{Root: Root, Version: "v0.0.0-test"}
	return release.Binary(context.Background(), "", "", "tuma_no_builtin_redis", dir)
})

// Main runs the tests of a package, and removes the tuma command if the tests have built it.
func Main(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// Tuma returns the path of the tuma command. The first call builds the command, in the same way as for the
// image.
func Tuma(t *testing.T) string {
	t.Helper()
	path, err := tuma()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Tool returns the path of a program. A test whose program is missing fails with the line that installs
// it.
func Tool(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("needs %s: %v\napt-get install -y %s", name, err, install)
	}
	return path
}

// Read returns the text of a file. It fails the test if the file cannot be read.
func Read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Output is the output of a process. Its methods are safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the output.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Process is a program that runs until the test ends.
type Process struct {
	// Out has standard output and standard error.
	Out *Output
	cmd *exec.Cmd
	end chan struct{}
}

// Start starts a program in a folder. It adds the parameter "env" to the environment. When the test ends,
// Start kills the program. If the test failed, it also logs the program's output.
func Start(t *testing.T, dir string, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Out: &Output{}, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), name, args...), end: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.Out, p.Out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.end) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.end
		if t.Failed() {
			t.Logf("%s %v:\n%s", filepath.Base(name), args, p.Out)
		}
	})
	return p
}

// Signal sends a signal, such as SIGSTOP, and does not wait.
func (p *Process) Signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// Stop sends a signal, waits for the end of the program and returns its exit status. It fails the test
// if the program still runs after the deadline.
func (p *Process) Stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.end:
	case <-time.After(Deadline):
		t.Fatalf("%s still runs %s after %s", p.cmd.Path, Deadline, signal)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Run runs a program to its end, and returns its output and its exit status.
func Run(t *testing.T, dir string, env []string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Wait waits until the function ready() returns true. After the deadline it fails the test. The parameter
// "what" completes the text "waited for".
func Wait(t *testing.T, what string, ready func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Deadline); !ready(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", Deadline, what)
		}
	}
}

// Listens reports whether a program accepts connections at the address.
func Listens(address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// FreeAddress returns an address of this machine at which no program listens.
func FreeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Redis starts a redis-server with the arguments on a free port of this machine, in a new folder. It
// returns the address when the server accepts connections.
func Redis(t *testing.T, args ...string) string {
	t.Helper()
	server := os.Getenv("REDIS_SERVER")
	if server == "" {
		server = Tool(t, "redis-server", "redis-server")
	}
	address := FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	Start(t, dir, nil, server, append(args, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no")...)
	Wait(t, "redis-server at "+address, func() bool { return Listens(address) })
	return address
}
