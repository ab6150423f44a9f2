package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrowRule is a rule for the package in a folder. At most one in ten arrows between its files may run upwards (see the
// package comment).
type arrowRule struct {
	folder string
	// upwards is the number of upward arrows that the folder may have. It is 0 if at most one in
	// ten arrows runs upwards, which is always allowed. Lower it when the folder gets fewer upward
	// arrows, and never raise it.
	upwards int
}

var arrowRules = []arrowRule{
	{folder: "internal/ledger"},
	{folder: "internal/dispatch"},
}

func TestArrows_RunDownwards(t *testing.T) {
	t.Parallel()
	for _, rule := range arrowRules {
		a, err := arrowsOf(filepath.Join(root, rule.folder))
		if err != nil {
			t.Fatal(err)
		}
		if len(a.files) < 3 {
			t.Errorf("%s has %d files, want at least 3: the test reads the wrong folder", rule.folder, len(a.files))
		}
		all, up := a.count(), a.upwards(a.order())
		t.Logf("%s: %d of %d arrows run upwards", rule.folder, up, all)
		if why := rule.refuse(up, all); why != "" {
			t.Errorf("%s: %d of %d arrows run upwards, %s; to list them: go run ./internal/test/arch %s", rule.folder, up, all, why, rule.folder)
		}
	}
}

// The method "refuse" returns the reason why the rule forbids the given numbers of arrows, or "" if the rule allows
// these numbers. The parameter "up" is the number of upward arrows, and the parameter "all" is the number of all
// arrows.
func (r arrowRule) refuse(up, all int) string {
	switch few := 10*up <= all; {
	case few && r.upwards > 0:
		return "which is at most one in ten: set upwards of the folder in arrowRules to 0"
	case !few && r.upwards == 0:
		return "but at most one in ten may run upwards"
	case !few && up > r.upwards:
		return fmt.Sprintf("but at most %d may run upwards", r.upwards)
	case !few && up+3 < r.upwards:
		return fmt.Sprintf("but arrowRules allows %d: lower that number to %d", r.upwards, up)
	}
	return ""
}

func TestArrowRules_RefuseTooManyUpwardArrows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, up, all int
		allowed        bool
	}{
		{0, 0, 0, true},
		{0, 10, 100, true},
		{0, 11, 100, false},
		{30, 31, 100, false},
		{30, 30, 100, true},
		{30, 27, 100, true},
		{30, 26, 100, false}, // the limit must be lowered to 26
		{30, 10, 100, false}, // the limit must be set to 0, because only one in ten arrows runs upwards
	} {
		if why := (arrowRule{upwards: c.limit}).refuse(c.up, c.all); (why == "") != c.allowed {
			t.Errorf("limit %d, %d of %d arrows upwards: refuse = %q, want allowed = %v", c.limit, c.up, c.all, why, c.allowed)
		}
	}
}

// noImports is the importer.Lookup for packages without imports. It returns an error for every path.
func noImports(path string) (io.ReadCloser, error) {
	return nil, errors.New("unexpected import of " + path)
}

