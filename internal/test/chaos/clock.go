//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// clockError is how much a wrong clock differs from the right time.
const clockError = time.Minute

// clockVariable is the environment variable that sets a worker's clock error in seconds. It works only in a binary
// that chaos has built with its own version of Go's package "time". A preloaded library cannot change Go's clock, and
// Tuma has no hook for this.
const clockVariable = "TUMA_CHAOS_CLOCK"

// These constants describe how chaos changes Go's package "time". clockFunction has the first lines of time.Now. The
// text clockStep is inserted after these lines. clockFile is an additional file of the package. The monotonic clock,
// and with it every timeout, does not change: the clock is wrong, but it runs at the right speed.
const (
	clockFunction = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	clockStep     = "\tsec += chaosOff\n"
	clockFile     = `package time

import "syscall"

var chaosOff = func() (n int64) {
	text, _ := syscall.Getenv("` + clockVariable + `")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
			continue
		}
		n = 10*n + int64(c-'0')
	}
	return sign * n
}()
`
)

// errOtherClock means that time.Now of this Go version does not begin with clockFunction, so that
// overlayClock cannot change it.
var errOtherClock = errors.New("time.Now of this Go version differs from clockFunction in internal/test/chaos/clock.go")

// overlayClock writes an overlay file for go build into dir and returns its path. The overlay changes package time
// with clockStep and clockFile. The parameter "also" is the path of another overlay file, whose entries the new file
// must include. It may be empty. overlayClock returns errOtherClock if it cannot find clockFunction.
func overlayClock(dir, goroot, also string) (overlay string, err error) {
	source := filepath.Join(goroot, "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), clockFunction) != 1 {
		return "", errOtherClock
	}
	output := struct{ Replace map[string]string }{map[string]string{}}
	if also != "" {
		given, err := os.ReadFile(also)
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(given, &output); err != nil {
			return "", fmt.Errorf("%s: %w", also, err)
		}
	}
	for name, text := range map[string]string{
		"time.go":      strings.Replace(string(text), clockFunction, clockFunction+clockStep, 1),
		"chaos_off.go": clockFile,
	} {
		at := filepath.Join(dir, "clock-"+name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		output.Replace[filepath.Join(source, name)] = at
	}
	written, err := json.Marshal(output)
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "clock.json")
	return overlay, os.WriteFile(overlay, written, 0o600)
}

// goroot returns the GOROOT of the go command, which has the sources of package time.
func goroot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
}

// The function "build" builds a command without cgo, as releases are built.
func build(ctx context.Context, binary, pkg string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", binary}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", filepath.Base(binary), err, output)
	}
	return nil
}

// tumaCommand is the package of the tuma command.
const tumaCommand = "github.com/tuma-sms/tuma/cmd/tuma"

// buildAll builds tuma if the flag -tuma is not given. Then it builds a second tuma, whose clock can be wrong. With
// -tuma or -quick it skips the second build, and the run has no wrong clocks. If the second build is impossible,
// buildAll prints why.
func (o *options) buildAll(ctx context.Context, dir string, out io.Writer) error {
	if o.binary != "" {
		if !o.quick {
			fmt.Fprintln(out, "no worker's clock will be wrong: chaos must build such a tuma, but -tuma was given")
		}
		return nil
	}
	o.binary = filepath.Join(dir, "tuma")
	var flags []string
	if o.overlay != "" {
		flags = []string{"-overlay", o.overlay}
	}
	if err := build(ctx, o.binary, tumaCommand, flags...); err != nil {
		return err
	}
	if o.quick {
		return nil // the second build takes long, because it compiles the whole standard library again
	}
	root, err := goroot(ctx)
	overlay := ""
	if err == nil {
		overlay, err = overlayClock(dir, root, o.overlay)
	}
	if err == nil {
		err = build(ctx, filepath.Join(dir, "tuma-clock"), tumaCommand, "-overlay", overlay)
	}
	if err != nil {
		fmt.Fprintln(out, "no worker's clock will be wrong:", err)
		return nil
	}
	o.wrongClock = filepath.Join(dir, "tuma-clock")
	o.clocks = true
	return nil
}

// drawClockOffset draws a worker's clock error: a minute fast or slow.
func drawClockOffset(rng *rand.Rand) time.Duration {
	if rng.IntN(2) == 0 {
		return -clockError
	}
	return clockError
}

