//go:build unix

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// processSlot is one of the run's workers, or one of its processes `tuma serve`. It starts a new process
// whenever the process ends, as a service manager does.
type processSlot struct {
	binary, config, log string
	args                []string // the command of tuma and its flags, without the flags that every process gets
	// The field "off" is the clock error of the next process, a time.Duration. If it is not zero, the next process
	// runs the binary wrongClock.
	wrongClock string
	off        atomic.Int64
	// The mutex "clock" is locked while a fault makes the process' clock wrong.
	clock sync.Mutex
	// The mutex "fault" is locked while chaos kills, freezes or drains the process.
	fault   sync.Mutex
	current atomic.Pointer[child]
	replace chan *child
	starts  atomic.Int64

	mu  sync.Mutex
	all []*child
	// unexpectedEnds describes the processes that ended although chaos did not end them.
	unexpectedEnds []string
}

func newWorkerSlot(o options, dir, config string, n int) *processSlot {
	s := &processSlot{binary: o.binary, wrongClock: o.wrongClock, config: config, log: filepath.Join(dir, fmt.Sprintf("worker-%d.log", n+1)),
		args: []string{"worker"}, replace: make(chan *child)}
	if o.clocks && n == o.workers-1 {
		s.off.Store(int64(lastingClockOffset(o.seed)))
	}
	return s
}

// minRun is how long a process must have run before its end counts as unexpected. An earlier end is a failed start. A
// worker refuses to start without Redis. A new `tuma serve` refuses to start while the previous, drained process still
// uses the port.
const minRun = 20 * time.Second

// The method "run" keeps a process running until ctx ends. It returns an error if a process cannot be started.
func (s *processSlot) run(ctx context.Context) error {
	for {
		c, err := s.start()
		if err != nil {
			return err
		}
		s.starts.Add(1)
		s.mu.Lock()
		s.all = append(s.all, c)
		s.mu.Unlock()
		s.current.Store(c)
		select {
		case <-ctx.Done():
			return nil
		case s.replace <- c:
			continue
		case <-c.Done():
		}
		if !c.expected.Load() && time.Since(c.began) > minRun {
			s.mu.Lock()
			s.unexpectedEnds = append(s.unexpectedEnds, fmt.Sprintf("process %d of %s ended by itself: %v", c.PID(), filepath.Base(s.log), c.State()))
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// The method "start" starts a process with the clock error in the field "off".
func (s *processSlot) start() (*child, error) {
	off, binary := time.Duration(s.off.Load()), s.binary
	env := []string{"TUMA_CONFIG=", "HOME=" + filepath.Dir(s.log)}
	if off != 0 {
		binary = s.wrongClock
		env = append(env, clockVariable+"="+strconv.FormatInt(int64(off/time.Second), 10))
	}
	return startChild(s.logOf(off), env, binary, append(slices.Clone(s.args), "--config", s.config, "--log-level", "debug", "--log-format", "json")...)
}

// The method "kill" kills the slot's current process with SIGKILL. Then the method "run" starts another process.
func (s *processSlot) kill() error { return s.current.Load().kill() }

// The method "freeze" stops the slot's current process with SIGSTOP. The returned function thaw() lets the process
// continue.
func (s *processSlot) freeze() (thaw func() error, err error) {
	c := s.current.Load()
	return func() error { return c.Thaw() }, c.Freeze()
}

// The method "drain" sends SIGTERM to the slot's current process and returns when this process has ended. Meanwhile
// the method "run" starts the next process at once. The method "drain" returns an error if the exit status is not 0.
// It also returns an error if the process takes longer than the time limit in the parameter "within".
func (s *processSlot) drain(ctx context.Context, within time.Duration) error {
	c := s.current.Load()
	c.expected.Store(true)
	if err := c.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.replace:
	case <-c.Done(): // the process has ended already, so the method "run" starts another process
	case <-ctx.Done():
		return nil
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
		return nil
	case <-time.After(within):
		return fmt.Errorf("drain process %d: it has not ended within %s", c.PID(), within)
	}
	if !c.State().Success() {
		return fmt.Errorf("drain process %d: it ended with %v, must be exit status 0", c.PID(), c.State())
	}
	return nil
}

// The method "end" kills every process that the slot has started and that is still running.
func (s *processSlot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		_ = c.kill() // the run ends, so the error changes nothing
	}
}
