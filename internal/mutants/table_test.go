package main

import (
	"go/format"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// A mutant whose text is not in the tree any more breaks nothing, and so shows nothing.
func TestEveryMutantFitsTheTree(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("%q is there twice", m.name)
		}
		names[m.name] = true
		changed, err := m.apply(root)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for file, text := range changed {
			if filepath.Ext(file) != ".go" {
				continue
			}
			if _, err := format.Source([]byte(text)); err != nil {
				t.Errorf("%s: %s is not Go any more: %v", m.name, file, err)
			}
		}
		if m.by.limit <= 0 || m.by.pkg == "" || m.by.isChaos() && m.by.want == "" {
			t.Errorf("%s: nothing is said of how it is caught: %+v", m.name, m.by)
		}
		for _, text := range []string{m.by.tests, m.by.want} {
			if _, err := regexp.Compile(text); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
}

func TestAnEditMustFitOnce(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]edit{
		"not there": {"go.mod", "no such text", "x"},
		"too often": {"go.mod", "\n", "x"},
		"no change": {"go.mod", "module github.com/tuma-sms/tuma\n", "module github.com/tuma-sms/tuma\n"},
		"no file":   {"go.none", "x", "y"},
	} {
		if _, err := (mutant{edits: []edit{e}}).apply(root); err == nil {
			t.Errorf("%s: it was applied", name)
		}
	}
	m := mutant{edits: []edit{{"go.mod", "module github.com/", "module example.com/"}, {"go.mod", "module example.com/", "module example.org/"}}}
	changed, err := m.apply(root)
	if err != nil || !strings.HasPrefix(changed["go.mod"], "module example.org/") {
		t.Errorf("two edits of a file: %v, %.40q", err, changed["go.mod"])
	}
}

func TestOnlyTheTestThatIsNamedCatches(t *testing.T) {
	t.Parallel()
	failed := exitError{}
	for _, c := range []struct {
		name, want, said string
		err              error
		is               verdict
		how              string
	}{
		{"caught", "", "--- FAIL: TestThis (0.1s)\n    this_test.go:3: wrong\nFAIL\n", failed, caught, "this_test.go:3: wrong"},
		{"a subtest", "", "--- FAIL: TestThis (0.1s)\n    --- FAIL: TestThis/x (0.1s)\n        this_test.go:3: wrong\n", failed, caught, "this_test.go:3: wrong"},
		{"passes", "", "PASS\n", nil, survived, "the tests pass"},
		{"nothing was run", "", "testing: warning: no tests to run\nPASS\n", nil, broken, "there is no such test"},
		{"another test", "", "--- FAIL: TestThisToo (0.1s)\n    this_test.go:3: wrong\n", failed, broken, "--- FAIL: TestThisToo (0.1s)"},
		{"too long", "", "panic: test timed out after 1s\n--- FAIL: TestThis (1s)\n", failed, broken, "the tests do not end"},
		{"for another reason", "twice", "--- FAIL: TestThis (0.1s)\n    this_test.go:3: no redis\n", failed, broken,
			"it fails, but not with twice: this_test.go:3: no redis"},
	} {
		f := judgeTests(catcher{pkg: "x", tests: "TestThis|TestThat", want: c.want}, c.said, c.err)
		if f.verdict != c.is || f.how != c.how {
			t.Errorf("%s: %s, %q", c.name, f.verdict, f.how)
		}
	}
}

func TestOnlyTheBrokenPromiseThatIsNamedCatches(t *testing.T) {
	t.Parallel()
	failed := exitError{}
	const broke = "BROKEN PROMISES (at most 9 of a kind):\n  kobo: c row 1 is unknown\n  kobo: it counts 3 duplicates\nlogs and files are kept in x\n"
	for _, c := range []struct {
		name, want, said string
		err              error
		is               verdict
		how              string
	}{
		{"caught", "duplicates", broke, failed, caught, "kobo: it counts 3 duplicates"},
		{"other", "lost", broke, failed, broken, "it breaks, but not with lost: kobo: c row 1 is unknown"},
		{"kept", "lost", "nothing was lost\n", nil, survived, "every promise was kept"},
		{"no run", "lost", "build tuma: no\n", failed, broken, "build tuma: no"},
	} {
		f := judgeChaos(catcher{pkg: chaosFolder, want: c.want}, c.said, c.err)
		if f.verdict != c.is || f.how != c.how {
			t.Errorf("%s: %s, %q", c.name, f.verdict, f.how)
		}
	}
}

type exitError struct{}

// Error is the error's.
func (exitError) Error() string { return "exit status 1" }
