package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// terminal is a terminal of the person that follows the text. It is a shell with a folder and
// variables.
type terminal struct {
	number int
	// state is a folder that keeps the shell's directory and variables between steps.
	state string
	// occupied is the command that keeps running in the terminal, or nil.
	occupied *staying
}

// openTerminal opens a new terminal in the home folder.
func (r *reader) openTerminal(number int) (*terminal, error) {
	state, err := os.MkdirTemp(r.scratch, "terminal-")
	if err != nil {
		return nil, err
	}
	t := &terminal{number: number, state: state}
	if err := os.WriteFile(filepath.Join(state, "directory"), []byte(r.home), 0o600); err != nil {
		return nil, err
	}
	// An interactive shell reads ~/.bashrc when it starts.
	const startup = `if [ -e "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi` + "\n"
	return t, os.WriteFile(filepath.Join(state, "variables"), []byte(startup), 0o600)
}

// directory returns the current folder of the shell in the terminal.
func (t *terminal) directory() (string, error) {
	directory, err := os.ReadFile(filepath.Join(t.state, "directory"))
	return strings.TrimSpace(string(directory)), err
}

// preamble restores the folder and the variables of a terminal. It declares a function git, with
// which "git clone" copies the tested tree, because a clone from the network may have another
// commit.
const preamble = `set -euo pipefail
. "$README_STATE/variables"
cd "$(cat "$README_STATE/directory")"
git() {
	if [ "${1-}" = clone ]; then cp -R "$README_TREE" "$(basename "$2" .git)"; else command git "$@"; fi
}
`

// The method "shell" returns a shell command. This command runs in the directory and with the
// variables that the terminal had after its previous step.
func (r *reader) shell(ctx context.Context, t *terminal, commands string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-c", preamble+commands)
	cmd.Dir = r.home
	cmd.Env = append(environment(os.Environ()), "HOME="+r.home, "README_STATE="+t.state, "README_TREE="+r.tree)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// environment returns the environment of a new terminal. It keeps the variables that only save time
// or allow Go to find its modules. It also keeps PATH, but without the folders that contain a
// program named tuma. It drops all other variables. So if a text does not set a variable that it needs,
// the run fails, even if the caller of readme has set the variable.
func environment(environ []string) []string {
	keep := map[string]bool{
		"GOCACHE": true, "GOMODCACHE": true, "GOPROXY": true, "GOFLAGS": true, "GOSUMDB": true, "GOTOOLCHAIN": true, "CGO_ENABLED": true,
		"TMPDIR": true, "LANG": true,
	}
	env := []string{"TERM=dumb"}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case keep[name]:
			env = append(env, pair)
		case name == "PATH":
			env = append(env, "PATH="+withoutTuma(value))
		}
	}
	return env
}

// withoutTuma returns a PATH without the folders that contain a program named tuma.
func withoutTuma(path string) string {
	var kept []string
	for _, folder := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(folder, "tuma")); err != nil {
			kept = append(kept, folder)
		}
	}
	return strings.Join(kept, string(filepath.ListSeparator))
}

// goCaches sets GOCACHE and GOMODCACHE for the commands of the text. Otherwise Go would download and
// build everything again for the new home folder.
func goCaches(ctx context.Context) error {
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return fmt.Errorf("go env %s: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(value))); err != nil {
			return err
		}
	}
	return nil
}
