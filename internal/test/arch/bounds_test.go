package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The bounds are for product code and for tests. The lines of a file or a function include comments
// and blank lines. A function has no bound if a table is more than half of it. A table is a composite
// literal without the functions in it. The methods of a type include, outside tests, the methods of
// the types of its package that it embeds.
const (
	fileLines       = 400
	functionLines   = 60
	exportedMethods = 45
	allMethods      = 60
)

// boundException allows one file, function or type to exceed a bound.
type boundException struct {
	// what is the path of a file, or a folder and the name of a function or type in it, e.g.
	// "worker Worker.Run".
	what   string
	atMost int // the largest allowed size: lower it when the size falls, and never raise it
	unit   string
	why    string
}

var boundExceptions = []boundException{
	{"internal/ledger/prelude.lua", 485, "lines", "Redis runs it in front of each script, as one chunk"},
}

func TestSizes_WithinTheBounds(t *testing.T) {
	t.Parallel()
	var files []parsed
	for file := range goFiles(t) {
		files = append(files, file)
	}
	sizes := append(sizesOf(files), scriptSizes(t)...)
	if len(sizes) < 1000 {
		t.Errorf("found only %d files, functions and types: the check reads the wrong folder", len(sizes))
	}
	for _, refused := range refuseSizes(sizes, boundExceptions) {
		t.Error(refused)
	}
}

// scriptSizes returns the number of lines of each Lua file.
func scriptSizes(t *testing.T) []measured {
	t.Helper()
	var sizes []measured
	for _, name := range sources(t, ".lua") {
		sizes = append(sizes, measured{name, strings.Count(read(t, name), "\n"), fileLines, "lines"})
	}
	return sizes
}

// refuseSizes returns a message for each size that exceeds its bound without an exception, and for
// each exception that is exceeded or not needed.
func refuseSizes(sizes []measured, exceptions []boundException) []string {
	var refused []string
	needed := make([]bool, len(exceptions))
	for _, m := range sizes {
		if m.size <= m.bound {
			continue
		}
		atMost := m.bound
		if i := slices.IndexFunc(exceptions, func(e boundException) bool { return e.what == m.what && e.unit == m.unit }); i >= 0 {
			needed[i], atMost = true, exceptions[i].atMost
		}
		if m.size > atMost {
			refused = append(refused, fmt.Sprintf("%s has %d %s, and at most %d are allowed", m.what, m.size, m.unit, atMost))
		}
	}
	for i, e := range exceptions {
		if !needed[i] {
			refused = append(refused, fmt.Sprintf("%s: %s are within the bound: delete the exception", e.what, e.unit))
		}
		if e.why == "" {
			refused = append(refused, e.what+": the exception has no reason")
		}
	}
	return refused
}

func TestSizes_AboveTheBoundsAreRefused(t *testing.T) {
	t.Parallel()
	sizes := []measured{
		{"f/small.go", 400, 400, "lines"},
		{"f/long.go", 401, 400, "lines"},
		{"f/excused.go", 450, 400, "lines"},
		{"f/grown.go", 451, 400, "lines"},
		{"f Type", 61, 60, "methods"},
		{"f Type", 46, 45, "exported methods"},
	}
	got := refuseSizes(sizes, []boundException{
		{"f/small.go", 450, "lines", "reason"},
		{"f/excused.go", 450, "lines", "reason"},
		{"f/grown.go", 450, "lines", ""},
		{"f/gone.go", 450, "lines", "reason"},
		{"f Type", 61, "methods", "reason"},
	})
	want := []string{
		"f/long.go has 401 lines, and at most 400 are allowed",
		"f/grown.go has 451 lines, and at most 450 are allowed",
		"f Type has 46 exported methods, and at most 45 are allowed",
		"f/small.go: lines are within the bound: delete the exception",
		"f/grown.go: the exception has no reason",
		"f/gone.go: lines are within the bound: delete the exception",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the messages are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
