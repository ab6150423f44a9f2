package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/demo"
)

// testBinary returns the path of this test binary.
func testBinary(t testing.TB) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// demoEnv returns an environment for the demo. In it, the demo runs this test binary as its
// workers, and stores its files in the directory dir.
func demoEnv(dir, path string) []string {
	return []string{"TUMA_TEST_AS_TUMA=1", "TMPDIR=" + dir, "PATH=" + path, "TUMA_REDIS_URL=redis://unused:1", "TUMA_CONFIG=none"}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"redis-server if there is one": os.Getenv("PATH"), "built-in redis": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := exec.LookPath("redis-server")
			builtIn := path == "" || err != nil
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), demo.Timeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, testBinary(t), "demo")
			cmd.Env = demoEnv(dir, path)
			var out, errOut bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errOut
			if err := cmd.Run(); err != nil {
				t.Fatalf("tuma demo: got error %v, want exit 0\n%s%s", err, errOut.String(), out.String())
			}
			// The width of the columns depends on the duration of the demo, so spaces are not
			// compared.
			report := strings.Join(strings.Fields(out.String()), " ")
			for _, want := range []string{"accepted 19,400", "skipped 600 340 duplicate, 260 invalid_number", "duplicates 0", "lost 0",
				"No message was sent twice, and no message was lost."} {
				if !strings.Contains(report, want) {
					t.Errorf("report does not contain %q:\n%s", want, out.String())
				}
			}
			if !strings.Contains(errOut.String(), "kill -9    worker 1") || strings.Contains(errOut.String(), "built-in, at") != builtIn {
				t.Errorf("got standard error %s; want a killed worker, and built-in Redis: %v", errOut.String(), builtIn)
			}
			checkNothingLeft(t, dir)
		})
	}
}

// checkNothingLeft fails the test if the directory is not empty.
func checkNothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files left in the directory: %v, error %v", left, err)
	}
}

func TestDemo_InterruptRemovesItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), testBinary(t), "demo")
	cmd.Env = demoEnv(dir, "")
	said := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the campaign", func() bool { return strings.Contains(said.String(), "demo: sending") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(said.String(), "demo: interrupted; its processes have ended, and its files are removed") {
			t.Errorf("after the interrupt: got error %v and output\n%s\nwant exit 1 and a note that all files and processes are removed", err, said)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("the demo did not stop within 30 seconds after the interrupt\n%s", said)
	}
	checkNothingLeft(t, dir)
}
