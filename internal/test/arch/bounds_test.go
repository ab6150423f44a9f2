package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// These are the largest permitted sizes, in product code and in tests. fileLines and functionLines are numbers of
// lines, including comments and blank lines. exportedMethods and allMethods are numbers of methods of one type.
//
// A function may be longer if more than half of its lines are one composite literal, such as a table. If the literal
// contains functions, the lines of their bodies are not lines of the literal. In product code, the methods of a type
// include the methods of embedded types of the same package.
const (
	fileLines       = 400
	functionLines   = 60
	exportedMethods = 45
	allMethods      = 60
)

// boundException allows one file, function or type to exceed a bound.
type boundException struct {
	// The field "what" holds the path of a file, or the folder and name of a function or type, e.g. "worker
	// Worker.Run".
	what   string
	atMost int    // the largest permitted size; lower it when the size falls, and never raise it
	unit   string // the unit of atMost: "lines", "methods" or "exported methods"
	why    string // the reason for the exception
}

var boundExceptions = []boundException{
	{"internal/ledger/prelude.lua", 497, "lines", "Redis runs it in front of each script, as one chunk"},
}

func TestSizes_WithinTheBounds(t *testing.T) {
	t.Parallel()
	var files []parsed
	for file := range goFiles(t) {
		files = append(files, file)
	}
	sizes := append(sizesOf(files), scriptSizes(t)...)
	if len(sizes) < 1000 {
		t.Errorf("found only %d sizes of files, functions and types, want at least 1000: the test reads the wrong folder", len(sizes))
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

// refuseSizes returns a message for each size above its bound that no exception allows. It also returns a
// message for each exception that is not needed or has no reason.
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
