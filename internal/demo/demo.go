// Package demo runs Tuma on one machine: a Redis, a simulated gateway and two workers. It kills one
// worker while a campaign to 20,000 invented recipients is sent. Then it compares the outcome of
// the recipients with the messages that the gateway accepted.
package demo

import (
	"bytes"
	"context"
	_ "embed" // embeds the recipients
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/localredis"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// recipientsCSV is a CSV file of 20,000 invented customers. TestRecipients generates it.
//
//go:embed recipients.csv
var recipientsCSV []byte

// These are the settings of the demo. With this rate the campaign takes about eight seconds. With
// this latency of the gateway several calls are in flight at any moment, so that killing worker 1
// interrupts some calls.
const (
	accountName = "demo"
	rate        = "2500/s"
	perCall     = 100
	callTimeout = 2 * time.Second
	latency     = 250 * time.Millisecond
	workerCount = 2
	// Timeout is the time limit of the whole demo. It is long enough for a busy machine.
	Timeout = 2 * time.Minute
)

// Options has the values that the calling program passes to a demo.
type Options struct {
	// Out gets the report.
	Out io.Writer
	// Note prints one line about the progress of the demo.
	Note func(format string, args ...any)
	// Follow shows the progress of a campaign until the function "enough" returns true for a
	// status of the campaign. Follow returns that status.
	Follow func(ctx context.Context, client *producer.Client, id string, enough func(producer.Status) bool) (producer.Status, error)
	// Environ is the environment of the worker processes, in the form of os.Environ. Run adds
	// the URL of the demo's Redis.
	Environ []string
	// Now is the clock.
	Now func() time.Time
}

// demo is one run.
type demo struct {
	Options
	dir       string
	gateway   *simulator.Server
	server    *http.Server
	redis     *localredis.Server
	workers   []*child
	campaign  producer.Campaign
	began     time.Time
	killed    time.Time // when worker 1 was killed; zero before that
	killedAt  int       // the number of settled recipients when worker 1 was killed
	lastSeen  int64     // the number of repeated calls that the gateway had recognised at the last call of onStatus
	recovered time.Time // when lastSeen last grew
}

// Run runs the demo. The workers are processes of this executable, which must be tuma. Run returns
// an error if a message was sent twice, a recipient was lost, or the demo did not end within
// Timeout. When Run returns, the processes of the demo have ended and its files are removed.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	d := &demo{Options: o, began: o.Now()}
	defer func() { err = errors.Join(err, d.close()) }()
	switch err := d.run(ctx); {
	case err == nil, errors.Is(err, errFailed):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("demo: interrupted; its processes have ended, and its files are removed")
	case ctx.Err() != nil:
		return d.withWorkerLogs(fmt.Errorf("demo: not finished after %s: %w", Timeout, err))
	default:
		return d.withWorkerLogs(err)
	}
}

// The method "run" starts all parts, sends the campaign and prints the report.
func (d *demo) run(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: d.redis.Address})
	defer rdb.Close()
	client, err := producer.New(rdb)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // it always returns nil
	if err := d.awaitWorkers(ctx, client); err != nil {
		return err
	}
	st, err := d.send(ctx, client)
	if err != nil {
		return err
	}
	return d.report(st)
}

// The method "start" starts Redis, the gateway and the workers.
func (d *demo) start(ctx context.Context) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "tuma-demo-*"); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if d.redis, err = localredis.Start(ctx, localredis.Options{Dir: d.dir}); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	address, err := d.startGateway(ctx)
	if err != nil {
		return err
	}
	if d.redis.Binary != "" {
		d.Note("redis      %s, process %d, at %s", d.redis.Binary, d.redis.PID(), d.redis.Address)
	} else {
		d.Note("redis      built-in, at %s: %s", d.redis.Address, d.redis.Why)
	}
	d.Note("gateway    simulated, at http://%s, answers after %s", address, latency)
	file := filepath.Join(d.dir, config.DefaultFile)
	if err := os.WriteFile(file, fmt.Appendf(nil, configFormat, address, rate, callTimeout, perCall), 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for i := range workerCount {
		w, err := d.startWorker(i+1, file)
		if err != nil {
			return err
		}
		d.workers = append(d.workers, w)
		d.Note("worker %d   process %d", i+1, w.PID())
	}
	return nil
}

