//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program in the background. Its output is in a file in the folder "logs" of the machine.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// The method "start" starts a program in a separate process group. So Ctrl-C reaches only the calling
// process, which then ends all programs in order.
func (m *machine) start(name, path string, args ...string) (*process, error) {
	return m.startWith(nil, name, path, args...)
}

// startWith does what the method "start" does, with further variables of the environment.
func (m *machine) startWith(env []string, name, path string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(m.dir, "logs", name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command(path, args...)
	p.cmd.Env, p.cmd.Dir = append(m.env(), env...), m.dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	m.onEnd(func() error { return p.stop(20 * time.Second) })
	return p, nil
}

// stop sends SIGTERM, and SIGKILL after the given time. It returns an error if SIGKILL was necessary.
func (p *process) stop(patience time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s still ran %s after SIGTERM", p.name, patience)
}

// The method "ended" returns an error with the last output if the program has ended.
func (p *process) ended() error {
	select {
	case <-p.done:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended (%s):\n%s", p.name, p.cmd.ProcessState, last(text, 3000))
	default:
		return nil
	}
}

// The function "last" returns the end of a text, at most n bytes.
func last(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// run runs a program to its end and returns its standard output. The parameter "stdin" may be empty.
func (m *machine) run(ctx context.Context, stdin, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = m.env(), m.dir
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(path), strings.Join(args, " "), err, last(out.Bytes(), 2000), last(errOut.Bytes(), 2000))
	}
	return out.String(), nil
}

// errAgain makes the function "until" try again.
var errAgain = errors.New("not yet")

// The function "until" calls the function "ready" every 200 ms until that function returns nil. If
// the function "ready" returns an error that does not wrap errAgain, "until" returns an error at once. After
// the time limit, "until" returns an error that names the purpose of the wait.
func until(ctx context.Context, what string, limit time.Duration, ready func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		err := ready()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errAgain):
			return fmt.Errorf("wait for %s: %w", what, err)
		case time.Now().After(end):
			return fmt.Errorf("waited %s for %s: %w", limit, what, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// The function "again" returns an error that wraps errAgain and describes the state so far.
func again(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errAgain, fmt.Sprintf(format, args...))
}
