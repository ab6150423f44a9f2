package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// child is a process that belongs to the demo.
type child struct {
	process *os.Process
	log     string
	done    chan struct{} // closed when it is gone and reaped
}

// startChild starts a process whose output goes to a file. On Linux it also dies
// with this process, however that ends.
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer out.Close()                  // the child has its own
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // our own binary or redis-server; it ends by kill
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	dieWithParent(cmd)
	started := make(chan error)
	done := make(chan struct{})
	go func() {
		// Linux ends the child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended, its log says
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("demo: start %s: %w", filepath.Base(name), err)
	}
	return &child{process: cmd.Process, log: log, done: done}, nil
}

func (c *child) pid() int { return c.process.Pid }

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill ends the process at once (kill -9) and returns when it is gone. Killing
// one that is gone changes nothing.
func (c *child) kill() error {
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("demo: kill process %d: %w", c.pid(), err)
	}
	<-c.done
	return nil
}

// tail is the last line of its output.
func (c *child) tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return oneLine(lines[len(lines)-1], 300)
}
