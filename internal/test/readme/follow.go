package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// reader runs the steps of a Markdown text.
type reader struct {
	out  io.Writer
	tree string
	// state is a folder that keeps the shell's directory and variables between steps.
	state string
	ci    string
	// ports maps each port in the text to a free port.
	ports map[string]string
	// printed is the output of the commands that ran last.
	printed string
	staying []*staying
}

// staying is a command that keeps running in the background.
type staying struct {
	cmd   *exec.Cmd
	log   *os.File      // receives the output of the command
	ended chan struct{} // closed when the command has exited
}

// port matches a port after a loopback address or after --port.
var port = regexp.MustCompile(`(127\.0\.0\.1:|--port )([0-9]{2,5})\b`)

// newReader chooses the free ports and creates the folder state.
func newReader(out io.Writer, tree, state, ci string, steps []step) (*reader, error) {
	r := &reader{out: out, tree: tree, state: state, ci: ci, ports: map[string]string{}}
	var held []net.Listener
	for _, s := range steps {
		for _, m := range port.FindAllStringSubmatch(s.text, -1) {
			if r.ports[m[2]] != "" {
				continue
			}
			// All listeners stay open until the last port is chosen, so that all ports differ.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			held = append(held, l)
			_, r.ports[m[2]], err = net.SplitHostPort(l.Addr().String())
			if err != nil {
				return nil, err
			}
		}
	}
	for _, l := range held {
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return r, errors.Join(os.WriteFile(filepath.Join(state, "variables"), nil, 0o600),
		os.WriteFile(filepath.Join(state, "directory"), []byte(tree), 0o600))
}

// exchange replaces the ports in a text with the free ports.
func (r *reader) exchange(text string) string {
	return port.ReplaceAllStringFunc(text, func(found string) string {
		m := port.FindStringSubmatch(found)
		if free := r.ports[m[2]]; free != "" {
			return m[1] + free
		}
		return found
	})
}

// follow runs the steps in order until one fails, and then stops the background commands.
func (r *reader) follow(ctx context.Context, steps []step) (err error) {
	defer func() { err = errors.Join(err, r.end(err != nil)) }()
	for _, s := range steps {
		s.text, s.name = r.exchange(s.text), r.exchange(s.name)
		fmt.Fprintf(r.out, "-- line %d: %s %s\n", s.line, s.kind, s.name)
		var err error
		switch s.kind {
		case runs:
			err = r.run(ctx, s)
		case stays:
			err = r.start(ctx, s)
		case file:
			err = r.write(s)
		case prints:
			err = r.compare(s)
		case inCI:
			err = r.findInCI(s)
		case notRun:
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", s.line, err)
		}
	}
	return nil
}

// shell returns a shell command that runs in the directory, and with the variables, in which the
// previous step ended.
func (r *reader) shell(ctx context.Context, commands string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", `set -euo pipefail
. "$STATE/variables"
cd "$(cat "$STATE/directory")"
`+commands)
	cmd.Env = append(os.Environ(), "STATE="+r.state)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs the commands of a step, and keeps their output for compare.
func (r *reader) run(ctx context.Context, s step) error {
	fmt.Fprint(r.out, s.text)
	cmd := r.shell(ctx, s.text+"\nexport -p >\"$STATE/variables\"\npwd >\"$STATE/directory\"\n")
	var printed bytes.Buffer
	both := io.MultiWriter(&printed, r.out)
	cmd.Stdout, cmd.Stderr = both, both
	err := cmd.Run()
	r.printed = printed.String()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != s.status {
		return fmt.Errorf("the commands exited with status %d, want %d", got, s.status)
	}
	return nil
}

// listensWithin is the time limit for a background command to listen, and to stop.
const listensWithin = 30 * time.Second

// start runs a command in the background and returns once the address of the step accepts
// connections.
func (r *reader) start(ctx context.Context, s step) error {
	fmt.Fprint(r.out, s.text)
	log, err := os.CreateTemp(r.state, "log-")
	if err != nil {
		return err
	}
	// exec makes the last command replace the shell, so that the command gets the signal that end() sends.
	commands := strings.Split(strings.TrimSpace(s.text), "\n")
	commands[len(commands)-1] = "exec " + commands[len(commands)-1]
	cmd := r.shell(ctx, strings.Join(commands, "\n"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	st := &staying{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the result is in ProcessState
		close(st.ended)
	}()
	r.staying = append(r.staying, st)

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(listensWithin)
	for {
		select {
		case <-st.ended:
			return fmt.Errorf("the command must keep running, but exited: %s", cmd.ProcessState)
		case <-late:
			return fmt.Errorf("nothing listens at %s after %s", s.name, listensWithin)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if serves(ctx, s.name) {
			return nil
		}
	}
}

// serves reports whether an address accepts connections.
func serves(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	return err == nil && conn.Close() == nil
}

// end stops the background commands, the one started last first. If show is true, end prints their
// output.
func (r *reader) end(show bool) error {
	var errs []error
	for len(r.staying) > 0 {
		st := r.staying[len(r.staying)-1]
		r.staying = r.staying[:len(r.staying)-1]
		if err := st.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		select {
		case <-st.ended: // the exit status does not matter
		case <-time.After(listensWithin):
			errs = append(errs, fmt.Errorf("%v does not exit on SIGINT", st.cmd.Args), st.cmd.Process.Kill())
		}
		if show {
			text, err := os.ReadFile(st.log.Name())
			fmt.Fprintf(r.out, "-- output of %s:\n%s\n", st.cmd.Args[len(st.cmd.Args)-1], text)
			errs = append(errs, err)
		}
		errs = append(errs, st.log.Close())
	}
	return errors.Join(errs...)
}

// write writes the file of a step into the shell's directory.
func (r *reader) write(s step) error {
	directory, err := os.ReadFile(filepath.Join(r.state, "directory"))
	if err != nil {
		return err
	}
	name := filepath.Join(strings.TrimSpace(string(directory)), s.name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(s.text), 0o600)
}

// compare returns an error unless every line of the step is in printed. Several spaces are equal to
// one space.
func (r *reader) compare(s step) error {
	printed := squeeze(r.printed)
	for line := range strings.Lines(s.text) {
		form := strings.ReplaceAll(regexp.QuoteMeta(squeeze(line)), "…", ".*")
		if !regexp.MustCompile("(?m)^" + form + "$").MatchString(printed) {
			return fmt.Errorf("the commands do not print %q", strings.TrimSpace(line))
		}
	}
	return nil
}

// squeeze replaces each run of spaces in a line with one space.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// findInCI returns an error unless .ci/run contains every command of the step.
func (r *reader) findInCI(s step) error {
	for line := range strings.Lines(s.text) {
		command, _, _ := strings.Cut(line, "#")
		if command = strings.TrimSpace(command); command == "" {
			continue
		}
		if !regexp.MustCompile(`(?m)^([A-Z_]+=\S* )*` + regexp.QuoteMeta(command) + `( |$)`).MatchString(r.ci) {
			return fmt.Errorf(".ci/run does not run %q", command)
		}
	}
	return nil
}
