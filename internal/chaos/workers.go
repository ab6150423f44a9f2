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

// slot is a worker that is started again whenever it ends, as a supervisor of
// services would.
type slot struct {
	binary, config, log string
	// wrongClock is the binary for when off says by how much the clock is to be wrong.
	wrongClock string
	off        atomic.Int64
	// clock is held as long as it is, for a while.
	clock sync.Mutex
	// fault is held while something is being done to the worker.
	fault   sync.Mutex
	current atomic.Pointer[child]
	replace chan *child
	starts  atomic.Int64

	mu  sync.Mutex
	all []*child
	// strange are ends that nobody has asked for.
	unexpectedEnds []string
}

func newSlot(o options, dir, config string, n int) *slot {
	s := &slot{binary: o.binary, wrongClock: o.wrongClock, config: config, log: filepath.Join(dir, fmt.Sprintf("worker-%d.log", n+1)),
		replace: make(chan *child)}
	if o.clocks && n == o.workers-1 {
		s.off.Store(int64(lastingClockOffset(o.seed)))
	}
	return s
}

// settled is how long a worker must have run for its end to be no failed start: it
// refuses to start while there is no Redis.
const minRun = 20 * time.Second

// run keeps a worker running until the context ends.
func (s *slot) run(ctx context.Context) error {
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
		case <-c.done:
		}
		if !c.expected.Load() && time.Since(c.began) > minRun {
			s.mu.Lock()
			s.unexpectedEnds = append(s.unexpectedEnds, fmt.Sprintf("process %d of %s ended by itself: %v", c.process.Pid, filepath.Base(s.log), c.state))
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// start starts a worker, with the clock that it is to have now.
func (s *slot) start() (*child, error) {
	off, binary := time.Duration(s.off.Load()), s.binary
	env := []string{"TUMA_CONFIG=", "HOME=" + filepath.Dir(s.log)}
	if off != 0 {
		binary = s.wrongClock
		env = append(env, clockVariable+"="+strconv.FormatInt(int64(off/time.Second), 10))
	}
	return startChild(s.logOf(off), env, binary, "worker", "--config", s.config, "--log-level", "debug", "--log-format", "json")
}

// kill ends the worker of the moment with kill -9; another is started.
func (s *slot) kill() error { return s.current.Load().kill() }

// freeze stops the worker of the moment, until the function that is returned is called.
func (s *slot) freeze() (thaw func() error, err error) {
	c := s.current.Load()
	return func() error { return c.signal(syscall.SIGCONT) }, c.signal(syscall.SIGSTOP)
}

// drain sends SIGTERM to the worker of the moment, has another started at once, and
// returns when the first has drained.
func (s *slot) drain(ctx context.Context, within time.Duration) error {
	c := s.current.Load()
	c.expected.Store(true)
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.replace:
	case <-c.done: // and run starts another by itself
	case <-ctx.Done():
		return nil
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil
	case <-time.After(within):
		return fmt.Errorf("process %d has not drained within %s", c.process.Pid, within)
	}
	if !c.state.Success() {
		return fmt.Errorf("process %d drained with %v", c.process.Pid, c.state)
	}
	return nil
}

// end kills every process of the slot that is left.
func (s *slot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		_ = c.kill() // nobody else could do more
	}
}
