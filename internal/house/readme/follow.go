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

// reader follows a text step by step.
type reader struct {
	out  io.Writer
	tree string
	// state keeps the shell's directory and variables from one step to the next.
	state string
	ci    string
	// ports are the free ones for those in the text.
	ports map[string]string
	// printed is what the last commands printed.
	printed string
	staying []*staying
}

// staying is a command that goes on.
type staying struct {
	cmd   *exec.Cmd
	said  *os.File
	ended chan struct{} // closed then
}

// port finds the ports of a text: of a loopback address, or after --port.
var port = regexp.MustCompile(`(127\.0\.0\.1:|--port )([0-9]{2,5})\b`)

func newReader(out io.Writer, tree, state, ci string, steps []step) (*reader, error) {
	r := &reader{out: out, tree: tree, state: state, ci: ci, ports: map[string]string{}}
	var held []net.Listener
	for _, s := range steps {
		for _, m := range port.FindAllStringSubmatch(s.text, -1) {
			if r.ports[m[2]] != "" {
				continue
			}
			// All are held until the last is had, so that no two are the same.
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

// exchange puts the free ports in the place of those in the text.
func (r *reader) exchange(text string) string {
	return port.ReplaceAllStringFunc(text, func(found string) string {
		m := port.FindStringSubmatch(found)
		if free := r.ports[m[2]]; free != "" {
			return m[1] + free
		}
		return found
	})
}

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

// shell runs commands where, and with the variables that, the steps before left off.
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
		return fmt.Errorf("the commands end with status %d, and not %d", got, s.status)
	}
	return nil
}

// listensWithin is how long a command may take until it serves.
const listensWithin = 30 * time.Second

func (r *reader) start(ctx context.Context, s step) error {
	fmt.Fprint(r.out, s.text)
	said, err := os.CreateTemp(r.state, "said-")
	if err != nil {
		return err
	}
	// The last command takes the shell's place, so that it is what gets the signal at the end.
	commands := strings.Split(strings.TrimSpace(s.text), "\n")
	commands[len(commands)-1] = "exec " + commands[len(commands)-1]
	cmd := r.shell(ctx, strings.Join(commands, "\n"))
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return err
	}
	st := &staying{cmd: cmd, said: said, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ends says ProcessState
		close(st.ended)
	}()
	r.staying = append(r.staying, st)

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(listensWithin)
	for {
		select {
		case <-st.ended:
			return fmt.Errorf("the command was to stay, and ended: %s", cmd.ProcessState)
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

// serves says whether an address takes connections.
func serves(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	return err == nil && conn.Close() == nil
}

// end stops what stays, the last first, and shows what it said if something failed.
func (r *reader) end(show bool) error {
	var errs []error
	for len(r.staying) > 0 {
		st := r.staying[len(r.staying)-1]
		r.staying = r.staying[:len(r.staying)-1]
		if err := st.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		select {
		case <-st.ended: // by the signal, in whatever way it takes it
		case <-time.After(listensWithin):
			errs = append(errs, fmt.Errorf("%v does not end when asked to", st.cmd.Args), st.cmd.Process.Kill())
		}
		if show {
			text, err := os.ReadFile(st.said.Name())
			fmt.Fprintf(r.out, "-- %s said:\n%s\n", st.cmd.Args[len(st.cmd.Args)-1], text)
			errs = append(errs, err)
		}
		errs = append(errs, st.said.Close())
	}
	return errors.Join(errs...)
}

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

// compare wants every line in what was printed; spaces count as one.
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

func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

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
