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
	"slices"
	"strings"
	"time"
)

// reader follows pages of Markdown like a person with a home folder and some terminals.
type reader struct {
	out io.Writer
	// tree is the folder that git clone copies.
	tree string
	// scratch is a folder for the temporary files of this program. home is the home folder of the commands
	// in the pages.
	scratch, home string
	ci            string
	// ports maps each port in the text to a free port.
	ports     map[string]string
	terminals map[int]*terminal
	// current is the terminal that the last step has used.
	current *terminal
	// printed is the output of the last commands.
	printed string
	staying []*staying
}

// staying is a command that keeps running in its terminal.
type staying struct {
	cmd   *exec.Cmd
	log   *os.File      // log receives the output of the command.
	ended chan struct{} // closed when the command has exited
}

// port matches a port after a loopback address or after a flag such as --port or --redis-port.
var port = regexp.MustCompile(`(127\.0\.0\.1:|-port )([0-9]{2,5})\b`)

// startsDev matches the command `tuma dev`, which listens on redisPort and sandboxPort even if the text
// does not name these ports.
var startsDev = regexp.MustCompile(`(?m)^tuma dev\b`)

// newReader chooses the free ports and creates the home folder in the folder "scratch".
func newReader(out io.Writer, tree, scratch, ci string, steps []step) (*reader, error) {
	r := &reader{out: out, tree: tree, scratch: scratch, home: filepath.Join(scratch, "home"), ci: ci, ports: map[string]string{}, terminals: map[int]*terminal{}}
	var held []net.Listener
	ports := []string{redisPort, sandboxPort}
	for _, s := range steps {
		for _, m := range port.FindAllStringSubmatch(s.text, -1) {
			ports = append(ports, m[2])
		}
	}
	slices.Sort(ports)
	for _, port := range slices.Compact(ports) {
		// All listeners stay open until the last port is chosen, so that all ports differ.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		if _, r.ports[port], err = net.SplitHostPort(l.Addr().String()); err != nil {
			return nil, err
		}
	}
	for _, l := range held {
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return r, os.Mkdir(r.home, 0o700)
}

// exchange replaces the ports in a text by the free ports. It also adds flags to the command `tuma dev`,
// so that this command listens on free ports.
func (r *reader) exchange(text string) string {
	text = startsDev.ReplaceAllString(text, "tuma dev --redis-port "+redisPort+" --sandbox-port "+sandboxPort)
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
		t, err := r.terminal(s.terminal)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "-- %s:%d: terminal %d: %s %s\n", s.page, s.line, t.number, s.kind, s.name)
		if t.occupied != nil && (s.kind == runs || s.kind == stays) {
			return fmt.Errorf("%s:%d: terminal %d is occupied by a command that keeps running", s.page, s.line, t.number)
		}
		switch s.kind {
		case runs:
			err = r.run(ctx, t, s)
		case stays:
			err = r.start(ctx, t, s)
		case file:
			err = r.write(t, s)
		case prints:
			err = r.compare(ctx, t, s)
		case inCI:
			err = r.findInCI(s)
		case notRun:
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", s.page, s.line, err)
		}
	}
	if slices.ContainsFunc(steps, func(s step) bool { return startsDev.MatchString(s.text) }) {
		return r.checkSandbox(ctx)
	}
	return nil
}

// The method "terminal" returns the terminal with the given number, and opens it if necessary. The number
// 0 stands for the terminal of the previous step, or for terminal 1 in the first step.
func (r *reader) terminal(number int) (*terminal, error) {
	if number == 0 && r.current != nil {
		return r.current, nil
	}
	number = max(number, 1)
	if r.terminals[number] == nil {
		var err error
		if r.terminals[number], err = r.openTerminal(number); err != nil {
			return nil, err
		}
	}
	r.current = r.terminals[number]
	return r.current, nil
}

// run runs the commands of a step, and keeps their output for the method "compare".
func (r *reader) run(ctx context.Context, t *terminal, s step) error {
	fmt.Fprint(r.out, s.text)
	cmd := r.shell(ctx, t, s.text+"\nexport -p >\"$README_STATE/variables\"\npwd >\"$README_STATE/directory\"\n")
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

// listensWithin is the time limit for a background command to be ready, and to stop.
const listensWithin = 30 * time.Second

// start runs a command that occupies the terminal, and returns once the condition of the step is
// met.
func (r *reader) start(ctx context.Context, t *terminal, s step) error {
	fmt.Fprint(r.out, s.text)
	log, err := os.CreateTemp(t.state, "log-")
	if err != nil {
		return err
	}
	// With exec, the last command replaces the shell, so that the command gets the signal that end()
	// sends.
	commands := strings.Split(strings.TrimSpace(s.text), "\n")
	commands[len(commands)-1] = "exec " + commands[len(commands)-1]
	cmd := r.shell(ctx, t, strings.Join(commands, "\n"))
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
	t.occupied = st

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(listensWithin)
	for {
		select {
		case <-st.ended:
			return fmt.Errorf("the command must keep running, but exited: %s", cmd.ProcessState)
		case <-late:
			return fmt.Errorf("waited %s until %s, which did not happen", listensWithin, s.name)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if ok, err := ready(ctx, s.name, log.Name()); ok || err != nil {
			return err
		}
	}
}

// The function "ready" reports whether the condition of a command that keeps running is met. The condition
// is that an address accepts connections, or that the file "log" contains a text.
func ready(ctx context.Context, condition, log string) (bool, error) {
	if address, ok := strings.CutSuffix(condition, " listens"); ok {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		return err == nil && conn.Close() == nil, nil
	}
	text := strings.Trim(strings.TrimSuffix(condition, " is printed"), `"`)
	printed, err := os.ReadFile(log)
	return strings.Contains(string(printed), text), err
}

// The method "end" stops the background commands, in the reverse order of their starts. If the parameter
// "show" is true, it prints their output.
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

// The method "write" writes the file of a step to the terminal's folder. The folder of the file must
// exist.
func (r *reader) write(t *terminal, s step) error {
	directory, err := t.directory()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, s.name), []byte(s.text), 0o600)
}

// compare returns an error if a line of the step was not printed. If a command occupies the
// terminal, this command must print the lines within listensWithin. If the terminal is free, the
// last commands must have printed the lines. Several spaces are equal to one space.
func (r *reader) compare(ctx context.Context, t *terminal, s step) error {
	if t.occupied == nil {
		return unprinted(s.text, r.printed)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(listensWithin)
	for {
		printed, err := os.ReadFile(t.occupied.log.Name())
		if err != nil {
			return err
		}
		if err = unprinted(s.text, string(printed)); err == nil {
			return nil
		}
		select {
		case <-late:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// unprinted returns an error that names the first line of the text "want" that is not in the text
// "printed".
func unprinted(want, printed string) error {
	printed = squeeze(printed)
	for line := range strings.Lines(want) {
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
