// Command tuma sends text messages in bulk through SMS gateways. It enqueues campaigns, runs the
// workers that send them, and reports the outcome of every recipient.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // sending hours and gateways' times need time zones, which a small image lacks

	"github.com/redis/go-redis/v9"
)

func main() {
	// go-redis logs to standard error the errors that it also returns, so its log is discarded.
	redis.SetLogger(discardLogger{})
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		// The first signal cancels ctx; the second signal ends the process at once.
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run runs the program and returns its exit status. Streams and environment are parameters, so
// that tests run the same code as users.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, environ []string) int {
	a := &app{in: in, out: out, err: errOut, env: map[string]string{}, now: time.Now}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			a.env[name] = value
		}
	}
	root := newRoot(a) //nolint:contextcheck // cobra passes the context to the commands
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
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
