//go:build unix

// Command chaos breaks everything on purpose and counts: real workers, a real
// redis-server and the sandbox, campaigns at all five gateways, and a seeded
// schedule of what dies, stands still, lies or forgets. At the end it holds what
// the gateways accepted against what `tuma results` says, recipient by recipient,
// and its exit status is 1 if anything that is promised was not kept.
//
//	go run ./internal/chaos -for 10m -seed 1
//
// What counts as broken: a number that a gateway accepted twice; a recipient without
// a final status, or accepted and unknown to the gateway, or refused and accepted; a
// status whose counts do not add up (I1, looked at each second); anybody unknown at
// KoboMobile while it knows its keys again (where it refuses every repeat, or repeats
// its errors, some may be); a call to somebody who opted out of a campaign that was being
// sent, if it came after `tuma optout add` was back and that had not told of it; anybody
// skipped who has not opted out; and at any gateway more unknown calls than there is a
// reason for. The reasons are two. A call was open in the ledger in the moment around
// the death or standstill of a worker or of Redis: such calls are known by their
// message_uuid, from looks just before the fault and during the third of a second
// after it (after it is over, if it is Redis'). Of all other unknown calls there may be
// at most as many as the gateway has answered in a way that leaves their outcome open,
// or whose caller had gone when the answer was ready. A connection to Redis that is
// cut, a queue that is wiped, a full Redis or a worker whose clock is wrong excuse nobody.
//
// The same seed gives the same schedule; what meets what is the machine's choice.
// Everything runs on loopback, and every process ends with this one.
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

	"github.com/tuma-sms/tuma/internal/ledger"
)

// What the accounts may do. The lease is the timeout and the worker's margin.
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
	wrongClock string // the same with a clock that can be wrong, or empty
	overlay    string
	redis      string
	fsync      string
	durability string
	keep       bool
	verbose    bool
}

func main() {
	redis.SetLogger(silent{}) // that it is away is our doing
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// silent is the log of a Redis client that is expected to fail.
type silent struct{}

// Printf says nothing.
func (silent) Printf(context.Context, string, ...any) {}

// errBroken: something that is promised was not kept.
var errBroken = errors.New("a promise was not kept")

func parse(args []string) (options, error) {
	o := options{plan: plan{workers: 3}}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.DurationVar(&o.duration, "for", 10*time.Minute, "how long to break things; then what has begun is waited for")
	f.Uint64Var(&o.seed, "seed", 1, "seed of what goes wrong, and when")
	f.BoolVar(&o.quick, "quick", false, "small campaigns, and only faults that are over soon")
	f.StringVar(&o.binary, "tuma", "", "the tuma to run (default: built from this tree)")
	f.StringVar(&o.overlay, "overlay", "", "build that tuma with this overlay of go build's: to see whether a wrong one is found out")
	f.StringVar(&o.redis, "redis", "", "an empty database of your own, redis://…, that is not killed, stopped or filled (default: a redis-server is started)")
	f.StringVar(&o.fsync, "fsync", "always", "appendfsync of the redis-server that is started: always, everysec or no")
	f.StringVar(&o.durability, "durability", "", "redis.durability (default: fsync with -fsync always, else none)")
	f.BoolVar(&o.keep, "keep", false, "keep the logs also when all went well")
	f.BoolVar(&o.verbose, "v", false, "tell of every fault as it happens")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.foreign = o.redis != ""
	if o.durability == "" {
		o.durability = "none"
		if o.fsync == "always" && !o.foreign {
			o.durability = "fsync"
		}
	}
	_, err := ledger.ParseDurability(o.durability)
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is not understood", f.Args())
	case err != nil:
		return o, fmt.Errorf("-durability %w", err)
	case o.duration < time.Second:
		return o, fmt.Errorf("-for %s is too short", o.duration)
	}
	return o, nil
}

// run is the whole command.
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
	r, err := newRig(ctx, o, dir, out)
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
		return fmt.Errorf("%w: %d findings, seed %d", errBroken, n, o.seed)
	}
	return nil
}
