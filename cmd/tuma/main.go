// Command tuma sends text messages in bulk through SMS gateways. It enqueues campaigns, runs the
// workers that send them, and reports the outcome of every recipient.
package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // sending hours and gateways' times need time zones, which a small image lacks

	"github.com/redis/go-redis/v9"
)

func main() {
	// go-redis returns its errors and also logs them to standard error. So its log is discarded.
	redis.SetLogger(discardLogger{})
	ctx, signals := watchSignals(os.Stderr)
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.Environ())
	a.signals = signals
	os.Exit(a.run(ctx, os.Args[1:]))
}

// run runs the program and returns its exit status. Streams and environment are parameters, so
// that tests run the same code as users.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, environ []string) int {
	return newApp(in, out, errOut, environ).run(ctx, args)
}

// newApp returns an app for one command.
func newApp(in io.Reader, out, errOut io.Writer, environ []string) *app {
	a := &app{in: in, out: out, err: errOut, env: map[string]string{}, now: time.Now}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			a.env[name] = value
		}
	}
	return a
}

// run runs a command and returns the exit status of the process.
func (a *app) run(ctx context.Context, args []string) int {
	root := newRoot(a) //nolint:contextcheck // cobra passes the context to the commands
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	verb, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		// An error before the command's own function runs is a mistake in the command line.
		err = misuseError{err: err, help: verb.CommandPath()}
	}
	a.printError(err)
	return exitStatus(err)
}

// discardLogger is a logger for go-redis that prints nothing.
type discardLogger struct{}

// Printf prints nothing.
func (discardLogger) Printf(context.Context, string, ...any) {}
