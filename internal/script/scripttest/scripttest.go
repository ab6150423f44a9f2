// Package scripttest checks the Lua files of a package against the Go code that runs them.
package scripttest

import (
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	// namedArguments matches the line in which a script names its arguments, or the arguments of one
	// item of a list. In settle_and_claim.lua it matches the line that names the positions of the
	// arguments within an item.
	namedArguments = regexp.MustCompile(`(?m)^ *local ([a-zA-Z_,\s]+?) = (?:unpack\(ARGV|1, 2, 3)`)
	namedInHeader  = regexp.MustCompile(`(?m)^--   ([a-z_]+)(?:  .*)?$`)
	rawArgument    = regexp.MustCompile(`ARGV\[\d+\]`)
	preludeLocal   = regexp.MustCompile(`(?m)^local (?:function )?([A-Za-z_0-9, ]+)`)
)

// Arguments checks each script in the parameter "files". The first comment and the code of the script
// give names to the arguments. These must be the names of the fields of the script's structs, in the
// same order. The parameter "structs" has the structs of each script, by the script's name, in
// the order in which the script uses them. A script without an entry in "structs" takes no
// arguments, or only lists without names. The parameter "prelude" is the source in front of the
// scripts. An argument must not have the name of a local of the prelude.
func Arguments(t *testing.T, files fs.FS, prelude string, structs map[string][]any) {
	t.Helper()
	shared := map[string]bool{}
	for _, m := range preludeLocal.FindAllStringSubmatch(prelude, -1) {
		for name := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			shared[name] = true
		}
	}
	for name, source := range sources(t, files) {
		if name == "prelude" {
			continue
		}
		if len(structs[name]) == 0 && strings.Contains(source, "unpack(ARGV") {
			t.Errorf("%s.lua takes arguments: the test must pass the struct of these arguments", name)
			continue
		}
		if raw := rawArgument.FindString(source); raw != "" {
			t.Errorf("%s.lua reads %s: at its beginning, the script must assign its arguments to named variables", name, raw)
		}
		s := signature{name, namedArguments.FindAllStringSubmatch(source, -1), headerNames(source)}
		s.check(t, structs[name], shared)
	}
	for name := range structs {
		if _, err := fs.Stat(files, name+".lua"); err != nil {
			t.Errorf("the test names a script that does not exist: %v", err)
		}
	}
}

// SameNames checks that every Lua file in the folder of the test has a Go file with the same
// name beside it. Files in the parameter "exempt" are not checked.
func SameNames(t *testing.T, files fs.FS, exempt ...string) {
	t.Helper()
	for name := range sources(t, files) {
		if slices.Contains(exempt, name) {
			continue
		}
		if _, err := os.Stat(name + ".go"); err != nil {
			t.Errorf("%s.lua has no Go file with the same name: %v", name, err)
		}
	}
}

// sources returns the Lua files by their names without ".lua".
func sources(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	names, err := fs.Glob(files, "*.lua")
	if err != nil || len(names) == 0 {
		t.Fatalf("list scripts: %v, %v", names, err)
	}
	out := map[string]string{}
	for _, n := range names {
		b, err := fs.ReadFile(files, n)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(path.Base(n), ".lua")] = string(b)
	}
	return out
}

// headerNames returns the arguments that the first comment of a script describes.
func headerNames(source string) (out []string) {
	top, _, _ := strings.Cut(source, "\nlocal ")
	for _, m := range namedInHeader.FindAllStringSubmatch(top, -1) {
		out = append(out, m[1])
	}
	return out
}

// signature holds the names that the code and the first comment of a script give to its arguments.
type signature struct {
	script string
	named  [][]string // one match of namedArguments for each list of arguments
	header []string
}

func (s signature) check(t *testing.T, structs []any, shared map[string]bool) {
	t.Helper()
	if len(s.named) != len(structs) {
		t.Errorf("%s.lua names %d lists of arguments, want one for each of the %d structs", s.script, len(s.named), len(structs))
		return
	}
	header := s.header
	for i, x := range structs {
		want := fieldNames(x)
		got := strings.FieldsFunc(strings.ToLower(s.named[i][1]), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		if !slices.Equal(got, want) {
			t.Errorf("%s.lua names its arguments\n%v; want the fields of %T:\n%v", s.script, got, x, want)
		}
		if len(header) < len(want) || !slices.Equal(header[:len(want)], want) {
			t.Errorf("the comment of %s.lua describes the arguments\n%v; want\n%v", s.script, header, want)
		} else {
			header = header[len(want):]
		}
		for _, n := range got {
			if shared[n] {
				t.Errorf("%s.lua: the argument %s hides a local of the prelude", s.script, n)
			}
		}
	}
}

// fieldNames returns the names of a struct's fields as scripts write them: IdempotencyKey is
// idempotency_key.
func fieldNames(s any) (out []string) {
	for f := range reflect.TypeOf(s).Fields() {
		var b strings.Builder
		lower := false // whether the letter before is in lower case
		for _, r := range f.Name {
			if lower && unicode.IsUpper(r) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
			lower = unicode.IsLower(r)
		}
		out = append(out, b.String())
	}
	return out
}
