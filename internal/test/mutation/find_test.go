package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The function "tree" returns a file system in memory. The parameter "pairs" has the name of each
// file, followed by its text.
func tree(pairs ...string) fs.FS {
	out := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return out
}

func TestApply_FindsTheSnippet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree fs.FS
		edit edit
		file string
		want string
	}{
		"white space and comments do not count": {tree("p/a.go", "package p\n\nvar x = f( // why\n\t1,\n\t2)\n"),
			edit{"p/a.go", "f(1, 2)", "f(2, 1)"}, "p/a.go", "package p\n\nvar x = f(2, 1)\n"},
		"another file": {tree("p/a.go", "package p\n", "p/b.go", "package p\n\nvar x = f(1)\n"),
			edit{"p/a.go", "f(1)", "f(2)"}, "p/b.go", "package p\n\nvar x = f(2)\n"},
		"a file that is gone": {tree("p/b.go", "package p\n\nvar x = f(1)\n"),
			edit{"p/a.go", "f(1)", "f(2)"}, "p/b.go", "package p\n\nvar x = f(2)\n"},
		"the named file wins": {tree("p/a.go", "package p\n\nvar x = f(1)\n", "p/b.go", "package p\n\nvar y = f(1)\n"),
			edit{"p/b.go", "f(1)", "f(2)"}, "p/b.go", "package p\n\nvar y = f(2)\n"},
		"tests are left out": {tree("p/a_test.go", "package p\n\nvar x = f(1)\n", "p/b.go", "package p\n\nvar y = f(1)\n"),
			edit{"p/a.go", "f(1)", "f(2)"}, "p/b.go", "package p\n\nvar y = f(2)\n"},
		"renamed, and so is the replacement": {tree("p/a.go", "package p\n\nfunc f() { good, err := s.take(1, nil) }\n"),
			edit{"p/a.go", "ok, err := x.claim(1, nil)", "ok, err := x.claim(len(ok.claim), nil)"}, "p/a.go",
			"package p\n\nfunc f() { good, err := s.take(len(good.take), nil) }\n"},
		"a method and a variable with one name": {tree("p/a.go", "package p\n\nfunc f() { claim, err := s.take(1) }\n"),
			edit{"p/a.go", "claim, err := s.claim(1)", "claim, err := s.claim(2)"}, "p/a.go", "package p\n\nfunc f() { claim, err := s.take(2) }\n"},
		"a package of the standard library": {tree("p/a.go", "package p\n\nimport \"time\"\n\nvar a, b = x.Now(), time.Now()\n"),
			edit{"p/a.go", "time.Now()", "time.Time{}"}, "p/a.go", "package p\n\nimport \"time\"\n\nvar a, b = x.Now(), time.Time{}\n"},
		"Lua": {tree("p/a.lua", "-- one\nlocal function three() return redis.call('GET', KEYS[1]) end --[[ two\n]] three()\n"),
			edit{"p/b.lua", "return redis.call('GET', KEYS[1]) end\none()", "return redis.call('GET', KEYS[2]) end\none()"}, "p/a.lua",
			"-- one\nlocal function three() return redis.call('GET', KEYS[2]) end\nthree()\n"},
	} {
		changed, err := mutant{edits: []edit{c.edit}}.apply(newSource(c.tree))
		if err != nil || len(changed) != 1 || changed[c.file] != c.want {
			t.Errorf("%s: apply = %q, %v; want one changed file, %s: %q", name, changed, err, c.file, c.want)
		}
	}
}

