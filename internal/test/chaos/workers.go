//go:build unix

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// workerSlot is one of the run's workers. It starts a new process whenever the process ends, as a
// service manager does.
type workerSlot struct {
	binary, config, log string
	// wrongClock is the binary to start while off is not zero. off is the clock error of the
	// next process, a time.Duration.
	wrongClock string
	off        atomic.Int64
	// clock is held while a fault makes the worker's clock wrong.
	clock sync.Mutex
	// fault is held while another fault hits the worker.
	fault   sync.Mutex
	current atomic.Pointer[child]
	replace chan *child
	starts  atomic.Int64

	mu  sync.Mutex
	all []*child
	// unexpectedEnds describes the processes that ended although chaos did not end them.
	unexpectedEnds []string
}

func newSlot(o options, dir, config string, n int) *workerSlot {
	s := &workerSlot{binary: o.binary, wrongClock: o.wrongClock, config: config, log: filepath.Join(dir, fmt.Sprintf("worker-%d.log", n+1)),
		replace: make(chan *child)}
	if o.clocks && n == o.workers-1 {
		s.off.Store(int64(lastingClockOffset(o.seed)))
	}
	return s
}

// minRun is how long a worker must have run before its end counts as unexpected. An earlier
// end is a failed start: a worker refuses to start without Redis.
const minRun = 20 * time.Second

// run keeps a worker running until ctx ends. It returns an error if a process cannot be
// started.
func (s *workerSlot) run(ctx context.Context) error {
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

// start starts a worker process with the clock error in off.
func (s *workerSlot) start() (*child, error) {
	off, binary := time.Duration(s.off.Load()), s.binary
	env := []string{"TUMA_CONFIG=", "HOME=" + filepath.Dir(s.log)}
	if off != 0 {
		binary = s.wrongClock
		env = append(env, clockVariable+"="+strconv.FormatInt(int64(off/time.Second), 10))
	}
	return startChild(s.logOf(off), env, binary, "worker", "--config", s.config, "--log-level", "debug", "--log-format", "json")
}

// kill kills the slot's current process with SIGKILL. run starts another.
func (s *workerSlot) kill() error { return s.current.Load().kill() }

// freeze stops the slot's current process with SIGSTOP. thaw lets it continue.
func (s *workerSlot) freeze() (thaw func() error, err error) {
	c := s.current.Load()
	return func() error { return c.Thaw() }, c.Freeze()
}

// drain sends SIGTERM to the slot's current process and returns when this process has ended.
// Meanwhile the method run starts the next process at once. drain returns an error if the process
// takes longer than within, or if its exit status is not 0.
func (s *workerSlot) drain(ctx context.Context, within time.Duration) error {
	c := s.current.Load()
	c.expected.Store(true)
	if err := c.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.replace:
	case <-c.Done(): // the process has ended already; run starts another
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

// end kills every process of the slot that still runs.
func (s *workerSlot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		_ = c.kill() // the run ends, so the error changes nothing
	}
}
