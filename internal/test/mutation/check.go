package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// checkAll finds the places of the chosen mutants and builds the Go packages that they change. It
// runs no tests. The build fails if a replacement uses a name that the code no longer has.
func (b *bench) checkAll(ctx context.Context, o options, chosen []mutant, out io.Writer) error {
	results := inParallel(o.parallel, chosen, func(m mutant) result {
		began := time.Now()
		r := result{name: m.name, by: m.by.String(), finding: b.check(ctx, m)}
		r.took = time.Since(began)
		return r
	})
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	bad := 0
	for _, r := range results {
		if r.verdict == broken {
			bad++
			fmt.Fprintf(out, "%s: %s\n", r.name, r.how)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants do not fit or do not compile: correct their entries in internal/test/mutation/table*.go; "+
			"a replacement may use a name that was renamed", bad, len(results))
	}
	fmt.Fprintf(out, "All %d mutants fit and compile.\n", len(results))
	return nil
}

// The method "check" returns the verdict "survived" if the mutant m fits the code and compiles,
// and "broken" otherwise.
func (b *bench) check(ctx context.Context, m mutant) finding {
	dir := filepath.Join(b.dir, m.slug())
	overlay, changed, err := b.overlay(m, dir)
	if err != nil {
		return finding{verdict: broken, how: err.Error()}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var packages []string
	for file := range changed {
		// go build embeds Lua scripts without loading them, so only packages with changed Go
		// files are built. TestMutants_ScriptsLoad loads the scripts.
		if p := "./" + path.Dir(file); path.Ext(file) == ".go" && !slices.Contains(packages, p) {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 {
		return finding{verdict: survived}
	}
	output, err := command(ctx, b.root, "go", append([]string{"build", "-overlay", overlay}, packages...)...)
	if err != nil {
		return finding{verdict: broken, how: "does not compile: " + strings.ReplaceAll(compileErrors(output), dir+string(filepath.Separator), ""), output: output}
	}
	return finding{verdict: survived}
}

// compileErrors returns the lines of the Go command's output that report an error.
func compileErrors(output string) string {
	var out []string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return "no output"
	}
	return strings.Join(out, "; ")
}
