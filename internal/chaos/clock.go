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

// clockOff is by how much the clock of a worker is wrong, one way or the other.
const clockError = time.Minute

// clockVariable tells a worker that was built for it by how many seconds it is to be
// wrong. No preloaded library reaches Go's clock, and Tuma has no hook for this: the
// binary is built with another package time.
const clockVariable = "TUMA_CHAOS_CLOCK"

// What is added to the package time of the Go at hand. The monotonic clock, and with
// it every timeout, stays as it is: a clock that is wrong does not run differently.
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

// errOtherClock: the package time is not written as it is known here.
var errOtherClock = errors.New("time.Now of this Go is written otherwise than it is known here")

// overlayClock writes, for go build, what a package time with a clock that can be
// wrong differs in, beside what another overlay changes already, and returns where.
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

// goroot is where the sources of the go that builds stand.
func goroot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
}

// build builds a command as it is shipped.
func build(ctx context.Context, binary, pkg string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", binary}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", filepath.Base(binary), err, output)
	}
	return nil
}

// tumaCommand is what is built, and what its workers are.
const tumaCommand = "github.com/tuma-sms/tuma/cmd/tuma"

// buildAll builds what was not given. Without a worker whose clock is wrong it goes on,
// and says so.
func (o *options) buildAll(ctx context.Context, dir string, out io.Writer) error {
	if o.binary != "" {
		if !o.quick {
			fmt.Fprintln(out, "no worker's clock will be wrong: that takes one that is built here, and -tuma was given")
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
		return nil // all of Go's library is compiled anew for it, the first time
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

// drawClock says by how much a worker's clock is wrong.
func drawClockOffset(rng *rand.Rand) time.Duration {
	if rng.IntN(2) == 0 {
		return -clockError
	}
	return clockError
}

// lastingClock is the same of the worker whose clock is wrong for an entire run.
func lastingClockOffset(seed uint64) time.Duration {
	return drawClockOffset(rand.New(rand.NewPCG(seed, 0x636c_6f63_6b)))
}

// clockWorker replaces a worker by one whose clock is wrong, and later by a good one.
// Whatever happens to it meanwhile, its clock stays as it is. That it is wrong is no
// excuse, so what takes long meanwhile is not put down to it.
func (s *injector) clockWorker(e event, slot *slot) {
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

// upFor is how long a worker has run when it surely can drain.
const upFor = 2 * time.Second

// replaceWorker drains a worker for one with another clock.
func (s *injector) replaceWorker(slot *slot, off time.Duration) {
	// While there is no Redis none gets as far as serving.
	s.redisMu.Lock()
	for tick := time.Tick(100 * time.Millisecond); s.ctx.Err() == nil && !slot.up(upFor); {
		select {
		case <-s.ctx.Done():
		case <-tick:
		}
	}
	s.redisMu.Unlock()
	slot.fault.Lock()
	defer slot.fault.Unlock()
	slot.off.Store(int64(off))
	s.injected.fail(slot.drain(s.ctx, drainsWithin))
}

// up says whether the worker of the moment has run for so long.
func (s *slot) up(d time.Duration) bool {
	c := s.current.Load()
	return !c.ended() && time.Since(c.began) >= d
}

// clockWithin is how soon after its start a worker has written to its log.
const clockWithin = 40 * time.Second

// checkClock says whether the first worker of the slot whose clock was wrong by so much
// has written its log by such a clock. A fault that was none has shown nothing.
func (s *slot) checkClock(off time.Duration) error {
	log := s.logOf(off)
	s.mu.Lock()
	at := slices.IndexFunc(s.all, func(c *child) bool { return c.log == log })
	if at < 0 {
		s.mu.Unlock()
		return fmt.Errorf("no worker has written %s", filepath.Base(log))
	}
	began := s.all[at].began
	s.mu.Unlock()
	text, err := os.ReadFile(log)
	if err != nil {
		return fmt.Errorf("is its clock wrong: %w", err)
	}
	for line := range bytes.Lines(text) {
		var is struct{ Time time.Time }
		if json.Unmarshal(line, &is) != nil || is.Time.IsZero() {
			continue // the last words of one that has met no Redis
		}
		if by := is.Time.Sub(began); by < off-time.Second || by > off+clockWithin {
			return fmt.Errorf("%s: its clock is off by %s, and should be by %s", filepath.Base(log), by, off)
		}
		return nil
	}
	return fmt.Errorf("%s says nothing of its clock", filepath.Base(log))
}

// logOf is where workers with such a clock write.
func (s *slot) logOf(off time.Duration) string {
	if off == 0 {
		return s.log
	}
	return fmt.Sprintf("%s-clock%+.0f.log", strings.TrimSuffix(s.log, ".log"), off.Seconds())
}
