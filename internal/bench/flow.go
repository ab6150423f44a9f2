//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// flowCase is one thing that is measured of how work flows. It prints its figures and
// returns the bounds that were broken.
type flowCase struct {
	name string
	run  func(context.Context, flowOptions) ([]string, error)
}

// flowCases in the order in which they run.
var flowCases = []flowCase{
	{"rate", measureRates}, {"kill", measureKill}, {"change", measureChange}, {"fair", measureFair}, {"behind", measureBehind},
	{"hang", measureHang}, {"idle", measureIdle}, {"latency", measureLatency}, {"pause", measurePauses},
}

type flowOptions struct {
	lasts   time.Duration
	workers []int
	rates   []int
	times   int
	dir     string
	// binary is the tuma that is measured, traced one that tells of its limiter's grants.
	binary, traced string
}

// flowRole measures rates, fairness and control: real workers, a real redis-server,
// and the sandbox, whose log of calls has the last word. Its exit status is 1 if a
// bound was broken, and the last lines say which.
//
//	go run ./internal/bench flow -for 30s -cases rate -workers 4 -rates 500
func flowRole(ctx context.Context, args []string) error {
	o := flowOptions{workers: []int{1, 4, 16}, rates: []int{50, 500, 2000, 5000}}
	names := make([]string, len(flowCases))
	for i, c := range flowCases {
		names[i] = c.name
	}
	f := flag.NewFlagSet("bench flow", flag.ContinueOnError)
	f.DurationVar(&o.lasts, "for", 30*time.Second, "how long each is measured")
	f.IntVar(&o.times, "times", 100, "how many pauses, and campaigns of one message")
	cases := f.String("cases", strings.Join(names, ","), "what to measure")
	f.Func("workers", "how many workers share a rate (default 1,4,16)", intList(&o.workers))
	f.Func("rates", "messages a second; 5000 goes 500 a call, the others one (default 50,500,2000,5000)", intList(&o.rates))
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-flow-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir, o.binary, o.traced = dir, filepath.Join(dir, "tuma"), filepath.Join(dir, "tuma-traced")
	if err := buildBoth(ctx, o); err != nil {
		return err
	}
	var broken []string
	for name := range strings.SplitSeq(*cases, ",") {
		i := slices.Index(names, name)
		if i < 0 {
			return fmt.Errorf("-cases: there is no %q; there is %q", name, names)
		}
		found, err := flowCases[i].run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, b := range found {
			broken = append(broken, name+": "+b)
		}
	}
	if len(broken) > 0 {
		return errors.New("broken bounds:\n  " + strings.Join(broken, "\n  "))
	}
	fmt.Println("\nall bounds were kept")
	return nil
}

func intList(to *[]int) func(string) error {
	return func(s string) error {
		*to = nil
		for part := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no list of numbers", s)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// buildBoth builds tuma twice: as it is, and with a limiter's script that also writes
// down what it grants.
func buildBoth(ctx context.Context, o flowOptions) error {
	overlay, err := tracedScript(ctx, o.dir)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"-o", o.binary}, {"-o", o.traced, "-overlay", overlay}} {
		args = append(append([]string{"build"}, args...), module+"/cmd/tuma")
		if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("build tuma: %w\n%s", err, output)
		}
	}
	return nil
}

const module = "github.com/tuma-sms/tuma"

// bounds collects what was broken.
type bounds struct{ broken []string }

// hold notes a bound that is not kept.
func (b *bounds) check(ok bool, format string, args ...any) {
	if !ok {
		b.broken = append(b.broken, fmt.Sprintf(format, args...))
	}
}
