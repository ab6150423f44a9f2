package main

import (
	"go/format"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

const root = "../../.."

// Every mutant must fit the code, change it to valid Go, and have a complete entry in the table.
func TestMutants_FitTheTree(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	tree := newSource(os.DirFS(root))
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("two mutants are named %q; each name must be unique", m.name)
		}
		names[m.name] = true
		changed, err := m.apply(tree)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for file, text := range changed {
			if path.Ext(file) != ".go" {
				continue
			}
			if _, err := format.Source([]byte(text)); err != nil {
				t.Errorf("%s: %s is not valid Go: %v", m.name, file, err)
			}
		}
		if m.by.limit <= 0 || m.by.pkg == "" || m.by.isChaos() && m.by.want == "" {
			t.Errorf("%s: its catcher must have a package, a time limit and, for chaos, the expression of a broken promise; it is %+v", m.name, m.by)
		}
		for _, text := range []string{m.by.tests, m.by.want} {
			if _, err := regexp.Compile(text); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
}

// Redis must load every script that a mutant changes. Redis does not notice a variable that is not
// declared, so the test looks for such variables itself.
func TestMutants_ScriptsLoad(t *testing.T) {
	t.Parallel()
	redis := redistest.Mini(t)
	tree := newSource(os.DirFS(root))
	for _, m := range mutants {
		changes, folders, err := m.changes(tree)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		for i, c := range changes {
			if path.Ext(c.file) != ".lua" {
				continue
			}
			for _, name := range undeclared(t, folders[i], c) {
				t.Errorf("%s: its replacement for %s uses the variable %s, which is not declared: correct the replacement %q", m.name, c.file, name, m.edits[i].new)
			}
		}
		changed, err := m.apply(tree)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for file, text := range changed {
			if path.Ext(file) != ".lua" {
				continue
			}
			if err := redis.ScriptLoad(t.Context(), text).Err(); err != nil {
				t.Errorf("%s: %s does not load: %v", m.name, file, err)
			}
		}
	}
}

// undeclared returns the variables of the replacement c.text that are not declared. A variable may
// be declared in the replacement, in its file or in prelude.lua.
func undeclared(t *testing.T, f *folder, c change) (names []string) {
	t.Helper()
	tokens, err := f.scan(c.file, c.text)
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(luaDeclarations(tokens), luaDeclarations(f.tokens[c.file]), luaDeclarations(f.tokens[preludeLua]))
	for _, x := range tokens {
		if x.name && !x.member && !slices.Contains(known, x.text) {
			names = append(names, x.text)
		}
	}
	return names
}

// Every test that a catcher names must exist. Every promise that a catcher expects must be a text
// in the source of chaos.
func TestMutants_EveryCatcherExists(t *testing.T) {
	t.Parallel()
	declared := map[string][]string{}
	for _, m := range mutants {
		if m.by.isChaos() {
			continue
		}
		if declared[m.by.pkg] == nil {
			declared[m.by.pkg] = testsOf(t, m.by.pkg)
		}
		for name := range strings.SplitSeq(m.by.tests, "|") {
			if !slices.ContainsFunc(declared[m.by.pkg], regexp.MustCompile("^(?:"+name+")$").MatchString) {
				t.Errorf("%s: package %s has no test %s: correct the name in the table", m.name, m.by.pkg, name)
			}
		}
	}
	reports := textOf(t, chaosFolder, ".go")
	for _, m := range mutants {
		if !m.by.isChaos() {
			continue
		}
		for promise := range strings.SplitSeq(m.by.want, "|") {
			if written := strings.ReplaceAll(promise, `\d+`, "%d"); !strings.Contains(reports, written) {
				t.Errorf("%s: the source of chaos must contain the text %q: correct the expression in the table", m.name, promise)
			}
		}
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testsOf returns the names of the tests in a package.
func testsOf(t *testing.T, pkg string) (names []string) {
	t.Helper()
	for _, m := range testFunction.FindAllStringSubmatch(textOf(t, pkg, "_test.go"), -1) {
		names = append(names, m[1])
	}
	return names
}

// textOf returns the text of all files of a folder whose names end with the parameter "ending".
func textOf(t *testing.T, pkg, ending string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*"+ending))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no files *%s: %v", pkg, ending, err)
	}
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func TestJudgeTests_OnlyTheNamedTestCatches(t *testing.T) {
	t.Parallel()
	failed := exitError{}
	for _, c := range []struct {
		name, want, output string
		err                error
		is                 verdict
		how                string
	}{
		{"caught", "", "--- FAIL: TestThis (0.1s)\n    this_test.go:3: wrong\nFAIL\n", failed, caught, "this_test.go:3: wrong"},
		{"a subtest", "", "--- FAIL: TestThis (0.1s)\n    --- FAIL: TestThis/x (0.1s)\n        this_test.go:3: wrong\n", failed, caught, "this_test.go:3: wrong"},
		{"passes", "", "PASS\n", nil, survived, "the tests pass"},
		{"nothing was run", "", "testing: warning: no tests to run\nPASS\n", nil, broken, "no such test: the table names a test that does not exist"},
		{"another test", "", "--- FAIL: TestThisToo (0.1s)\n    this_test.go:3: wrong\n", failed, broken, "--- FAIL: TestThisToo (0.1s)"},
		{"too long", "", "panic: test timed out after 1s\n--- FAIL: TestThis (1s)\n", failed, broken, "the tests ran into their time limit"},
		{"for another reason", "twice", "--- FAIL: TestThis (0.1s)\n    this_test.go:3: no redis\n", failed, broken,
			"the tests fail, but not with twice: this_test.go:3: no redis"},
	} {
		f := judgeTests(catcher{pkg: "x", tests: "TestThis|TestThat", want: c.want}, c.output, c.err)
		if f.verdict != c.is || f.how != c.how {
			t.Errorf("%s: judgeTests = %s, %q; want %s, %q", c.name, f.verdict, f.how, c.is, c.how)
		}
	}
}

func TestJudgeChaos_OnlyTheNamedPromiseCatches(t *testing.T) {
	t.Parallel()
	failed := exitError{}
	const broke = "BROKEN PROMISES (at most 9 of a kind):\n  kobo: c row 1 is unknown\n  kobo: it counts 3 duplicates\nlogs and files are kept in x\n"
	for _, c := range []struct {
		name, want, output string
		err                error
		is                 verdict
		how                string
	}{
		{"caught", "duplicates", broke, failed, caught, "kobo: it counts 3 duplicates"},
		{"other", "lost", broke, failed, broken, "a promise is broken, but not lost: kobo: c row 1 is unknown"},
		{"kept", "lost", "nothing was lost\n", nil, survived, "every promise was kept"},
		{"no run", "lost", "build tuma: no\n", failed, broken, "build tuma: no"},
	} {
		f := judgeChaos(catcher{pkg: chaosFolder, want: c.want}, c.output, c.err)
		if f.verdict != c.is || f.how != c.how {
			t.Errorf("%s: judgeChaos = %s, %q; want %s, %q", c.name, f.verdict, f.how, c.is, c.how)
		}
	}
}

type exitError struct{}

// Error returns the text of a process that failed.
func (exitError) Error() string { return "exit status 1" }