// startGateway serves the simulated gateway on a free port and returns its address.
func (d *demo) startGateway(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	d.gateway = catalog.Simulate(simulator.Options{Latency: latency})
	d.server = &http.Server{Handler: d.gateway, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = d.server.Serve(listener) }() // ends with ErrServerClosed
	return listener.Addr().String(), nil
}

// configFormat is the format string of the workers' configuration.
const configFormat = `accounts:
  ` + accountName + `:
    provider: kobo
    base_url: http://%s/kobo
    user: demo
    pass: demo
    sender: TUMA
    rate: %s
    timeout: %s
    max_recipients: %d
redis: {unsafe: true}
default_country: KE
windows: off
`

// startWorker starts `tuma worker` number n as a separate process.
func (d *demo) startWorker(n int, file string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	// If a variable is set twice, the last value counts. So the workers use neither the
	// configuration nor the Redis of the user.
	env := append(slices.Clone(d.Environ), "TUMA_CONFIG=", "TUMA_REDIS_URL=redis://"+d.redis.Address+"/0")
	return startChild(filepath.Join(d.dir, fmt.Sprintf("worker-%d.log", n)), env, self,
		"worker", "--config", file, "--log-level", "error", "--log-format", "json")
}

// awaitWorkers waits until all workers serve the demo's account. It returns an error if a worker
// ends.
func (d *demo) awaitWorkers(ctx context.Context, client *producer.Client) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		accounts, err := client.Accounts(ctx)
		if err != nil {
			return err
		}
		if len(accounts) == 1 && accounts[0].Workers == workerCount {
			return nil
		}
		for i, w := range d.workers {
			if w.Ended() {
				return fmt.Errorf("demo: worker %d ended right after its start", i+1)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: wait for the workers to start: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// The function "list" returns the recipient list of the demo. The recipients are in recipientsCSV.
func list() *recipients.List {
	return recipients.New(bytes.NewReader(recipientsCSV), int64(len(recipientsCSV)), recipients.Options{Name: "recipients.csv"})
}

// The method "send" enqueues the campaign and follows it until it ends. Halfway it kills a worker.
func (d *demo) send(ctx context.Context, client *producer.Client) (producer.Status, error) {
	d.campaign = producer.Campaign{ID: "demo", Via: accountName, Body: "Habari! Our shop opens at 9 on Saturday. Karibu."}
	receipt, err := client.Enqueue(ctx, d.campaign, list().All())
	if err != nil {
		return producer.Status{}, err
	}
	d.Note("campaign   %s, %d per call, %s\n", console.Plural(receipt.Total, "recipient"), perCall, rate)
	var trouble error
	st, err := d.Follow(ctx, client, receipt.ID, func(st producer.Status) bool {
		trouble = d.onStatus(st)
		return trouble != nil || st.Ended()
	})
	return st, errors.Join(err, trouble)
}

// onStatus handles one status of the campaign. When half of the recipients are settled, it kills
// worker 1. It also records when the gateway last recognised a repeated call of worker 1.
func (d *demo) onStatus(st producer.Status) error {
	gateway := d.gateway.Stats()
	settled := st.Total - st.Pending
	switch {
	case d.killed.IsZero() && settled >= st.Total/2 && gateway.InFlight > workerCount:
		d.killed, d.killedAt = d.Now(), settled
		if err := d.workers[0].kill(); err != nil {
			return fmt.Errorf("demo: kill worker 1: %w", err)
		}
		d.Note("kill -9    worker 1, with %s of %s recipients settled and %s in flight",
			console.FormatInt(settled), console.FormatInt(st.Total), console.Plural(int(gateway.InFlight), "call"))
	case gateway.Replays > d.lastSeen:
		d.lastSeen, d.recovered = gateway.Replays, d.Now()
	}
	last := d.workers[len(d.workers)-1]
	if last.Ended() {
		return errors.New("demo: the remaining worker has ended")
	}
	return nil
}

// withWorkerLogs adds the last line of each worker's log to an error.
func (d *demo) withWorkerLogs(err error) error {
	for i, w := range d.workers {
		if tail := w.tail(); tail != "" {
			err = fmt.Errorf("%w\nworker %d: %s", err, i+1, tail)
		}
	}
	return err
}

// The method "close" ends all processes that the demo started and removes its directory.
func (d *demo) close() error {
	var errs []error
	for _, w := range d.workers {
		errs = append(errs, w.kill())
	}
	if d.server != nil {
		d.gateway.Close()
		errs = append(errs, d.server.Close())
	}
	if d.redis != nil {
		errs = append(errs, d.redis.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}
