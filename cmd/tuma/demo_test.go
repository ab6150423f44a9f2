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
)

func testBinary(t testing.TB) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// demoEnv has the demo's workers be this test binary, and its files stand in dir.
func demoEnv(dir, path string) []string {
	return []string{"TUMA_TEST_AS_TUMA=1", "TMPDIR=" + dir, "PATH=" + path, "TUMA_REDIS_URL=redis://nobody:1", "TUMA_CONFIG=none"}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"redis-server if there is one": os.Getenv("PATH"), "built-in redis": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := exec.LookPath("redis-server")
			builtIn := path == "" || err != nil
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), demoTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, testBinary(t), "demo")
			cmd.Env = demoEnv(dir, path)
			var out, errOut bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errOut
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, errOut.String(), out.String())
			}
			// How wide the columns are depends on how fast it went.
			report := strings.Join(strings.Fields(out.String()), " ")
			for _, want := range []string{"accepted 19,400", "skipped 600 340 duplicate, 260 invalid_number", "duplicates 0", "lost 0",
				"nothing was sent twice, nothing was lost"} {
				if !strings.Contains(report, want) {
					t.Errorf("the report has no %q:\n%s", want, out.String())
				}
			}
			if !strings.Contains(errOut.String(), "kill -9    worker 1") || strings.Contains(errOut.String(), "built in") != builtIn {
				t.Errorf("got %s", errOut.String())
			}
			checkNothingLeft(t, dir)
		})
	}
}

func checkNothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDemoCleansUpWhenInterrupted(t *testing.T) {
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
		if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(said.String(), "demo: stopped; nothing is left behind") {
			t.Errorf("%v\n%s", err, said)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("it did not stop\n%s", said)
	}
	checkNothingLeft(t, dir)
}
