package e2e

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// pty opens a pseudo-terminal. The test reads from the result "screen" what a process writes to the result "tty".
func pty(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() }) // ignore the error: the test may have closed the file already
	var unlock, number uint32
	// The method Fd would make reads from the file "screen" blocking. Close would then wait for a read, and the
	// terminal would stay open until the process writes something.
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for request, value := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		var errno syscall.Errno
		if err := raw.Control(func(fd uintptr) {
			_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(value)))
		}); err != nil || errno != 0 {
			t.Fatal(err, errno)
		}
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// terminalWorker starts a worker as the leader of a session on a terminal. The parameter "prefix" is a shell command
// that starts the worker. The result "closeTerminal" closes the terminal, which has the same effect as closing the
// window or losing the ssh connection.
func (f *deployment) terminalWorker(prefix string) (cmd *exec.Cmd, closeTerminal func()) {
	f.t.Helper()
	if signal.Ignored(syscall.SIGHUP) {
		// If nohup started these tests, the test process ignores SIGHUP, and each child process would ignore it too.
		// Child processes do not ignore SIGHUP if the test process catches it.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	screen, tty := pty(f.t)
	cmd = exec.Command("/bin/sh", "-c", prefix+` exec "$0" worker --config "$1"`, binary, filepath.Join(f.dir, "tuma.yaml"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	if err := tty.Close(); err != nil {
		f.t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, screen) }() // Copy returns when the terminal is closed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers = append(f.workers, cmd)
	return cmd, func() {
		if err := screen.Close(); err != nil {
			f.t.Error(err)
		}
	}
}

// pipedWorker starts a worker whose log goes to a pipe. The result "closePipe" closes the reading end.
func (f *deployment) pipedWorker() (cmd *exec.Cmd, closePipe func()) {
	f.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd = exec.Command(binary, "worker", "--config", filepath.Join(f.dir, "tuma.yaml"))
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers = append(f.workers, cmd)
	return cmd, func() {
		if err := reader.Close(); err != nil {
			f.t.Error(err)
		}
	}
}

// signalled returns a function that starts a worker. That function returns the worker and a second
// function, which sends the given signals to the worker, one after the other.
func signalled(signals ...syscall.Signal) func(*deployment) (*exec.Cmd, func()) {
	return func(f *deployment) (*exec.Cmd, func()) {
		cmd := f.spawn()
		return cmd, func() {
			for _, s := range signals {
				if err := cmd.Process.Signal(s); err != nil {
					f.t.Errorf("%v: %v", s, err)
				}
				<-time.After(50 * time.Millisecond) // so that the process gets each signal separately
			}
		}
	}
}

// signalState returns the state of the signals of a process from the kernel: the pending, blocked, ignored and caught
// signals.
func signalState(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Sig") || strings.HasPrefix(line, "ShdPnd") || strings.HasPrefix(line, "State") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// loss is one case of the test: a worker gets a signal, or loses its terminal or its log.
type loss struct {
	// The function "start" starts a worker. Its result "harm" sends the signal, or closes the terminal or the log.
	start func(*deployment) (cmd *exec.Cmd, harm func())
	// runs is true if the worker must keep running.
	runs bool
}

var losses = map[string]loss{
	"SIGTERM":  {signalled(syscall.SIGTERM), false},
	"SIGINT":   {signalled(syscall.SIGINT), false},
	"SIGHUP":   {signalled(syscall.SIGHUP, syscall.SIGTERM), false}, // without a terminal, SIGHUP only makes the worker read its configuration
	"SIGQUIT":  {signalled(syscall.SIGQUIT), false},
	"SIGABRT":  {signalled(syscall.SIGABRT), false},
	"two":      {signalled(syscall.SIGINT, syscall.SIGINT), false},
	"many":     {signalled(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT), false},
	"harmless": {signalled(syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGXCPU, syscall.SIGPWR), true},
	"the terminal is closed": {func(f *deployment) (*exec.Cmd, func()) {
		return f.terminalWorker("")
	}, false},
	"the terminal of a worker with nohup is closed": {func(f *deployment) (*exec.Cmd, func()) {
		return f.terminalWorker(`trap "" HUP;`)
	}, true},
	"the reader of its log ends": {func(f *deployment) (*exec.Cmd, func()) { return f.pipedWorker() }, true},
	"the reader of its log ends, and it is stopped": {func(f *deployment) (*exec.Cmd, func()) {
		cmd, closePipe := f.pipedWorker()
		return cmd, func() {
			closePipe()
			for range 2 {
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					f.t.Error(err)
				}
			}
		}
	}, false},
}

// A worker gets a signal, or loses its terminal, while it has several calls in flight at a gateway
// without idempotency keys. It must finish these calls, because an interrupted call leaves
// recipients with an unknown outcome. Then another worker sends the remaining messages.
func TestSignals_OnlyKillCutsOffCalls(t *testing.T) {
	t.Parallel()
	for name, x := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := catalog.Simulate(simulator.Options{Latency: time.Second})
			srv := httptest.NewServer(gateway)
			t.Cleanup(func() {
				gateway.Close()
				srv.Close()
			})
			f := deploymentWith(t, gateway, "  kobo-main: {provider: africastalking, base_url: '"+srv.URL+
				"/africastalking', username: demo, api_key: demo, sender: ACME, max_recipients: 100, rate: \"0\"}\n")
			cmd, harm := x.start(f)
			f.eventually(20*time.Second, "the worker to serve", func() bool { return f.serving() > 0 })
			// The calls of several campaigns are in flight at once.
			ids := []string{"c1", "c2", "c3", "c4", "c5"}
			for i, id := range ids {
				f.enqueue(i+1, producer.Campaign{ID: id})
			}
			f.eventually(30*time.Second, "several calls in flight", func() bool { return f.gateway.Stats().InFlight > 3 })
			harm()
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if x.runs {
				for _, id := range ids {
					f.wait(id, time.Minute)
				}
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Errorf("the worker has ended: %v", err)
				}
			}
			select {
			case <-ended:
				if status := cmd.ProcessState.ExitCode(); status != 0 {
					t.Errorf("the worker ended with %v, want status 0", cmd.ProcessState)
				}
			case <-time.After(30 * time.Second):
				state := signalState(cmd.Process.Pid)
				_ = cmd.Process.Kill()
				<-ended // f.end must not wait for the process a second time
				t.Fatalf("the worker did not end within 30 s; %d workers serve, %d calls are in flight; its signals:\n%s", f.serving(), gateway.Stats().InFlight, state)
			}
			f.spawn()
			for i, id := range ids {
				s, n := f.wait(id, time.Minute), f.acceptedMessages(i+1)
				if s.Accepted != recipientsEach || s.Unknown != 0 || n != recipientsEach {
					t.Errorf("%s: %d accepted and %d unknown of %d recipients; the gateway accepted %d", id, s.Accepted, s.Unknown, recipientsEach, n)
				}
			}
		})
	}
}
