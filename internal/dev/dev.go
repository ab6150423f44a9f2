// Package dev runs the parts that a first campaign needs, on one machine and on fixed ports. The
// parts are a Redis that keeps its data in a folder, the sandbox (simulated gateways), and a
// worker. It also writes the configuration that `tuma send` needs. No message leaves the machine.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/localredis"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

// Default settings.
const (
	// DefaultData is the folder for the data, in the current folder.
	DefaultData = "tuma-dev"
	// RedisPort and SandboxPort are TCP ports of 127.0.0.1. RedisPort differs from the usual port of
	// Redis, 6379, because a Redis of the system often listens there.
	RedisPort   = 6390
	SandboxPort = 8025
)

// Options has the values that the command line and the program pass to Run.
type Options struct {
	// Data is the folder that keeps campaigns. Run creates it.
	Data string
	// Config is the configuration file that the user named. If it is empty, Run uses the file that
	// TUMA_CONFIG names, or else tuma.yaml in the current folder.
	Config string
	// Country is the ISO code that a new configuration gets as default_country. If it is empty, the
	// configuration gets no default_country.
	Country string
	// RedisPort and SandboxPort are the TCP ports of 127.0.0.1 on which Redis and the sandbox
	// listen.
	RedisPort, SandboxPort int
	// Lookup reads an environment variable.
	Lookup func(name string) (string, bool)
	// Out gets the text for people: the addresses, and the messages that arrive at the sandbox.
	Out io.Writer
	// Note prints a warning.
	Note func(format string, args ...any)
	// Now is the clock.
	Now func() time.Time
	// NewWorker makes a worker for all accounts of the configuration. It also returns a function
	// that releases the resources of the worker. The parameter "builtIn" is true if Redis is the
	// built-in Redis.
	NewWorker func(ctx context.Context, cfg *config.Config, builtIn bool) (*worker.Worker, func(), error)
}

// ErrUsage means that the user named a configuration or a setting that Run cannot use.
var ErrUsage = errors.New("dev cannot use this configuration")

// environment has the parts of one Run. The method "close" stops the parts in the reverse order of
// their start.
type environment struct {
	Options
	lock     *os.File
	gateway  *simulator.Server
	server   *http.Server
	address  string // of the sandbox
	redis    *localredis.Server
	setting  setting
	arrivals *arrivals
}

// Run starts all parts. Until ctx ends, it shows the messages that arrive at the sandbox. Then
// it lets the worker finish its calls in flight, and stops all parts. A redis-server keeps the
// campaigns in the folder Data. The built-in Redis keeps nothing.
//
// Run returns an error if a port or the folder is in use, if the configuration cannot be used
// (ErrUsage, or a *config.Error), and if the worker or redis-server ends early.
func Run(ctx context.Context, o Options) (err error) {
	e := &environment{Options: o, arrivals: newArrivals(o.Out, o.Now)}
	defer func() { err = errors.Join(err, e.close()) }()
	if e.Data, err = filepath.Abs(o.Data); err != nil {
		return err
	}
	if err := e.prepareFolder(); err != nil {
		return err
	}
	if err := e.startSandbox(ctx); err != nil {
		return err
	}
	if e.redis, err = localredis.Start(ctx, localredis.Options{Dir: e.Data, Port: o.RedisPort, Keep: true}); err != nil {
		if errors.Is(err, localredis.ErrInUse) {
			err = inUse("Redis", o.RedisPort, "--redis-port", "another program")
		}
		return ignoreStop(ctx, err)
	}
	e.warnOfUnreadable()
	if e.setting, err = e.findConfig(); err != nil {
		return err
	}
	wk, release, err := o.NewWorker(ctx, e.setting.config, e.redis.Binary == "")
	if err != nil {
		return ignoreStop(ctx, err)
	}
	defer release()
	return e.work(ctx, wk)
}

// warnOfUnreadable warns if an earlier run has stored campaigns that the built-in Redis cannot read.
func (e *environment) warnOfUnreadable() {
	if e.redis.Binary != "" {
		return
	}
	if _, err := os.Stat(filepath.Join(e.Data, "appendonlydir")); err == nil {
		e.Note("tuma: warning: an earlier run has stored campaigns in %s; only a redis-server can read them", short(e.Data))
	}
}

