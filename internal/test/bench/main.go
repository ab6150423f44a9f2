//go:build unix

// Command bench compares Tuma with a bare loop, the program that a developer would write
// without Tuma. Both read a CSV of recipients, make calls of 500 recipients to a sandbox
// without latency, and write a CSV of results. The sandbox is a separate process. Both run in
// turn, several times. Only ratios and medians count, because the speed of a machine varies.
// For other measurements, the first argument is a name: api, file, flow, messages, optout,
// personal, reports or tracing.
//
//	go run ./internal/test/bench -n 1000000 -rounds 3
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
)

type options struct {
	n, rounds, concurrency int
	aof                    bool
	dir                    string
	// pollInterval is how often the bench polls a running round. A longer interval costs less, and
	// a shorter interval adds less to the measured time.
	pollInterval time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	// The bench also starts itself in these roles, each as a separate process.
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(ctx, args[1:])
		}
	}
	o := options{pollInterval: 10 * time.Millisecond}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.n, "n", 1_000_000, "recipients")
	f.IntVar(&o.rounds, "rounds", 3, "number of rounds")
	f.IntVar(&o.concurrency, "concurrency", 8, "calls in flight, for Tuma and for the bare loop")
	f.BoolVar(&o.aof, "aof", true, "run redis with an append-only file (everysec), as production needs")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	return compare(ctx, o)
}

// The function "compare" runs the bare loop and Tuma in turn and prints medians.
func compare(ctx context.Context, o options) error {
	file := filepath.Join(o.dir, "recipients.csv")
	if err := writeRecipients(file, o.n); err != nil {
		return err
	}
	gateway, err := startRole("sandbox", filepath.Join(o.dir, "sandbox.addr"))
	if err != nil {
		return err
	}
	defer gateway.end()
	url, err := gateway.address(ctx)
	if err != nil {
		return err
	}
	redis, err := startRedis(ctx, o)
	if err != nil {
		return err
	}
	defer redis.end()

	var bare, tuma []figures
	for i := range o.rounds {
		b, err := runBare(ctx, o, url, file)
		if err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
		t, err := runTuma(ctx, o, url, file, redis, fmt.Sprintf("bench-%d", i), "500", "")
		if err != nil {
			return fmt.Errorf("tuma: %w", err)
		}
		fmt.Printf("round %d: bare %.2f s (%.2f CPU-s), tuma %.2f s (%.2f CPU-s), ratio %.2f\n",
			i+1, b.wall.Seconds(), b.cpu.Seconds(), t.wall.Seconds(), t.cpu.Seconds(), t.wall.Seconds()/b.wall.Seconds())
		bare, tuma = append(bare, b), append(tuma, t)
	}
	report(o, bare, tuma)
	return nil
}

// figures are the figures of one run of Tuma or of the bare loop.
type figures struct {
	wall, results                    time.Duration
	cpu                              time.Duration // the CPU time of all processes except the sandbox
	producerCPU, workerCPU, redisCPU time.Duration
	sandboxCPU                       time.Duration
	producerPeak, workerPeak         int64 // bytes
	redisPeak, redisIdle             int64 // used_memory, bytes
	enqueued                         time.Duration
}

func report(o options, bare, tuma []figures) {
	wall := func(f figures) time.Duration { return f.wall }
	ratios := make([]float64, len(bare))
	for i := range bare {
		ratios[i] = tuma[i].wall.Seconds() / bare[i].wall.Seconds()
	}
	slices.Sort(ratios)
	most := func(of func(figures) int64) int64 {
		var m int64
		for _, f := range tuma {
			m = max(m, of(f))
		}
		return m
	}
	b, t := median(bare, wall), median(tuma, wall)
	fmt.Printf("\n%d recipients, 500 a call, %d calls in flight, append-only file %v, medians of %d rounds\n", o.n, o.concurrency, o.aof, o.rounds)
	fmt.Printf("  bare loop                %8.2f s   %6.2f CPU-s   peak %4d MB\n", b.Seconds(),
		median(bare, func(f figures) time.Duration { return f.cpu }).Seconds(), bare[0].producerPeak>>20)
	fmt.Printf("  tuma, CSV to done        %8.2f s   %6.2f CPU-s\n", t.Seconds(), median(tuma, func(f figures) time.Duration { return f.cpu }).Seconds())
	fmt.Printf("    producer               %8.2f s   %6.2f CPU-s   peak %4d MB\n", median(tuma, func(f figures) time.Duration { return f.enqueued }).Seconds(),
		median(tuma, func(f figures) time.Duration { return f.producerCPU }).Seconds(), most(func(f figures) int64 { return f.producerPeak })>>20)
	fmt.Printf("    worker                              %6.2f CPU-s   peak %4d MB\n",
		median(tuma, func(f figures) time.Duration { return f.workerCPU }).Seconds(), most(func(f figures) int64 { return f.workerPeak })>>20)
	fmt.Printf("    redis                               %6.2f CPU-s   peak %5.1f bytes a recipient\n",
		median(tuma, func(f figures) time.Duration { return f.redisCPU }).Seconds(),
		float64(most(func(f figures) int64 { return f.redisPeak - f.redisIdle }))/float64(o.n))
	fmt.Printf("  results as CSV, after it%8.2f s\n", median(tuma, func(f figures) time.Duration { return f.results }).Seconds())
	fmt.Printf("  ratio                    %8.2f   (target: at most 4)\n", ratios[len(ratios)/2])
}

func median(all []figures, of func(figures) time.Duration) time.Duration {
	v := make([]time.Duration, len(all))
	for i, f := range all {
		v[i] = of(f)
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// writeRecipients writes a CSV of n distinct Kenyan numbers in national form. It must use little memory, because the
// kernel counts memory of the parent for a child process. The reported peak of a child is at least the memory of the
// bench when the child started.
func writeRecipients(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	_, err = w.WriteString("name,phone\n")
	for i := range n {
		// A step that is coprime to the range gives distinct numbers.
		_, e := fmt.Fprintf(w, "Customer %d,07%08d\n", i, (10_000_000+i*7919)%30_000_000)
		err = errors.Join(err, e)
	}
	return errors.Join(err, w.Flush(), f.Close())
}

// child is a child process of the bench.
type child struct {
	*process.Process
	addressFile string // file to which a sandbox writes its address
}

// The method "end" stops the process with SIGTERM and waits for its end.
func (c *child) end() {
	_ = c.Signal(syscall.SIGTERM) // an error does not matter, because the process may have ended already
	_ = c.Wait()                  // the exit status of the process does not matter
}

func startRole(args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	p, err := process.Start(cmd)
	return &child{Process: p, addressFile: args[1]}, err
}

func (c *child) address(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for tick := time.Tick(5 * time.Millisecond); ; {
		if b, err := os.ReadFile(c.addressFile); err == nil && len(b) > 0 {
			return string(b), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for %s: %w", c.addressFile, ctx.Err())
		case <-tick:
		}
	}
}

func (c *child) usage() (cpu time.Duration, peak int64) {
	s := c.State()
	if s == nil {
		return 0, 0
	}
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		peak = maxRSS(u)
	}
	return s.UserTime() + s.SystemTime(), peak
}
