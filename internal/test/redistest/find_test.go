package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// endRecorder is a testing.TB. It records whether the function "find" fails or skips a test, and the message.
type endRecorder struct {
	testing.TB
	kind, message string
}

func (v *endRecorder) Helper() {}

func (v *endRecorder) record(kind, format string, args []any) {
	if v.kind == "" {
		v.kind, v.message = kind, fmt.Sprintf(format, args...)
	}
	runtime.Goexit()
}

func (v *endRecorder) Fatalf(format string, args ...any) { v.record("fatal", format, args) }

func (v *endRecorder) Skipf(format string, args ...any) { v.record("skip", format, args) }

func TestFind_MissingRedisSkipsOrFails(t *testing.T) {
	t.Parallel()
	here := filepath.Join(t.TempDir(), "my-redis")
	if err := os.WriteFile(here, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	tests := []struct {
		name          string
		server, force string
		want          string
	}{
		{"a server named by REDIS_SERVER is taken", here, "1", ""},
		{"a wrong REDIS_SERVER is a mistake, whatever is required", nowhere, "", "fatal"},
		{"a wrong REDIS_SERVER with Redis required", nowhere, "1", "fatal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"REDIS_SERVER": tt.server, "TUMA_REQUIRE_REDIS": tt.force}
			path, v := lookUp(t, env)
			if v.kind != tt.want {
				t.Fatalf("ended with %q (%s), want %q", v.kind, v.message, tt.want)
			}
			if tt.want == "" && path != tt.server {
				t.Errorf("got %q, want %q", path, tt.server)
			}
			if tt.want != "" {
				checkMessage(t, v.message)
			}
		})
	}
}

// This test changes PATH, so it cannot run in parallel.
func TestFind_NoRedisOnPath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for force, want := range map[string]string{"": "skip", "0": "skip", "1": "fatal"} {
		_, v := lookUp(t, map[string]string{"TUMA_REQUIRE_REDIS": force})
		if v.kind != want {
			t.Errorf("TUMA_REQUIRE_REDIS=%q: ended with %q, want %q", force, v.kind, want)
		}
		checkMessage(t, v.message)
	}
}

func lookUp(t *testing.T, env map[string]string) (path string, v *endRecorder) {
	t.Helper()
	v = &endRecorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		path = find(v, func(name string) string { return env[name] })
	}()
	<-done
	return path, v
}

func checkMessage(t *testing.T, message string) {
	t.Helper()
	if !strings.HasPrefix(message, Missing) {
		t.Errorf("message does not begin with %q: %s", Missing, message)
	}
	for _, how := range []string{"apt-get", "dnf", "brew", "apk"} {
		if !strings.Contains(message, how) {
			t.Errorf("message does not have the %s command: %s", how, message)
		}
	}
}