// ignoreStop returns nil if ctx has ended, because then the user stopped the command. Otherwise it
// returns err.
func ignoreStop(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// prepareFolder creates the folder for the data and locks it, so that a second run cannot use it.
func (e *environment) prepareFolder() error {
	if err := os.MkdirAll(e.Data, 0o700); err != nil {
		return err
	}
	var err error
	if e.lock, err = lockFile(filepath.Join(e.Data, "lock")); errors.Is(err, errLocked) {
		return fmt.Errorf("dev: another tuma dev uses the folder %s: use that tuma dev, or stop it with Ctrl-C", e.Data)
	}
	if err != nil {
		return err
	}
	// The data must not be added to the user's git repository.
	return os.WriteFile(filepath.Join(e.Data, ".gitignore"), []byte("*\n"), 0o600)
}

// startSandbox serves the simulated gateways.
func (e *environment) startSandbox(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", loopback(e.SandboxPort))
	if errors.Is(err, syscall.EADDRINUSE) {
		return inUse("the sandbox", e.SandboxPort, "--sandbox-port", neighbour(ctx, loopback(e.SandboxPort)))
	}
	if err != nil {
		return err
	}
	e.address = listener.Addr().String()
	e.gateway = catalog.Simulate(simulator.Options{OnAccept: e.arrivals.add})
	e.server = &http.Server{Handler: e.gateway, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = e.server.Serve(listener) }() // ends with ErrServerClosed
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// inUse returns the error for a port that is in use. The parameter "what" names the part of dev that
// needs the port. The parameter "user" names the program that uses the port. The parameter "flag"
// names the flag that sets another port.
func inUse(what string, port int, flag, user string) error {
	return fmt.Errorf("dev: port %d, for %s, is in use by %s: stop that program, or choose another port with %s", port, what, user, flag)
}

// neighbour describes the program that already listens on the address of the sandbox.
func neighbour(ctx context.Context, address string) string {
	const other = "another program"
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/_sandbox/stats", http.NoBody)
	if err != nil {
		return other
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return other
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return other
	}
	return "another tuma dev or tuma sandbox"
}

// The method "work" runs the worker until ctx ends, and shows the messages that arrive at the sandbox.
func (e *environment) work(ctx context.Context, wk *worker.Worker) error {
	ended := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- wk.Run(run) }()
	err := e.watch(ctx, wk, ended)
	if err != nil {
		wk.Kill() // Redis may be gone
	}
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return fmt.Errorf("dev: %w", err)
	}
	kept := "Stopped. The campaigns stay in " + short(e.Data) + ": the next tuma dev continues them."
	if e.redis.Binary == "" {
		kept = "Stopped. The built-in Redis keeps nothing."
	}
	_, err = fmt.Fprintln(e.Out, kept)
	return err
}

const (
	readyEvery = 20 * time.Millisecond
	showEvery  = 250 * time.Millisecond
)

// The method "watch" waits until the worker is ready, prints the addresses, and shows the messages
// that arrive. It returns nil when ctx ends, and an error if redis-server or the worker has ended.
// The channel "ended" gets one value when the worker ends. The caller of the method also waits for
// a value from this channel. So after the method has received the value, it sends another value for
// the caller.
func (e *environment) watch(ctx context.Context, wk *worker.Worker, ended chan error) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	serving := false
	for {
		select {
		case err := <-ended:
			ended <- nil
			if err == nil && ctx.Err() == nil {
				err = errors.New("the worker has ended")
			}
			return ignoreStop(ctx, err)
		case <-e.redis.Done():
			return errors.New("redis-server has ended: " + e.redis.LastLine())
		case <-ctx.Done():
			e.arrivals.show(true)
			_, err := fmt.Fprintln(e.Out, "\nStopping: the worker finishes its calls.")
			return err
		case <-tick.C:
		}
		switch {
		case serving:
			e.arrivals.show(false)
		case wk.Ready(ctx) == nil:
			serving = true
			tick.Reset(showEvery)
			if err := e.greet(); err != nil {
				return err
			}
		}
	}
}

// The method "close" stops the sandbox and Redis, and unlocks the folder.
func (e *environment) close() error {
	var errs []error
	if e.server != nil {
		e.gateway.Close()
		errs = append(errs, e.server.Close())
	}
	if e.redis != nil {
		errs = append(errs, e.redis.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}
