package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests. If PROCESS_TEST_CHILD is set, it acts as the child with this name instead. The
// child "end" prints a line and ends with status 3. The child "stay" prints a line and ends when its
// standard input ends.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST_CHILD") {
	case "end":
		fmt.Println("ended")
		os.Exit(3)
	case "stay":
		fmt.Println("started")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// The function "child" returns the command of one of the children that TestMain describes.
func child(t *testing.T, what string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"PROCESS_TEST_CHILD=" + what}
	return cmd
}

func TestKill_WaitsUntilTheProcessHasEnded(t *testing.T) {
	t.Parallel()
	cmd := child(t, "stay")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if p.Ended() || p.State() != nil || p.PID() <= 0 {
		t.Errorf("a running process: ended %v, state %v, ID %d; want not ended, no state and a positive ID", p.Ended(), p.State(), p.PID())
	}
	for range 2 { // killing a process that has already ended succeeds
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if !p.Ended() || p.State() == nil || p.State().Success() || p.Wait() == nil {
		t.Errorf("a killed process: ended %v, state %v, error %v; want ended, a failed state and an error", p.Ended(), p.State(), p.Wait())
	}
	if err := p.Signal(os.Interrupt); err != nil {
		t.Errorf("signal to an ended process: error %v; want none", err)
	}
}

func TestStartLogged_AppendsTheOutput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	for range 2 {
		p, err := StartLogged(child(t, "end"), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err == nil || p.State().ExitCode() != 3 {
			t.Errorf("got error %v and %v, want exit status 3", err, p.State())
		}
		<-p.Done()
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "ended\nended\n" {
		t.Errorf("log %q, error %v; want the output of both processes", text, err)
	}
}

func TestStart_NamesTheProgramThatCannotStart(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(filepath.Join(t.TempDir(), "no-such-program"))
	var out bytes.Buffer
	cmd.Stdout = &out
	if _, err := Start(cmd); err == nil || !strings.HasPrefix(err.Error(), "start no-such-program: ") {
		t.Errorf("error %v; want one that begins with start no-such-program", err)
	}
}
