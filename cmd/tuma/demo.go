package main

import (
	"bytes"
	"context"
	_ "embed" // embeds the recipients
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

// demoRecipients is a CSV file of 20,000 invented customers. TestDemoRecipients generates it.
//
//go:embed demo/recipients.csv
var demoRecipients []byte

// Settings of the demo. At demoRate the campaign takes about eight seconds. With demoLatency
// several calls are in flight at any moment, so that killing worker 1 interrupts some of the calls.
const (
	demoAccount     = "demo"
	demoRate        = "2500/s"
	demoPerCall     = 100
	demoCallTimeout = 2 * time.Second
	demoLatency     = 250 * time.Millisecond
	demoWorkers     = 2
	// demoTimeout bounds the whole demo, also on a busy machine.
	demoTimeout = 2 * time.Minute
)

func newDemo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Try Tuma on this machine, with nothing to install",
		Long: `Demo sends a campaign to 20,000 invented recipients through a simulated gateway.
Two workers send it, and the demo kills one of them (kill -9) halfway. Then it
prints the outcome of the recipients and the gateway's own counts.

The demo uses the redis-server on PATH, or else a built-in Redis. It needs no
configuration, connects to no other Redis, and removes its files at the end. If
a message was sent twice or a recipient was lost, the demo prints an error and
exits with status 1.`,
		Example: "  tuma demo",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return a.demo(ctx) }),
	}
}

// demo is one run of tuma demo.
type demo struct {
	*app
	dir       string
	gateway   *sandbox.Server
	server    *http.Server
	redis     *demoRedis
	workers   []*child
	campaign  producer.Campaign
	began     time.Time
	killed    time.Time // when worker 1 was killed; zero: not yet
	killedAt  int       // recipients that were settled at that moment
	lastSeen  int64     // repeated calls that the gateway had recognised at the last status
	recovered time.Time // when lastSeen last grew
}

func (a *app) demo(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	d := &demo{app: a, began: a.now()}
	defer func() { err = errors.Join(err, d.close()) }()
	switch err := d.run(ctx); {
	case err == nil, errors.Is(err, errDemo):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("demo: interrupted; all its files and processes are removed")
	case ctx.Err() != nil:
		return d.withWorkerLogs(fmt.Errorf("demo: not finished after %s: %w", demoTimeout, err))
	default:
		return d.withWorkerLogs(err)
	}
}

// run starts everything, sends the campaign and prints the report.
func (d *demo) run(ctx context.Context) error {
	b, err := d.start(ctx)
	if b != nil {
		defer b.Close()
	}
	if err != nil {
		return err
	}
	st, err := d.send(ctx, b)
	if err != nil {
		return err
	}
	return d.report(st)
}

// start starts Redis, the gateway and the workers. It may return a backend together with an error.
func (d *demo) start(ctx context.Context) (*backend, error) {
	var err error
	if d.dir, err = os.MkdirTemp("", "tuma-demo-*"); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if d.redis, err = startDemoRedis(ctx, d.dir); err != nil {
		return nil, err
	}
	d.gateway = sandbox.New(sandbox.Options{Latency: demoLatency})
	var address string
	if d.server, address, err = serveSandbox(ctx, d.gateway, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	d.note("redis      %s", d.redis.what)
	d.note("gateway    simulated, at http://%s, answers after %s", address, demoLatency)
	file := filepath.Join(d.dir, config.DefaultFile)
	if err := os.WriteFile(file, fmt.Appendf(nil, demoConfig, address, demoRate, demoCallTimeout, demoPerCall), 0o600); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	cfg, err := config.Parse("", nil, func(name string) (string, bool) { return d.redis.url, name == "TUMA_REDIS_URL" })
	if err != nil {
		return nil, err
	}
	b, err := openBackend(ctx, cfg, 0)
	if err != nil {
		return nil, err
	}
	for i := range demoWorkers {
		w, err := d.startWorker(i+1, file)
		if err != nil {
			return b, err
		}
		d.workers = append(d.workers, w)
		d.note("worker %d   process %d", i+1, w.PID())
	}
	return b, d.awaitWorkers(ctx, b)
}

// demoConfig is the format string of the workers' configuration.
const demoConfig = `accounts:
  ` + demoAccount + `:
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
func (d *demo) startWorker(n int, config string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	// If a variable is set twice, the last value counts. So the workers do not use the user's
	// configuration or Redis.
	env := []string{}
	for name, value := range d.env {
		env = append(env, name+"="+value)
	}
	env = append(env, "TUMA_CONFIG=", "TUMA_REDIS_URL="+d.redis.url)
	return startChild(filepath.Join(d.dir, fmt.Sprintf("worker-%d.log", n)), env, self,
		"worker", "--config", config, "--log-level", "error", "--log-format", "json")
}

// awaitWorkers waits until all workers serve the demo's account. It returns an error if a worker
// ends.
func (d *demo) awaitWorkers(ctx context.Context, b *backend) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		accounts, err := b.Accounts(ctx)
		if err != nil {
			return err
		}
		if len(accounts) == 1 && accounts[0].Workers == demoWorkers {
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

// demoList returns the built-in list of recipients.
func demoList() *recipients.List {
	return recipients.New(bytes.NewReader(demoRecipients), int64(len(demoRecipients)), recipients.Options{Name: "recipients.csv"})
}

// send enqueues the campaign and follows it until it ends. Halfway it kills a worker.
func (d *demo) send(ctx context.Context, b *backend) (producer.Status, error) {
	d.campaign = producer.Campaign{ID: "demo", Via: demoAccount, Body: "Habari! Our shop opens at 9 on Saturday. Karibu."}
	receipt, err := b.Enqueue(ctx, d.campaign, demoList().All())
	if err != nil {
		return producer.Status{}, err
	}
	d.note("campaign   %s, %d per call, %s\n", console.Plural(receipt.Total, "recipient"), demoPerCall, demoRate)
	var trouble error
	st, err := d.follow(ctx, b, receipt.ID, func(st producer.Status) bool {
		trouble = d.onStatus(st)
		return trouble != nil || st.Ended()
	})
	return st, errors.Join(err, trouble)
}

// onStatus handles one status of the campaign. It kills worker 1 when half of the recipients are
// settled, and records when the gateway last recognised a repeated call of worker 1.
func (d *demo) onStatus(st producer.Status) error {
	gateway := d.gateway.Stats()
	settled := st.Total - st.Pending
	switch {
	case d.killed.IsZero() && settled >= st.Total/2 && gateway.InFlight > demoWorkers:
		d.killed, d.killedAt = d.now(), settled
		if err := d.workers[0].kill(); err != nil {
			return fmt.Errorf("demo: kill worker 1: %w", err)
		}
		d.note("kill -9    worker 1, with %s of %s recipients settled and %s in flight",
			console.FormatInt(settled), console.FormatInt(st.Total), console.Plural(int(gateway.InFlight), "call"))
	case gateway.Replays > d.lastSeen:
		d.lastSeen, d.recovered = gateway.Replays, d.now()
	}
	last := d.workers[len(d.workers)-1]
	if last.Ended() {
		return errors.New("demo: the remaining worker has ended")
	}
	return nil
}

// withWorkerLogs adds the last line of each worker's log to err.
func (d *demo) withWorkerLogs(err error) error {
	for i, w := range d.workers {
		if tail := w.tail(); tail != "" {
			err = fmt.Errorf("%w\nworker %d: %s", err, i+1, tail)
		}
	}
	return err
}

// close ends all processes that the demo started and removes its directory.
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
		errs = append(errs, d.redis.close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}
