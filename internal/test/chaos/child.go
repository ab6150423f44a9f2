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

// child is a process that this run started. It has a separate process group, so that Ctrl-C
// does not reach it directly. On Linux the kernel kills it when chaos ends in any way.
type child struct {
	process *os.Process
	log     string
	began   time.Time
	done    chan struct{} // closed when the process has ended and been waited for
	// expected means that chaos ends the process, so its end is not a failure.
	expected atomic.Bool
	state    *os.ProcessState // valid once done is closed
}

// startChild starts a process and appends its output to the file log.
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own descriptor
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	cmd.SysProcAttr = ownGroup()
	c := &child{log: log, began: time.Now(), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Because of Pdeathsig, Linux kills the child when the thread that started it ends.
		// So this thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // ProcessState has the exit status
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

// signal sends a signal to the process. It returns nil if the process has ended.
func (c *child) signal(s syscall.Signal) error {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v to process %d: %w", s, c.process.Pid, err)
	}
	return nil
}

// kill sends SIGKILL to the process and returns when the process has ended.
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
