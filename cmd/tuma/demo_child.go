package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tuma-sms/tuma/internal/console"
)

// child is a process that the demo has started.
type child struct {
	process *os.Process
	log     string
	done    chan struct{} // closed when the process has ended and was waited for
}

// startChild starts a process and writes its output to the file log. On Linux the kernel kills the
// new process when the demo's process ends, however that happens.
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer out.Close()                  // the child has its own copy
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // name is this binary or redis-server; kill() ends the process
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	dieWithParent(cmd)
	started := make(chan error)
	done := make(chan struct{})
	go func() {
		// Linux kills the child when the thread that started it ends, so this thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log shows how the process ended
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("demo: start %s: %w", filepath.Base(name), err)
	}
	return &child{process: cmd.Process, log: log, done: done}, nil
}

func (c *child) pid() int { return c.process.Pid }

// ended reports whether the process has ended.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill ends the process (kill -9) and waits until it has ended. It does nothing if the process
// has already ended.
func (c *child) kill() error {
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("demo: kill process %d: %w", c.pid(), err)
	}
	<-c.done
	return nil
}

// tail returns the last line of the process's output, at most 300 characters.
func (c *child) tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return console.OneLine(lines[len(lines)-1], 300)
}
