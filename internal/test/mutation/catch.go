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
	// name describes the mistake of this version.
	name  string
	edits []edit
	by    catcher
}

// edit replaces the snippet in the field "old" by the text in the field "new". The field "file"
// is the file that contains the snippet, unless the code has moved to another file of its
// folder. The snippet must fit exactly one place (see find.go). If the code has renamed an
// identifier of the snippet, the identifier is also renamed in the new text.
type edit struct{ file, old, new string }

// catcher is a run that must fail because of a mutant: either tests of a package or a chaos run.
type catcher struct {
	// pkg is the folder of the tests. The field "tests" is a regular expression for the names of the
	// tests. For a chaos run, "tests" is empty.
	pkg, tests string
	// args are additional arguments of the test binary, or all arguments of the chaos run.
	args []string
	// want is a regular expression that the output must match. If want is empty, any failure is
	// enough.
	want string
	// limit is the maximum time that the catcher may take. It must be more than 0.
	limit time.Duration
}

const chaosFolder = "internal/test/chaos"

func (c catcher) isChaos() bool { return c.tests == "" }

// String returns the package and its tests, or the chaos command.
func (c catcher) String() string {
	if c.isChaos() {
		return "chaos " + strings.Join(c.args, " ")
	}
	return c.pkg + " " + strings.ReplaceAll(c.tests, "|", ", ")
}

// slug returns a file name for the catcher, made of letters, digits and "-".
func (c catcher) slug() string { return slug(c.pkg + strings.Join(c.args, "")) }

// slug returns a file name for the mutant, made of letters, digits and "-".
func (m mutant) slug() string { return slug(m.name) }

func slug(name string) string {
	return regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, "-")
}

type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "survived"
	broken   verdict = "broken" // the mutant cannot be made or compiled, or the run failed for another reason
)

// finding is the verdict on one run of a catcher, with its reason.
type finding struct {
	verdict verdict
	how     string // the reason, in one line
	output  string // the whole output
}

// bench builds and runs mutants of the module in the folder "root". It writes its files to the
// folder "dir".
type bench struct {
	root, dir string
	chaos     sync.Once
	chaosErr  error
}

// overlay writes the changed files of the mutant m into dir, and the JSON file for the Go command's
// flag -overlay. It returns the name of the JSON file, and the text of each changed file by its
// name in the tree.
func (b *bench) overlay(m mutant, dir string) (name string, changed map[string]string, err error) {
	changed, err = m.apply(newSource(os.DirFS(b.root)))
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	replace := map[string]string{}
	for file, text := range changed {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", nil, err
		}
		replace[filepath.Join(b.root, filepath.FromSlash(file))] = at
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	name = filepath.Join(dir, "overlay.json")
	return name, changed, os.WriteFile(name, text, 0o600)
}

// The function "command" runs a program in the folder "dir". It returns the program's standard
// output and standard error.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // an interrupt lets chaos end its own processes
	cmd.WaitDelay = 20 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

// The method "catch" runs the catcher c with the mutant of the overlay file. If the parameter
// "overlay" is empty, the catcher runs without a mutant. The parameter "name" is the name of the
// test binary, without its ending.
func (b *bench) catch(ctx context.Context, c catcher, overlay, name string) finding {
	if c.isChaos() {
		return b.catchByChaos(ctx, c, overlay)
	}
	binary := filepath.Join(b.dir, name+".test")
	args := []string{"test", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if output, err := command(ctx, b.root, "go", append(args, "./"+c.pkg)...); err != nil {
		return finding{verdict: broken, how: "does not compile: " + shorten(compileErrors(output)), output: output}
	}
	defer func() { _ = os.Remove(binary) }()
	limited, cancel := context.WithTimeout(ctx, c.limit+time.Minute)
	defer cancel()
	output, err := command(limited, filepath.Join(b.root, filepath.FromSlash(c.pkg)), binary, append([]string{"-test.run", "^(" + c.tests + ")$",
		"-test.count", "1", "-test.timeout", c.limit.String()}, c.args...)...)
	return judgeTests(c, output, err)
}

// judgeTests returns the finding for a run of the tests of c. The parameters "output" and "err" are
// the results of the function "command" for the run.
func judgeTests(c catcher, output string, err error) finding {
	failed := regexp.MustCompile(`(?m)^--- FAIL: (?:` + c.tests + `)\b`).MatchString(output)
	f := finding{output: output, how: firstLine(output)}
	switch {
	case strings.Contains(output, "no tests to run"):
		f.verdict, f.how = broken, "no such test: the table names a test that does not exist"
	case err == nil:
		f.verdict, f.how = survived, "the tests pass"
	case strings.Contains(output, "panic: test timed out"):
		f.verdict, f.how = broken, "the tests ran into their time limit"
	case !failed:
		f.verdict = broken
	case c.want != "" && !regexp.MustCompile(c.want).MatchString(output):
		f.verdict, f.how = broken, "the tests fail, but not with "+c.want+": "+firstFailure(output)
	default:
		f.verdict, f.how = caught, firstFailure(output)
	}
	return f
}

func (b *bench) catchByChaos(ctx context.Context, c catcher, overlay string) finding {
	binary := filepath.Join(b.dir, "chaos")
	b.chaos.Do(func() {
		if output, err := command(ctx, b.root, "go", "build", "-o", binary, "./"+chaosFolder); err != nil {
			b.chaosErr = fmt.Errorf("%w\n%s", err, output)
		}
	})
	if b.chaosErr != nil {
		return finding{verdict: broken, how: "chaos does not compile", output: b.chaosErr.Error()}
	}
	args := c.args
	if overlay != "" {
		args = append([]string{"-overlay", overlay}, args...)
	}
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	output, err := command(limited, b.root, binary, args...)
	return judgeChaos(c, output, err)
}

// judgeChaos returns the finding for the chaos run c. The parameters "output" and "err" are the
// results of the function "command" for the run.
func judgeChaos(c catcher, output string, err error) finding {
	_, breaches, found := strings.Cut(output, "BROKEN PROMISES")
	_, breaches, _ = strings.Cut(breaches, "\n")
	breaches, _, _ = strings.Cut(breaches, "\nlogs and files")
	f := finding{output: output, how: firstLine(breaches)}
	switch {
	case err == nil:
		f.verdict, f.how = survived, "every promise was kept"
	case !found:
		f.verdict, f.how = broken, firstLine(output)
	case c.want == "":
		f.verdict = caught
	default:
		f.verdict, f.how = broken, "a promise is broken, but not "+c.want+": "+f.how
		for line := range strings.Lines(breaches) {
			if regexp.MustCompile(c.want).MatchString(line) {
				f.verdict, f.how = caught, firstLine(line)
				break
			}
		}
	}
	return f
}

// longestHow is the maximum length of the line that finding.how quotes from an output, in bytes.
const longestHow = 150

func shorten(line string) string { return line[:min(len(line), longestHow)] }

// firstLine returns the first line of the output that is not blank, shortened to longestHow.
func firstLine(output string) string {
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" {
			return shorten(line)
		}
	}
	return "no output"
}

// firstFailure returns the first line of the output in which a failed test reports a position in a
// _test.go file. If the output has no such line, it returns the line after the first "--- FAIL".
func firstFailure(output string) string {
	_, output, _ = strings.Cut(output, "--- FAIL")
	for line := range strings.Lines(output) {
		if strings.Contains(line, "_test.go:") && !strings.Contains(line, "[rapid] flaky") {
			return firstLine(line)
		}
	}
	_, output, _ = strings.Cut(output, "\n")
	return firstLine(output)
}
