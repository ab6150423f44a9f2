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

// flowCase is one measurement of the role "flow". The function "run" prints the figures, and
// returns the bounds that the figures exceed.
type flowCase struct {
	name string
	run  func(context.Context, flowOptions) ([]string, error)
}

// flowCases are all cases, in the order in which they run by default.
var flowCases = []flowCase{
	{"rate", measureRates}, {"kill", measureKill}, {"change", measureChange}, {"fair", measureFair}, {"behind", measureBehind},
	{"hang", measureHang}, {"small", measureSmall}, {"idle", measureIdle}, {"latency", measureLatency}, {"pause", measurePauses},
}

type flowOptions struct {
	lasts   time.Duration
	workers []int
	rates   []int
	times   int
	dir     string
	// The field "binary" is the path of the measured program tuma. The field "traced" is the path of
	// a second program tuma, whose rate limiter records its grants.
	binary, traced string
}

// flowRole measures rates, fairness and control with worker processes, a redis-server and
// the sandbox. The sandbox's log of calls gives the figures. The exit status is 1 if a
// figure exceeds its bound, and the last lines list those figures.
//
//	go run ./internal/test/bench flow -for 30s -cases rate -workers 4 -rates 500
func flowRole(ctx context.Context, args []string) error {
	o := flowOptions{workers: []int{1, 4, 16}, rates: []int{50, 500, 2000, 5000}}
	names := make([]string, len(flowCases))
	for i, c := range flowCases {
		names[i] = c.name
	}
	f := flag.NewFlagSet("bench flow", flag.ContinueOnError)
	f.DurationVar(&o.lasts, "for", 30*time.Second, "how long to measure each case")
	f.IntVar(&o.times, "times", 100, "number of pauses, and of campaigns of one message")
	cases := f.String("cases", strings.Join(names, ","), "cases to measure, separated by commas")
	f.Func("workers", "numbers of workers that share a rate (default 1,4,16)", intList(&o.workers))
	f.Func("rates", "messages a second; from 5000 on, a call has 500 recipients, else one (default 50,500,2000,5000)", intList(&o.rates))
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
			return fmt.Errorf("-cases: unknown case %q; must be one of %q", name, names)
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
		return errors.New("bounds not kept:\n  " + strings.Join(broken, "\n  "))
	}
	fmt.Println("\nevery figure is within its bound")
	return nil
}

// intList returns a function that parses the value of a flag into numbers: whole numbers from 1,
// separated by commas.
func intList(numbers *[]int) func(string) error {
	return func(s string) error {
		*numbers = nil
		for part := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 {
				return fmt.Errorf("%q must be whole numbers from 1, separated by commas", s)
			}
			*numbers = append(*numbers, n)
		}
		return nil
	}
}

// buildBoth builds tuma twice: unchanged, and with a limiter script that also records its
// grants.
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

// bounds collects the bounds that the figures of a case exceed.
type bounds struct{ broken []string }

// The method "check" records the formatted message as an exceeded bound, unless the parameter
// "ok" is true.
func (b *bounds) check(ok bool, format string, args ...any) {
	if !ok {
		b.broken = append(b.broken, fmt.Sprintf(format, args...))
	}
}
