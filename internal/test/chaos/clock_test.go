//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestOverlayClock_ShiftsTheClock builds a small command with the overlay of the workers and checks
// its clock. If it fails with a new Go version, that version has changed time.Now. Then
// clockFunction is out of date, and `make chaos` runs without wrong clocks.
func TestOverlayClock_ShiftsTheClock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := goroot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := overlayClock(dir, root, "")
	if err != nil {
		t.Fatal(err)
	}
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "clock")
	err = os.WriteFile(source, []byte(`package main

import "time"

func main() {
	now := time.Now()
	since, until := time.Since(now), time.Until(now.Add(time.Minute))
	println(now.UnixMilli(), since >= 0 && since < 20*time.Second, until > 40*time.Second && until <= time.Minute)
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), binary, source, "-overlay", overlay); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set string
		off time.Duration
	}{{"", 0}, {"60", time.Minute}, {"-60", -time.Minute}} {
		cmd := exec.Command(binary)
		cmd.Env = []string{clockVariable + "=" + c.set}
		before := time.Now()
		output, err := cmd.CombinedOutput()
		after := time.Now()
		f := strings.Fields(string(output))
		if err != nil || len(f) != 3 {
			t.Fatalf("%q, %v", output, err)
		}
		milli, err := strconv.ParseInt(f[0], 10, 64)
		if is := time.UnixMilli(milli).Add(-c.off); err != nil || is.Before(before.Truncate(time.Millisecond)) || is.After(after) {
			t.Errorf("with %q the clock is %s, want %s more than a time from %s to %s: %v", c.set, time.UnixMilli(milli), c.off, before, after, err)
		}
		if f[1] != "true" || f[2] != "true" {
			t.Errorf("with %q: %q: the monotonic clock must not change", c.set, output)
		}
	}
}

func TestOverlayClock_UnknownPackageTimeIsAnError(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := filepath.Join(root, "src", "time")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "time.go"), []byte("package time\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := overlayClock(t.TempDir(), root, ""); !errors.Is(err, errOtherClock) {
		t.Errorf("got %v, want %v", err, errOtherClock)
	}
	if _, err := overlayClock(t.TempDir(), t.TempDir(), ""); err == nil {
		t.Error("overlayClock returns no error without a package time")
	}
}

func TestCheckClock_ComparesTheLogWithTheClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for _, c := range []struct {
		name, text string
		off        time.Duration
		ok         bool
	}{
		{"a minute slow", `{"time":"` + began.Add(-time.Minute).Format(time.RFC3339) + `"}`, -time.Minute, true},
		{"a minute fast", "no redis\n" + `{"time":"` + began.Add(time.Minute).Format(time.RFC3339) + `"}`, time.Minute, true},
		{"right", `{"time":"` + began.Format(time.RFC3339) + `"}`, time.Minute, false},
		{"a log without a time", "no redis\n", time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &processSlot{log: filepath.Join(t.TempDir(), "worker-1.log")}
			s.all = []*child{{log: s.log}, {log: s.logOf(c.off), began: began}}
			if err := os.WriteFile(s.logOf(c.off), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.checkClock(c.off); (err == nil) != c.ok {
				t.Errorf("checkClock(%s) = %v, want success %v", c.off, err, c.ok)
			}
		})
	}
}
