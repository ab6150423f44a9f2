//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// child is a process of this run's: in a process group of its own, so that Ctrl-C
// reaches it only through us, and on Linux gone when we are, however we end.
type child struct {
	process *os.Process
	log     string
	began   time.Time
	done    chan struct{} // closed when it is gone and reaped
	// meant: its end is our doing.
	expected atomic.Bool
	state    *os.ProcessState // once done is closed
}

// startChild starts a process whose output is added to a file.
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	cmd.SysProcAttr = ownGroup()
	c := &child{log: log, began: time.Now(), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended, its state says
			c.state = cmd.ProcessState
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	c.process = cmd.Process
	return c, nil
}

// signal sends a signal; to one that is gone it changes nothing.
func (c *child) signal(s syscall.Signal) error {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v to process %d: %w", s, c.process.Pid, err)
	}
	return nil
}

// kill ends it at once (kill -9) and returns when it is gone.
func (c *child) kill() error {
	c.expected.Store(true)
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
