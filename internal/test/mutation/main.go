// Command mutation builds wrong versions of Tuma, called mutants. Each mutant must make a test or a
// chaos run fail. The command fails if that test or run passes. It builds mutants with the Go
// command's flag -overlay and never changes the source tree.
//
//	go run ./internal/test/mutation            # all mutants
//	go run ./internal/test/mutation -run pause # the mutants whose name matches
//	go run ./internal/test/mutation -check     # only build the mutants, without tests
//
// Each mutant names its catcher: the tests or the chaos run that must fail because of the mutant.
// The command first runs the catchers without a mutant. In this run all catchers must pass. The
// exit status is 1 in each of these cases:
//
//   - a mutant survives: its catcher passes
//   - the edits of a mutant do not fit the code
//   - a mutant does not compile
//   - a catcher fails, but not in the way that the table expects for the mutant
//
// To find the place of an edit, the command compares tokens. So a mutant still fits after changes
// of comments or white space, after renames of identifiers, and after moves of code within its
// folder (see find.go). Run -check after a large rename, because a replacement may use an old name
// that its snippet does not contain.
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
	check    bool
	control  bool
	parallel int
	verbose  bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := f.String("run", "", "run only mutants whose name matches this `expression`")
	f.BoolVar(&o.check, "check", false, "only build the mutants, without tests")
	f.BoolVar(&o.control, "control", true, "first run the tests and chaos without a mutant; they must pass")
	f.IntVar(&o.parallel, "j", 2, "number of mutants at a time, at least 1")
	f.BoolVar(&o.verbose, "v", false, "print the whole output for mutants that were not caught")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: choose mutants with -run expression", f.Arg(0))
	}
	if o.parallel < 1 {
		return o, fmt.Errorf("-j must be at least 1, not %d", o.parallel)
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run must be a regular expression: %w", err)
	}
	return o, nil
}

// result is the finding for one mutant, or for one catcher that ran without a mutant.
type result struct {
	name, by string
	finding
	took time.Duration
}

// run parses the parameter "args", which is the command line without the program's name, and runs
// the chosen mutants. It writes its report to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "tuma-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{root: strings.TrimSpace(string(root)), dir: dir}
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !o.only.MatchString(m.name) })
	if len(chosen) == 0 {
		return errors.New("-run must match the name of at least one mutant")
	}
	if o.check {
		return b.checkAll(ctx, o, chosen, out)
	}
	if o.control {
		if err := b.controls(ctx, o, chosen, out); err != nil {
			return err
		}
	}
	results := inParallel(o.parallel, chosen, func(m mutant) result {
		r := b.try(ctx, m)
		fmt.Fprintf(out, "%-8s %s (%s)\n", r.verdict, m.name, r.took.Round(time.Second))
		return r
	})
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	return print(out, results, o.verbose)
}

// controls runs the catchers of the chosen mutants without a mutant. It returns an error if a
// catcher fails.
func (b *bench) controls(ctx context.Context, o options, chosen []mutant, out io.Writer) error {
	results := inParallel(o.parallel, together(chosen), func(c catcher) result {
		began := time.Now()
		r := result{name: "without a mutant", by: c.String(), finding: b.catch(ctx, c, "", "control-"+c.slug())}
		r.took = time.Since(began)
		return r
	})
	for _, r := range results {
		if r.verdict != survived {
			return fmt.Errorf("%s fails without a mutant: %s\n%s", r.by, r.how, r.output)
		}
		fmt.Fprintf(out, "passes   without a mutant: %s (%s)\n", r.by, r.took.Round(time.Second))
	}
	return nil
}

// The function "together" returns the catchers of the chosen mutants. It merges catchers that have
// the same package and the same arguments.
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

// inParallel calls the function do() for each element of the slice, at most n calls at the same time, and returns
// the results in the order of the elements.
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

// print writes the table of results to out. If the parameter "verbose" is true, it also writes the
// whole output for each mutant that was not caught. It returns an error if any mutant was not caught.
func print(out io.Writer, results []result, verbose bool) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mutant\tcaught by\thow\ttime")
	bad := 0
	for _, r := range results {
		how := r.how
		if r.verdict != caught {
			bad++
			how = strings.ToUpper(string(r.verdict)) + ": " + how
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.0f s\n", r.name, r.by, how, r.took.Seconds())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if verbose && r.verdict != caught {
			fmt.Fprintf(out, "\n%s:\n%s\n", r.name, r.output)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants were not caught", bad, len(results))
	}
	fmt.Fprintf(out, "\nAll %d mutants were caught.\n", len(results))
	return nil
}

// The method "try" builds the mutant m and runs its catcher.
func (b *bench) try(ctx context.Context, m mutant) (r result) {
	began := time.Now()
	r.name, r.by = m.name, m.by.String()
	defer func() { r.took = time.Since(began) }()
	overlay, _, err := b.overlay(m, filepath.Join(b.dir, m.slug()))
	if err != nil {
		r.finding = finding{verdict: broken, how: err.Error()}
		return r
	}
	r.finding = b.catch(ctx, m.by, overlay, m.slug())
	return r
}
