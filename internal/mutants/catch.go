package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// mutant is one deliberately wrong version of Tuma.
type mutant struct {
	// name says what is wrong, in words that a file name can have.
	name  string
	edits []edit
	by    catcher
}

// edit replaces a text that stands in its file exactly once.
type edit struct{ file, old, new string }

// catcher is what must notice a mutant: tests of a package, or a chaos run.
type catcher struct {
	// pkg is the folder of the tests, tests their names, any of which will do.
	pkg, tests string
	// args are for the tests' binary; of a chaos run, which has no tests, for chaos.
	args []string
	// want is an expression that what is said must match, or empty.
	want  string
	limit time.Duration
}

const chaosFolder = "internal/chaos"

func (c catcher) isChaos() bool { return c.tests == "" }

// String names it as a person would run it.
func (c catcher) String() string {
	if c.isChaos() {
		return "chaos " + strings.Join(c.args, " ")
	}
	return c.pkg + " " + strings.ReplaceAll(c.tests, "|", ", ")
}

func (c catcher) slug() string {
	return regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(c.pkg+strings.Join(c.args, ""), "-")
}

type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "survived"
	broken   verdict = "broken" // nothing is known: it does not compile, or was noticed otherwise
)

// finding is what a catcher came to.
type finding struct {
	verdict verdict
	how     string // in one line
	said    string
}

func (f finding) word() string { return string(f.verdict) }

// bench is where mutants are made.
type bench struct {
	root, dir string
	chaos     sync.Once
	chaosErr  error
}

// apply returns the files that a mutant changes, with their new text.
func (m mutant) apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		text, ok := changed[e.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("the table is out of date: %s has this %d times: %q", e.file, n, e.old)
		}
		if e.old == e.new {
			return nil, fmt.Errorf("nothing is changed in %s", e.file)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// overlay writes a mutant's files and what tells the go command of them.
func (b *bench) overlay(m mutant, dir string) (string, error) {
	changed, err := m.apply(b.root)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range changed {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(b.root, filepath.FromSlash(file))] = at
	}
	said, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	return at, os.WriteFile(at, said, 0o600)
}

// command runs something of ours and returns all it says.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // chaos ends its own processes
	cmd.WaitDelay = 20 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

// catch runs a catcher with an overlay, or with none.
func (b *bench) catch(ctx context.Context, c catcher, overlay, name string) finding {
	if c.isChaos() {
		return b.catchByChaos(ctx, c, overlay)
	}
	binary := filepath.Join(b.dir, name+".test")
	args := []string{"test", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if said, err := command(ctx, b.root, "go", append(args, "./"+c.pkg)...); err != nil {
		return finding{verdict: broken, how: "it does not compile: " + firstLine(said), said: said}
	}
	defer func() { _ = os.Remove(binary) }()
	limited, cancel := context.WithTimeout(ctx, c.limit+time.Minute)
	defer cancel()
	said, err := command(limited, filepath.Join(b.root, filepath.FromSlash(c.pkg)), binary, append([]string{"-test.run", "^(" + c.tests + ")$",
		"-test.count", "1", "-test.timeout", c.limit.String()}, c.args...)...)
	return judgeTests(c, said, err)
}

func judgeTests(c catcher, said string, err error) finding {
	failed := regexp.MustCompile(`(?m)^--- FAIL: (?:` + c.tests + `)\b`).MatchString(said)
	f := finding{said: said, how: firstLine(said)}
	switch {
	case strings.Contains(said, "no tests to run"):
		f.verdict, f.how = broken, "there is no such test"
	case err == nil:
		f.verdict, f.how = survived, "the tests pass"
	case strings.Contains(said, "panic: test timed out"):
		f.verdict, f.how = broken, "the tests do not end"
	case !failed:
		f.verdict = broken
	case c.want != "" && !regexp.MustCompile(c.want).MatchString(said):
		f.verdict, f.how = broken, "it fails, but not with "+c.want+": "+firstFailure(said)
	default:
		f.verdict, f.how = caught, firstFailure(said)
	}
	return f
}

func (b *bench) catchByChaos(ctx context.Context, c catcher, overlay string) finding {
	binary := filepath.Join(b.dir, "chaos")
	b.chaos.Do(func() {
		if said, err := command(ctx, b.root, "go", "build", "-o", binary, "./"+chaosFolder); err != nil {
			b.chaosErr = fmt.Errorf("%w\n%s", err, said)
		}
	})
	if b.chaosErr != nil {
		return finding{verdict: broken, how: "chaos does not compile", said: b.chaosErr.Error()}
	}
	args := c.args
	if overlay != "" {
		args = append([]string{"-overlay", overlay}, args...)
	}
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	said, err := command(limited, b.root, binary, args...)
	return judgeChaos(c, said, err)
}

func judgeChaos(c catcher, said string, err error) finding {
	_, breaches, found := strings.Cut(said, "BROKEN PROMISES")
	_, breaches, _ = strings.Cut(breaches, "\n")
	breaches, _, _ = strings.Cut(breaches, "\nlogs and files")
	f := finding{said: said, how: firstLine(breaches)}
	switch {
	case err == nil:
		f.verdict, f.how = survived, "every promise was kept"
	case !found:
		f.verdict, f.how = broken, firstLine(said)
	case c.want == "":
		f.verdict = caught
	default:
		f.verdict, f.how = broken, "it breaks, but not with "+c.want+": "+f.how
		for line := range strings.Lines(breaches) {
			if regexp.MustCompile(c.want).MatchString(line) {
				f.verdict, f.how = caught, firstLine(line)
				break
			}
		}
	}
	return f
}

// longestHow keeps the table readable.
const longestHow = 150

func firstLine(said string) string {
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" {
			return line[:min(len(line), longestHow)]
		}
	}
	return "nothing is said"
}

// firstFailure is the first line in which a test says what is wrong.
func firstFailure(said string) string {
	_, said, _ = strings.Cut(said, "--- FAIL")
	for line := range strings.Lines(said) {
		if strings.Contains(line, "_test.go:") && !strings.Contains(line, "[rapid] flaky") {
			return firstLine(line)
		}
	}
	_, said, _ = strings.Cut(said, "\n")
	return firstLine(said)
}
