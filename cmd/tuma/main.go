// Command tuma sends text messages in bulk through SMS gateways: it enqueues
// campaigns, works them off, and tells what became of every recipient.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // gateways' times and sending hours are local, and a small image has no zones

	"github.com/redis/go-redis/v9"
)

func main() {
	// go-redis prints to standard error by itself what it also returns.
	redis.SetLogger(discardLogger{})
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		// The first signal asks for a tidy end, the second ends the process at once.
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the whole program: it takes everything from outside as arguments and
// returns the exit status, so that tests run what users run.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, environ []string) int {
	a := &app{in: in, out: out, err: errOut, env: map[string]string{}, now: time.Now}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			a.env[name] = value
		}
	}
	root := newRoot(a) //nolint:contextcheck // cobra hands the verbs their context
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	verb, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		// Whatever goes wrong before a verb begins is in how it was called.
		err = misuseError{err: err, help: verb.CommandPath()}
	}
	a.printError(err)
	return exitStatus(err)
}

// silence drops go-redis's own lines.
type discardLogger struct{}

// Printf prints nothing.
func (discardLogger) Printf(context.Context, string, ...any) {}