// lastingClockOffset returns the clock error of the worker whose clock is wrong for the
// entire run.
func lastingClockOffset(seed uint64) time.Duration {
	return drawClockOffset(rand.New(rand.NewPCG(seed, 0x636c_6f63_6b)))
}

// clockWorker replaces a worker with a worker whose clock is wrong, and later with a worker whose
// clock is right. If another fault restarts the worker in between, the restarted worker has the
// same wrong clock. The tally records the fault as if it had ended at once, because a wrong clock
// does not excuse a slow recovery from another fault.
func (s *injector) clockWorker(e faultEvent, slot *processSlot) {
	if !s.lockUnlessOver(&slot.clock) {
		return
	}
	defer slot.clock.Unlock()
	s.injected.begin(e.name())()
	s.verbosef("%s, worker %d by %s for %s", e.name(), e.worker+1, e.clockOffset, e.duration.Round(time.Millisecond))
	s.replaceWorker(slot, e.clockOffset)
	s.wait(e.duration)
	s.replaceWorker(slot, 0)
	if s.ctx.Err() == nil {
		s.injected.fail(slot.checkClock(e.clockOffset))
	}
}

// upFor is how long a worker must have run before chaos drains it. After this time, the worker
// handles SIGTERM.
const upFor = 2 * time.Second

// replaceWorker drains a worker, and starts another worker whose clock has the error in the parameter "off".
func (s *injector) replaceWorker(slot *processSlot, off time.Duration) {
	// Wait until no fault hits Redis, because a worker cannot serve without Redis. Then wait until the worker has
	// run for upFor. Check the worker only while no other fault can kill it.
	s.redisMu.Lock()
	locked := false
	for tick := time.Tick(100 * time.Millisecond); s.ctx.Err() == nil; {
		if locked = slot.fault.TryLock(); locked && slot.up(upFor) {
			break
		}
		if locked {
			slot.fault.Unlock()
			locked = false
		}
		select {
		case <-s.ctx.Done():
		case <-tick:
		}
	}
	s.redisMu.Unlock()
	if !locked {
		return
	}
	defer slot.fault.Unlock()
	slot.off.Store(int64(off))
	s.injected.fail(slot.drain(s.ctx, drainsWithin))
}

// The method "up" reports whether the slot's current worker has run for at least d.
func (s *processSlot) up(d time.Duration) bool {
	c := s.current.Load()
	return !c.Ended() && time.Since(c.began) >= d
}

// clockWithin is the maximum time from a worker's start to its first log line.
const clockWithin = 40 * time.Second

// checkClock checks that the slot's workers had the clock error in the parameter "off". If it returns an error, the
// fault has tested nothing. It takes the slot's first worker with this clock error, and compares the time of its
// first log entry with the time at which chaos started it.
func (s *processSlot) checkClock(off time.Duration) error {
	log := s.logOf(off)
	s.mu.Lock()
	at := slices.IndexFunc(s.all, func(c *child) bool { return c.log == log })
	if at < 0 {
		s.mu.Unlock()
		return fmt.Errorf("check a wrong clock: no worker has written %s", filepath.Base(log))
	}
	began := s.all[at].began
	s.mu.Unlock()
	text, err := os.ReadFile(log)
	if err != nil {
		return fmt.Errorf("check a wrong clock: %w", err)
	}
	for line := range bytes.Lines(text) {
		var is struct{ Time time.Time }
		if json.Unmarshal(line, &is) != nil || is.Time.IsZero() {
			continue // not a log entry: a worker that finds no Redis prints an error without a time
		}
		if by := is.Time.Sub(began); by < off-time.Second || by > off+clockWithin {
			return fmt.Errorf("check the clock that the fault has set wrong: the times in %s are wrong by %s, must be %s", filepath.Base(log), by, off)
		}
		return nil
	}
	return fmt.Errorf("check a wrong clock: %s has no log entry with a time", filepath.Base(log))
}

// logOf returns the log file of the slot's workers that have the clock error in the parameter "off".
func (s *processSlot) logOf(off time.Duration) string {
	if off == 0 {
		return s.log
	}
	return fmt.Sprintf("%s-clock%+.0f.log", strings.TrimSuffix(s.log, ".log"), off.Seconds())
}
