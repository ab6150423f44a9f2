//go:build !windows

package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/internal/simulator"
)

// devRig is a folder in which `tuma dev` runs on free ports, as a separate process.
type devRig struct {
	t              testing.TB
	dir            string
	redis, sandbox string // ports
	path           string // the environment variable PATH
}

func newDevRig(t testing.TB) *devRig {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("needs a redis-server on PATH: apt-get install -y redis-server")
	}
	return newDevRigWithPath(t, os.Getenv("PATH"))
}

// newDevRigWithPath returns a devRig. Its environment variable PATH has the folder of the tuma
// program, followed by the folders of the parameter "path".
func newDevRigWithPath(t testing.TB, path string) *devRig {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(bin, "tuma")); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 2)
	return &devRig{t: t, dir: t.TempDir(), redis: ports[0], sandbox: ports[1], path: bin + ":" + path}
}

func freePorts(t testing.TB, n int) (ports []string) {
	t.Helper()
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

func (r *devRig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *devRig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *devRig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.file(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// command returns a command that runs in the rig's folder, with the environment of a new terminal.
func (r *devRig) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = []string{"TUMA_TEST_AS_TUMA=1", "PATH=" + r.path, "TMPDIR=" + os.TempDir()}
	return cmd
}

// runningDev is a `tuma dev` that runs.
type runningDev struct {
	*process.Process
	out *syncBuffer
}

// The method "start" starts `tuma dev` with the rig's ports and further arguments.
func (r *devRig) start(args ...string) *runningDev {
	r.t.Helper()
	cmd := r.command(testBinary(r.t), append([]string{"dev", "--redis-port", r.redis, "--sandbox-port", r.sandbox}, args...)...)
	d := &runningDev{out: &syncBuffer{}}
	cmd.Stdout, cmd.Stderr = d.out, d.out
	process.OwnGroup(cmd)
	var err error
	if d.Process, err = process.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = d.Kill() })
	return d
}

// startReady starts `tuma dev` and waits until its worker is ready.
func (r *devRig) startReady(args ...string) *runningDev {
	r.t.Helper()
	d := r.start(args...)
	eventually(r.t, "tuma dev to greet", func() bool {
		if d.Ended() {
			r.t.Fatalf("tuma dev has ended:\n%s", d.out)
		}
		return strings.Contains(d.out.String(), "are shown here:")
	})
	return d
}

// interrupt sends SIGINT to the whole process group, as Ctrl-C at a terminal does, and waits until
// `tuma dev` has ended.
func (r *devRig) interrupt(d *runningDev) {
	r.t.Helper()
	if err := syscall.Kill(-d.PID(), syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	r.awaitEnd(d)
	if err := d.Wait(); err != nil {
		r.t.Fatalf("tuma dev after Ctrl-C: got %v, want exit 0\n%s", err, d.out)
	}
}

func (r *devRig) awaitEnd(d *runningDev) {
	r.t.Helper()
	select {
	case <-d.Done():
	case <-time.After(30 * time.Second):
		r.t.Fatalf("tuma dev did not end within 30 seconds:\n%s", d.out)
	}
}

// sh runs shell commands in a new terminal, and returns the output and the exit status.
func (r *devRig) sh(commands string) (string, int) {
	r.t.Helper()
	cmd := r.command("/bin/sh", "-c", "set -e\n"+commands)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (r *devRig) mustSh(commands string) string {
	r.t.Helper()
	out, exit := r.sh(commands)
	if exit != 0 {
		r.t.Fatalf("%s: got exit %d, want 0\n%s", commands, exit, out)
	}
	return out
}

// stats returns the sandbox's own counts.
func (r *devRig) stats() (s simulator.Stats) {
	r.t.Helper()
	answer, err := http.Get("http://127.0.0.1:" + r.sandbox + "/_sandbox/stats")
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		r.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return s
}

// checkStats fails the test unless the sandbox has accepted the expected number of messages, and has
// counted no duplicate.
func (r *devRig) checkStats(accepted int64) {
	r.t.Helper()
	if s := r.stats(); s.Accepted != accepted || s.Duplicates != 0 {
		r.t.Errorf("the sandbox counts %d messages and %d duplicates, want %d and 0", s.Accepted, s.Duplicates, accepted)
	}
}

// printedCommands returns the commands that `tuma dev` prints for the other terminal.
func printedCommands(t testing.TB, out string) string {
	t.Helper()
	_, after, ok := strings.Cut(out, "open another terminal:\n\n")
	commands, _, ok2 := strings.Cut(after, "\n\n")
	if !ok || !ok2 {
		t.Fatalf("tuma dev prints no commands for another terminal:\n%s", out)
	}
	return commands
}

// slowDown sets how long the sandbox delays its replies to accepted calls.
func (r *devRig) slowDown(latency string) {
	r.t.Helper()
	answer, err := http.PostForm("http://127.0.0.1:"+r.sandbox+"/_sandbox/options", url.Values{"latency": {latency}})
	if err != nil {
		r.t.Fatal(err)
	}
	_ = answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
