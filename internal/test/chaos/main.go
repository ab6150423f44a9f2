//go:build unix

// Command chaos tests Tuma's guarantees under faults. It starts real workers, two processes `tuma
// serve`, a real redis-server and the sandbox, and sends campaigns through all five gateways.
// Meanwhile it injects faults from a seeded schedule: processes are killed or stopped, connections
// are cut, gateways answer wrongly. At the end it compares what the gateways accepted and reported
// with the campaigns' results, recipient by recipient. Its exit status is 1 if it finds a broken
// promise.
//
//	go run ./internal/test/chaos -for 10m -seed 1
//
// These are broken promises:
//   - A gateway accepted a number twice.
//   - A recipient has no final status.
//   - A recipient is accepted in the results, but the gateway never accepted its number.
//   - A recipient is rejected or skipped in the results, but the gateway accepted its number.
//   - The counts of a campaign's status do not add up to its recipients (I1, checked once a
//     second).
//   - A recipient is unknown at a gateway with idempotency keys, while this gateway repeats its first
//     answer to an accepted call and handles the repeat of a failed call as a new call. While the
//     gateway also repeats errors, or refuses repeats, recipients may be unknown.
//   - A call to a recipient arrived after the recipient's opt-out had returned, and the
//     opt-out had not reported that call as in flight. Some opt-outs are a STOP in a callback. Such an
//     opt-out has returned when the callback has its 2xx. Then chaos reads the calls in flight from
//     the ledger.
//   - A recipient is skipped, but it has not opted out.
//   - A gateway has more unknown calls than the two excuses below allow.
//
// The sandbox reports deliveries. Africa's Talking posts its reports to one of the processes `tuma serve` at
// random: delayed, out of order, some twice, some before the answer to the call, some with a changed ID,
// some never. It posts a report again until it gets an answer below 500. `tuma serve` polls KoboMobile and
// TextConnect for delivery reports. With -serve=false, the run leaves out delivery reports, incoming messages
// and the HTTP API. These are broken promises, too:
//   - A final report got a 2xx, and the results have another status at the end.
//   - A recipient is delivered or undelivered, and the gateway reports another final status, or none.
//   - A recipient that was delivered or undelivered has another status later (some results are read
//     each second), or a campaign's count of delivered or of undelivered recipients falls.
//   - A gateway gets more requests for reports within one second, at any moment, than report_rate.
//   - `tuma serve` answers a callback with anything but a 2xx or a 5xx.
//
// The sandbox also forwards messages of subscribers, each twice and out of order, until they get a 2xx. Some
// are STOP or START. These are broken promises:
//   - A message that got a 2xx is not in the inbox, or any message is there twice or changed.
//   - A message got its 2xx before the first post of another message, and is behind it in the inbox.
//   - The sender of a STOP that got a 2xx is not on the suppression list, or is still on it after a START.
//
// Every third campaign of a gateway, and single messages, are enqueued over the HTTP API. Three clients post
// each campaign or message with its ID as the Idempotency-Key. They repeat the request until they get a 2xx.
// These are broken promises:
//   - Two clients get different receipts, or a client gets a 4xx other than 409 and 429.
//   - A campaign or message does not exist exactly once, with that receipt.
//
// The first excuse: the call was open in the ledger when a worker or Redis was killed or
// stopped, or Redis' answers were held back. Chaos knows these calls by their idempotency keys.
// It reads the open calls just before the fault and for a third of a second after the fault. If the
// fault hits Redis, it reads them for a third of a second after Redis is back.
//
// The second excuse: the gateway answered in a way that leaves the outcome open, or the worker
// had closed the connection before the answer. Chaos counts these calls at each gateway. The
// unknown calls without the first excuse must not be more than this count.
//
// A cut connection to Redis, a wiped queue, a full Redis or a worker with a wrong clock excuses
// no unknown call.
//
// The same seed gives the same schedule. Which calls a fault hits depends on the machine.
// Everything runs on loopback, and chaos ends every process that it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// The settings of the accounts and the gateways. A worker's lease on a call is callTimeout
// plus leaseMargin, the margin that the worker adds. A call has at most perCall recipients.
// A drained worker must end within drainsWithin.
const (
	callTimeout  = 2 * time.Second
	leaseMargin  = 3 * time.Second
	perCall      = 20
	concurrency  = 4
	latency      = 250 * time.Millisecond
	slowLatency  = 1200 * time.Millisecond
	drainsWithin = 90 * time.Second
)

type options struct {
	plan
	binary     string
	wrongClock string // the path of a tuma whose clock can be wrong; empty if the run did not build it
	overlay    string
	redis      string
	fsync      string
	durability string
	keep       bool
	verbose    bool
}

func main() {
	redis.SetLogger(silent{}) // discard the client's log: it would report each time that chaos makes Redis unavailable
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// silent is a logger for the Redis client that discards every message.
type silent struct{}

// Printf implements the logger's method and prints nothing.
func (silent) Printf(context.Context, string, ...any) {}

// errBroken means that the run found a broken promise.
var errBroken = errors.New("broken promises")

func parse(args []string) (options, error) {
	o := options{plan: plan{workers: 3}}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.DurationVar(&o.duration, "for", 10*time.Minute, "how long to inject faults; afterwards chaos waits for the campaigns to end")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the schedule of faults")
	f.BoolVar(&o.quick, "quick", false, "small campaigns, and only short faults")
	f.StringVar(&o.binary, "tuma", "", "path of the tuma binary to run (default: built from this tree)")
	f.StringVar(&o.overlay, "overlay", "", "file for go build's -overlay when chaos builds tuma, e.g. to check that chaos finds a mutant")
	f.StringVar(&o.redis, "redis", "", "URL of an empty database, redis://…, whose server is not killed, stopped or filled (default: chaos starts a redis-server)")
	f.StringVar(&o.fsync, "fsync", "always", "appendfsync of the redis-server that chaos starts: always, everysec or no")
	f.StringVar(&o.durability, "durability", "", "redis.durability (default: fsync with -fsync always, else none)")
	serve := f.Bool("serve", true, "run tuma serve, with delivery reports, messages of subscribers and clients of the HTTP API")
	f.BoolVar(&o.keep, "keep", false, "keep the logs even if no promise is broken")
	f.BoolVar(&o.verbose, "v", false, "print every fault when it is injected")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.foreign = o.redis != ""; *serve {
		o.serves = serveProcesses
	}
	if o.durability == "" {
		o.durability = "none"
		if o.fsync == "always" && !o.foreign {
			o.durability = "fsync"
		}
	}
	_, err := script.ParseDurability(o.durability)
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected arguments %q: chaos takes only flags", f.Args())
	case err != nil:
		return o, fmt.Errorf("-durability %w", err)
	case o.duration < time.Second:
		return o, fmt.Errorf("-for %s: must be at least 1s", o.duration)
	}
	return o, nil
}

// The function "run" runs the command with its arguments and prints to out. Its error wraps errBroken if a promise
// was broken.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if o.keep || errors.Is(err, errBroken) {
			fmt.Fprintln(out, "logs and files are kept in", dir)
			return
		}
		os.RemoveAll(dir)
	}()
	if err := o.buildAll(ctx, dir, out); err != nil {
		return err
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	r, err := newChaosRun(ctx, o, dir, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	report, err := r.play(ctx)
	if err != nil {
		return err
	}
	report.print(out)
	if n := len(report.breaches); n > 0 {
		return fmt.Errorf("%w: %d found, seed %d", errBroken, n, o.seed)
	}
	return nil
}
