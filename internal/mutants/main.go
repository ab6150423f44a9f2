// Command mutants breaks Tuma on purpose, one way at a time, and demands that a test
// or a chaos run notices. Every wrong version is made with an overlay of the go
// command; the tree is never changed.
//
//	go run ./internal/mutants            # all of them
//	go run ./internal/mutants -run pause # those whose name matches
//
// What catches a mutant is run without it first, and must pass. A mutant that survives,
// that does not compile, or that is noticed by something else than is written beside it
// makes the exit status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

type options struct {
	only     *regexp.Regexp
	control  bool
	parallel int
	verbose  bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := f.String("run", "", "only those whose name matches this expression")
	f.BoolVar(&o.control, "control", true, "first see that what is to catch them passes without them")
	f.IntVar(&o.parallel, "j", 2, "how many at a time")
	f.BoolVar(&o.verbose, "v", false, "print all that is said about a mutant that was not caught as it should be")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.parallel < 1 {
		return o, fmt.Errorf("%q is not understood", args)
	}
	o.only, err = regexp.Compile(*only)
	return o, err
}

// result is what became of one mutant, or of one run without any.
type result struct {
	name, by string
	finding
	took time.Duration
}

// run is the whole command.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("where is the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "tuma-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{root: strings.TrimSpace(string(root)), dir: dir}
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !o.only.MatchString(m.name) })
	if len(chosen) == 0 {
		return errors.New("no mutant has such a name")
	}
	if o.control {
		if err := b.controls(ctx, o, chosen, out); err != nil {
			return err
		}
	}
	results := inParallel(o.parallel, chosen, func(m mutant) result {
		r := b.try(ctx, m)
		fmt.Fprintf(out, "%-8s %s (%s)\n", r.finding.word(), m.name, r.took.Round(time.Second))
		return r
	})
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	return print(out, results, o.verbose)
}

// controls runs every catcher without a mutant.
func (b *bench) controls(ctx context.Context, o options, chosen []mutant, out io.Writer) error {
	results := inParallel(o.parallel, together(chosen), func(c catcher) result {
		began := time.Now()
		r := result{name: "without a mutant", by: c.String(), finding: b.catch(ctx, c, "", "control-"+c.slug())}
		r.took = time.Since(began)
		return r
	})
	for _, r := range results {
		if r.verdict != survived {
			return fmt.Errorf("%s does not pass as it is: %s\n%s", r.by, r.how, r.said)
		}
		fmt.Fprintf(out, "passes   without a mutant: %s (%s)\n", r.by, r.took.Round(time.Second))
	}
	return nil
}

// together are the catchers of some mutants, those of one package in one.
func together(chosen []mutant) []catcher {
	var all []catcher
	for _, m := range chosen {
		i := slices.IndexFunc(all, func(c catcher) bool { return c.pkg == m.by.pkg && slices.Equal(c.args, m.by.args) })
		switch {
		case i < 0:
			all = append(all, m.by)
		case !slices.Contains(strings.Split(all[i].tests, "|"), m.by.tests):
			all[i].tests += "|" + m.by.tests
			all[i].limit += m.by.limit
		}
	}
	return all
}

// inParallel does something to each, so many at a time, and returns what came of it in order.
func inParallel[T any](n int, of []T, do func(T) result) []result {
	out := make([]result, len(of))
	free := make(chan struct{}, n)
	var running sync.WaitGroup
	for i, x := range of {
		free <- struct{}{}
		running.Go(func() {
			out[i] = do(x)
			<-free
		})
	}
	running.Wait()
	return out
}

func print(out io.Writer, results []result, verbose bool) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mutant\tcaught by\thow\ttime")
	bad := 0
	for _, r := range results {
		how := r.how
		if r.verdict != caught {
			bad++
			how = strings.ToUpper(r.finding.word()) + ": " + how
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.0f s\n", r.name, r.by, how, r.took.Seconds())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if verbose && r.verdict != caught {
			fmt.Fprintf(out, "\n%s:\n%s\n", r.name, r.said)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d were not caught as they should be", bad, len(results))
	}
	fmt.Fprintf(out, "\nAll %d were caught.\n", len(results))
	return nil
}

// try makes one mutant and runs what is to catch it.
func (b *bench) try(ctx context.Context, m mutant) (r result) {
	began := time.Now()
	r.name, r.by = m.name, m.by.String()
	defer func() { r.took = time.Since(began) }()
	name := strings.ReplaceAll(m.name, " ", "-")
	overlay, err := b.overlay(m, filepath.Join(b.dir, name))
	if err != nil {
		r.finding = finding{verdict: broken, how: err.Error()}
		return r
	}
	r.finding = b.catch(ctx, m.by, overlay, name)
	return r
}
