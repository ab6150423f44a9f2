// Command testreport passes its arguments to "go test" and prints the output of "go test",
// and then the numbers of passed, failed and skipped tests. If tests were skipped because
// redis-server was not found, it also prints how to install redis-server. With
// TUMA_REQUIRE_REDIS=1 such a skip is a failure.
//
//	go run ./internal/test/testreport -race ./...
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
	// Ctrl-C also interrupts "go test", and testreport waits until "go test" has exited.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Getenv("TUMA_REQUIRE_REDIS") == "1", os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	os.Exit(code)
}

// run runs "go test" and returns its exit status. If "go test" succeeded, run returns 1 and an error in
// each of these cases:
//
//   - a test failed
//   - no test ran
//   - redis-server was not found, so a test was skipped, although requireRedis is true
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
		return 1, errors.New("go test exited with status 0 although tests failed")
	case r.passed == 0:
		return 1, errors.New("no test ran")
	case r.wantRedis > 0 && requireRedis:
		return 1, errors.New("TUMA_REQUIRE_REDIS=1, but tests were skipped because there is no redis-server")
	}
	return 0, nil
}

// event is a line of the output of "go test -json".
type event struct {
	Action, Package, Test, Output string
}

// needsRedis is the start of the message with which internal/test/redistest skips a test.
const needsRedis = "needs redis-server:"

// report prints the relevant output of a stream of events and counts the tests.
type report struct {
	out                                io.Writer
	passed, failed, skipped, wantRedis int
	// advice is the text that follows needsRedis in the first such message. It describes how to install redis-server.
	advice string
	// pending is output that is not printed yet, by package and test.
	pending map[[2]string]*strings.Builder
}

func (r *report) read(events io.Reader) error {
	r.pending = map[[2]string]*strings.Builder{}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.add(e)
			} else {
				// The go command prints some messages that are not JSON.
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
			return // a start, pause or continue line, which "go test" prints only with -v
		}
		if r.pending[at] == nil {
			r.pending[at] = &strings.Builder{}
		}
		r.pending[at].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnds(e)
		} else {
			r.testEnds(e)
		}
		delete(r.pending, at)
	}
}

func (r *report) text(e event) string {
	if b := r.pending[[2]string{e.Package, e.Test}]; b != nil {
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
		// Now r.pending holds only the output of tests that did not end, because their process
		// ended first.
		for at, text := range r.pending {
			if at[0] == e.Package && at[1] != "" {
				fmt.Fprint(r.out, text)
				delete(r.pending, at)
			}
		}
		fmt.Fprint(r.out, r.text(e))
		return
	}
	for line := range strings.Lines(r.text(e)) {
		// Keep only the line that "go test" without -v prints for a package that passes or has no tests.
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
	fmt.Fprintf(r.out, "\n%d tests did not run: they need a redis-server and found none.\n", r.wantRedis)
	for line := range strings.Lines(r.advice) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") {
			fmt.Fprintln(r.out, "  "+line)
		}
	}
}
