// Command testreport runs go test with the arguments it is given and prints what
// go test would print. At the end it adds up the tests, and says how many did not
// run for want of a redis-server and how to get one; TUMA_REQUIRE_REDIS=1 makes
// that a failure.
//
//	go run ./internal/house/testreport -race ./...
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

func main() {
	// Ctrl-C reaches go test as well, and its end is waited for.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Getenv("TUMA_REQUIRE_REDIS") == "1", os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	os.Exit(code)
}

// run returns the exit status: that of go test, or 1 if go test was content and
// there is something else to complain of.
func run(ctx context.Context, args []string, requireRedis bool, out, errOut io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return nil }
	cmd.Stderr = errOut
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	r := report{out: out}
	if err := r.read(events); err != nil {
		return 1, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	err = cmd.Wait()
	r.close()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil
	case err != nil:
		return 1, err
	case r.failed > 0:
		return 1, errors.New("go test was content, although tests failed")
	case r.passed == 0:
		return 1, errors.New("no test ran")
	case r.wantRedis > 0 && requireRedis:
		return 1, errors.New("TUMA_REQUIRE_REDIS=1, and tests did not run for want of a redis-server")
	}
	return 0, nil
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

// needsRedis begins what internal/redistest says when it skips a test.
const needsRedis = "needs redis-server:"

// report prints what matters of a stream of events.
type report struct {
	out                                io.Writer
	passed, failed, skipped, wantRedis int
	// advice is what the first test that wants a redis-server said.
	advice string
	// said is what is not printed yet, by package and test.
	said map[[2]string]*strings.Builder
}

func (r *report) read(events io.Reader) error {
	r.said = map[[2]string]*strings.Builder{}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.add(e)
			} else {
				// The go command says some things in plain words.
				fmt.Fprintf(r.out, "%s", line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event) {
	at := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if strings.HasPrefix(e.Output, "=== ") {
			return // which test begins, waits or goes on: go test says that only when asked to
		}
		if r.said[at] == nil {
			r.said[at] = &strings.Builder{}
		}
		r.said[at].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnds(e)
		} else {
			r.testEnds(e)
		}
		delete(r.said, at)
	}
}

func (r *report) text(e event) string {
	if b := r.said[[2]string{e.Package, e.Test}]; b != nil {
		return b.String()
	}
	return ""
}

func (r *report) testEnds(e event) {
	text := r.text(e)
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		fmt.Fprint(r.out, text)
	case "skip":
		r.skipped++
		if _, advice, ok := strings.Cut(text, needsRedis); ok {
			r.wantRedis++
			if r.advice == "" {
				r.advice = advice
			}
			return
		}
		fmt.Fprint(r.out, text)
	}
}

func (r *report) packageEnds(e event) {
	if e.Action == "fail" {
		// A test that the end of its process cut short.
		for at, text := range r.said {
			if at[0] == e.Package && at[1] != "" {
				fmt.Fprint(r.out, text)
				delete(r.said, at)
			}
		}
		fmt.Fprint(r.out, r.text(e))
		return
	}
	for line := range strings.Lines(r.text(e)) {
		// What go test itself prints of a package that passes.
		if strings.HasPrefix(line, "ok  ") || strings.HasPrefix(line, "?   ") {
			fmt.Fprint(r.out, line)
		}
	}
}

func (r *report) close() {
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if r.wantRedis == 0 {
		return
	}
	fmt.Fprintf(r.out, "\n%d tests did not run: they need a redis-server, and there is none.\n", r.wantRedis)
	for line := range strings.Lines(r.advice) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") {
			fmt.Fprintln(r.out, "  "+line)
		}
	}
}
