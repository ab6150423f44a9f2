//go:build unix

package main

import (
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
)

// child is a process that this run started. It has a separate process group, so that Ctrl-C
// does not reach it directly. On Linux the kernel kills it when chaos ends in any way.
type child struct {
	*process.Process
	log   string
	began time.Time
	// expected means that chaos ends the process, so its end is not a failure.
	expected atomic.Bool
}

// startChild starts a process and appends its output to the file log.
func startChild(log string, env []string, name string, args ...string) (*child, error) {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.SysProcAttr = env, &syscall.SysProcAttr{Setpgid: true}
	c := &child{log: log, began: time.Now()}
	var err error
	c.Process, err = process.StartLogged(cmd, log)
	return c, err
}

// The method "kill" sends SIGKILL to the process and returns when the process has ended.
func (c *child) kill() error {
	c.expected.Store(true)
	return c.Kill()
}
