package redistest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The server must not outlive a test binary that dies without any clean-up.
func TestStart_ServerEndsWithItsTestBinary(t *testing.T) {
	t.Parallel()
	if os.Getenv("REDISTEST_HANG") == "1" {
		s := redistest.Start(t)
		fmt.Printf("pid %d at %s\n", s.PID(), s.Addr())
		<-t.Context().Done()
		return
	}
	redistest.Start(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "REDISTEST_HANG=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var addr string
	lines := bufio.NewScanner(out)
	for pid == 0 && lines.Scan() {
		// Sscanf fails on the lines of the test framework, which contain no pid.
		if n, err := fmt.Sscanf(lines.Text(), "pid %d at %s", &pid, &addr); n == 1 {
			t.Fatal(err)
		}
	}
	if pid == 0 {
		t.Fatalf("the child printed no pid: %v", lines.Err())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the killed child exited with status 0")
	}
	eventually(t, "the server is gone", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}
