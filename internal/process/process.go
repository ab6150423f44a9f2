// Package process starts, stops and kills child processes. On Linux the kernel kills a child when
// its parent ends, even if a panic or kill -9 ends the parent.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Process is a child process that Start has started. Its methods are safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and err is set
	err  error         // the error of cmd.Wait; valid once the channel "done" is closed
}

// Start starts a command, which must not be started yet, and waits for its end in the background.
// On Linux the kernel kills the child when this process ends, for any reason. On other systems the
// child may outlive this process.
func Start(cmd *exec.Cmd) (*Process, error) {
	dieWithParent(cmd)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux kills the child when the thread that started it ends, so this thread must live as long
		// as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// StartLogged is like Start, but also appends the output of the command to a file. It creates the file
// if necessary.
func StartLogged(cmd *exec.Cmd, file string) (*Process, error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own descriptor of the file
	cmd.Stdout, cmd.Stderr = out, out
	return Start(cmd)
}

// PID returns the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended and Wait can return its result.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits until the process has ended. It returns the error of exec.Cmd.Wait, which is nil if the
// exit status is 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// State returns the exit status and the resource usage of a process that has ended. It returns nil
// if the process has not ended.
func (p *Process) State() *os.ProcessState {
	if !p.Ended() {
		return nil
	}
	return p.cmd.ProcessState
}

// Signal sends a signal to the process. It returns nil if the process has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v to process %d: %w", s, p.PID(), err)
	}
	return nil
}

// Kill ends the process (kill -9) and waits until it has ended. It returns nil if the process has
// already ended.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID(), err)
	}
	<-p.done
	return nil
}