func TestArrows_AreUsesOfNamesAndMethods(t *testing.T) {
	t.Parallel()
	a, err := resolve("x", map[string]string{
		"a.go": "package x\ntype T struct{ n int }\nfunc (t T) top() { t.low(); t.low(); _ = limit }",
		"b.go": "package x\nfunc (t *T) low() { t.n++ }\nvar _ shape",
		"c.go": "package x\nconst limit = 3\ntype shape interface{ area() int }",
		"d.go": "package x\nfunc measure[S interface{ shape }](s S) int { return s.area() }",
		"e.go": "package x\nvar free = 1\nfunc own(limit int) int { var n = limit; return n + free + len(\"\") }",
		"f.go": "package x\ntype box[V any] struct{ v V }\nfunc (b box[V]) open() V { return b.v }",
		"g.go": "package x\nfunc use(b struct{ box[int] }) int { return b.open() }",
	}, noImports)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, from := range a.files {
		for j, to := range a.files {
			if names := a.uses[i][j]; len(names) > 0 {
				got = append(got, from+" "+to+" "+strings.Join(names, " "))
			}
		}
	}
	want := []string{
		"a.go b.go low", "a.go c.go limit",
		"b.go a.go T", "b.go c.go shape",
		"d.go c.go area shape",
		"g.go f.go box open",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the arrows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if up := a.upwards(a.order()); up != 1 {
		t.Errorf("%d arrows run upwards, want 1: a.go and b.go use each other", up)
	}
	if _, err := resolve("x", map[string]string{"a.go": "package x\nvar _ = unknown"}, noImports); err == nil {
		t.Error("resolve of a package with an undeclared name returned no error; want one")
	}
}

// randomArrows returns n files with random arrows: at most perFile arrows lead from each file.
func randomArrows(random *rand.Rand, n, perFile int) arrows {
	a := arrows{files: make([]string, n), uses: make([][][]string, n)}
	for i := range n {
		a.files[i] = fmt.Sprintf("%02d.go", i)
		a.uses[i] = make([][]string, n)
		for range perFile {
			if j := random.IntN(n); j != i {
				a.uses[i][j] = []string{"name"}
			}
		}
	}
	return a
}

// fewestOf returns the smallest number of upward arrows. It keeps the first files of the list "order" at their
// places, and tries every order of the others. The parameter "fixed" is the number of files that it keeps.
func fewestOf(a arrows, order []int, fixed int) int {
	if fixed == len(order) {
		return a.upwards(order)
	}
	fewest := len(order) * len(order)
	for i := fixed; i < len(order); i++ {
		order[fixed], order[i] = order[i], order[fixed]
		fewest = min(fewest, fewestOf(a, order, fixed+1))
		order[fixed], order[i] = order[i], order[fixed]
	}
	return fewest
}

func TestArrowOrder_HasTheFewestUpwardArrows(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(13, 13))
	for range 200 {
		n := 1 + random.IntN(7)
		a := randomArrows(random, n, 1+random.IntN(3))
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		order := a.order()
		if got, want := a.upwards(order), fewestOf(a, slices.Clone(all), 0); got != want {
			t.Fatalf("order %v of %v has %d upward arrows, want %d", order, a.uses, got, want)
		}
		if slices.Sort(order); !slices.Equal(order, all) {
			t.Fatalf("order returned the files %v, want each index below %d once", order, n)
		}
	}
}

func TestArrowOrder_SearchEqualsTheMinimum(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(14, 14))
	for range 10 {
		a := randomArrows(random, 14, 4)
		for _, group := range a.groups() {
			searched, minimal := a.searchedOrder(group), a.minimalOrder(group)
			if a.upwards(searched) != a.upwards(minimal) {
				t.Errorf("searchedOrder has %d upward arrows, want the smallest possible number, %d", a.upwards(searched), a.upwards(minimal))
			}
			if slices.Sort(searched); !slices.Equal(searched, group) {
				t.Errorf("searchedOrder returned the files %v, want %v", searched, group)
			}
		}
	}
}

func TestArrows_RunPrintsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/x\n\ngo 1.26.0\n",
		"a.go":   "package x\nimport \"strings\"\nfunc A() { B(strings.ToUpper(C)) }",
		"b.go":   "package x\nfunc B(s string) { if s == C { A() } }",
		"c.go":   "package x\nconst C = \"c\"",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run(&out, []string{dir}); err != nil {
		t.Fatal(err)
	}
	want := "a.go\n    down: b.go c.go\nb.go\n    down: c.go\n    UP:   a.go for A\nc.go\n" +
		dir + ": 3 files, 4 arrows, 1 upwards (25 %), 2 in circles\n"
	if out.String() != want {
		t.Errorf("run printed\n%s\nwant\n%s", out.String(), want)
	}
	if err := run(io.Discard, nil); err == nil {
		t.Error("run without a folder returned no error; want one")
	}
}