func TestApply_SnippetMustFitOnce(t *testing.T) {
	t.Parallel()
	code := "package p\n\nimport \"time\"\n\nvar a, b, c = f(1), f(1), time.Now()\n\nfunc g() { x, y := y, x }\n"
	for name, c := range map[string]struct{ old, new, want string }{
		"nowhere":                     {"f(2)", "x", "fits nowhere"},
		"twice":                       {"f(1)", "x", "p/a.go:5, p/a.go:5"},
		"no change":                   {"time.Now()", "time.Now()", "must change something"},
		"no code":                     {"// only a comment", "x", "must contain code"},
		"half a string":               {`"ti`, "x", "must not begin or end within a string"},
		"half a string to write":      {"time.Now()", `"x`, "must not begin or end within a string"},
		"two names for one":           {"p, p := p, p", "x", "fits nowhere"},
		"a name of the library":       {"time.Later()", "x", "fits nowhere"},
		"a predeclared name":          {"nil(1)", "x", "fits nowhere"},
		"a keyword":                   {"if g() {", "x", "fits nowhere"},
		"longer than all of the code": {code + code, "x", "fits nowhere"},
	} {
		_, err := mutant{edits: []edit{{"p/a.go", c.old, c.new}}}.apply(newSource(tree("p/a.go", code)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: apply: error %v; want an error that contains %q", name, err, c.want)
		}
	}
	if _, err := (mutant{edits: []edit{{"go.mod", "x", "y"}}}).apply(newSource(tree("go.mod", "x"))); err == nil {
		t.Error("apply changed go.mod; want an error, because the file is neither Go nor Lua")
	}
}

func TestApply_EditsOfOneMutantShareRenames(t *testing.T) {
	t.Parallel()
	code := tree("p/a.go", "package p\n\nfunc newName() { first(1) }\n\nfunc other() { second(2) }\n")
	m := mutant{edits: []edit{{"p/a.go", "func oldName() { first(1)", "func oldName() { first(2)"}, {"p/a.go", "second(2)", "oldName()"}}}
	changed, err := m.apply(newSource(code))
	if want := "package p\n\nfunc newName() { first(2) }\n\nfunc other() { newName() }\n"; err != nil || changed["p/a.go"] != want {
		t.Errorf("apply = %q, %v; want the second replacement to use the name from the first snippet: %q", changed, err, want)
	}
	m.edits[1].old = "first(1) }"
	if _, err := m.apply(newSource(code)); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("edits that overlap: apply: error %v; want an error that contains \"overlap\"", err)
	}
}

func TestCommon_LeavesOutRenamesThatDiffer(t *testing.T) {
	t.Parallel()
	a, b := identifier{"a", false}, identifier{"b", true}
	all := common([]renames{{a: "x"}, {a: "y", b: "z"}, {a: "x", b: "z"}})
	if want := (renames{b: "z"}); !maps.Equal(all, want) {
		t.Errorf("common = %v; want %v", all, want)
	}
}

// scanLua must recognise every kind of token in the scripts. So the text between two tokens must
// be only white space and comments.
func TestScanLua_TokensCoverTheScripts(t *testing.T) {
	t.Parallel()
	var scripts []string
	for _, folder := range []string{"internal/*", "ratelimit"} {
		found, err := filepath.Glob(filepath.Join(root, folder, "*.lua"))
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	if len(scripts) < 30 {
		t.Fatalf("found %d scripts, want all of the ledger, the rooms cut from it and the limiter: %q", len(scripts), scripts)
	}
	for _, script := range scripts {
		b, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := scanLua(string(b))
		if err != nil {
			t.Errorf("%s: %v", script, err)
		}
		at := 0
		for _, x := range append(tokens, token{from: len(b)}) {
			for line := range strings.Lines(string(b[at:x.from])) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
					t.Errorf("%s: scanLua passed over %q; want every text outside comments to be a token", script, line)
				}
			}
			at = x.to
		}
	}
	tokens, err := scanLua(`x=1.5e-3..[[a
b]]~="\"" --[[ y ]] ...`)
	var texts []string
	for _, x := range tokens {
		texts = append(texts, x.text)
	}
	if want := []string{"x", "=", "1.5e-3", "..", "[[a\nb]]", "~=", `"\""`, "..."}; err != nil || !slices.Equal(texts, want) {
		t.Errorf("scanLua = %q, %v; want %q", texts, err, want)
	}
}
