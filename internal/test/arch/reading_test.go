package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parsed is a parsed Go file. The field "name" is its path from the root of the repository.
type parsed struct {
	name string
	set  *token.FileSet
	*ast.File
}

// The method "at" returns the position of a node as "FILE:LINE".
func (p parsed) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", p.name, p.set.Position(n.Pos()).Line)
}

// The function "parse" parses the text of a Go file. The parameter "name" is the path of the file from the root of
// the repository.
func parse(t *testing.T, name, text string) parsed {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed{name, set, file}
}

// goFiles yields every Go file of the tree, tests included.
func goFiles(t *testing.T) iter.Seq[parsed] {
	t.Helper()
	return func(yield func(parsed) bool) {
		for _, name := range sources(t, ".go") {
			if !yield(parse(t, name, read(t, name))) {
				return
			}
		}
	}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

func TestDocComments_EveryExportedNameHasOne(t *testing.T) {
	t.Parallel()
	described := map[string]bool{} // maps a folder to true if one of its files has a package comment
	for file := range goFiles(t) {
		folder := path.Dir(file.name)
		described[folder] = described[folder] || file.Doc != nil
		if isTest(file.name) {
			continue
		}
		for _, missing := range undocumented(file) {
			t.Error(missing)
		}
	}
	for folder, ok := range described {
		if !ok {
			t.Errorf("%s: no Go file of this folder has a package comment; want one", folder)
		}
	}
}

// undocumented returns a message for each exported name of a file if the name has no comment: functions, methods,
// types, variables, constants and interface methods. It does not check fields, because many fields are clear from
// their name and type.
func undocumented(file parsed) []string {
	var missing []string
	add := func(n ast.Node, name string) {
		missing = append(missing, file.at(n)+": "+name+" is exported and has no comment")
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
				add(d, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
						add(s, s.Name.Name)
					}
					if contract, ok := s.Type.(*ast.InterfaceType); ok && s.Name.IsExported() {
						for _, m := range contract.Methods.List {
							if len(m.Names) > 0 && m.Doc == nil && m.Comment == nil {
								add(m, s.Name.Name+"."+m.Names[0].Name)
							}
						}
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
							add(s, n.Name)
						}
					}
				}
			}
		}
	}
	return missing
}

// The function "receiver" returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string { return typeName(d.Recv.List[0].Type) }

// typeName returns the name of a type of the same package, without "*" and without type arguments.
// It returns "" for a type without a name and for a type of another package.
func typeName(of ast.Expr) string {
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func TestDocComments_CheckFindsEachKindOfName(t *testing.T) {
	t.Parallel()
	file := parse(t, "bare.go", `package bare
type Shape interface { Area() float64 }
func Draw() {}
func (Point) Move() {}
func (hidden) Move() {}
const Pi = 3
var (
	Origin = 0 // Origin is the start.
	Far = 1
)
// Point is a place.
type Point struct { X int }
type hidden struct{}
`)
	var names []string
	for _, m := range undocumented(file) {
		names = append(names, strings.Fields(m)[1])
	}
	want := []string{"Shape", "Shape.Area", "Draw", "Move", "Pi", "Far"}
	if !slices.Equal(names, want) {
		t.Errorf("undocumented found %v, want %v", names, want)
	}
}

func TestNames_PackagesAndFilesAreSpecific(t *testing.T) {
	t.Parallel()
	for file := range goFiles(t) {
		for _, name := range []string{file.Name.Name, strings.TrimSuffix(filepath.Base(file.name), ".go")} {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "base"}, name) {
				t.Errorf("%s: the name %q does not describe the contents: choose a more specific name", file.name, name)
			}
		}
	}
}

// promises matches words that announce unfinished work. Each word is written in two halves, so that
// the test does not find the words in this file.
var promises = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|\b(not |un)imple` + `mented\b`)

func TestComments_NoUnfinishedWork(t *testing.T) {
	t.Parallel()
	for _, name := range sources(t, ".go", ".lua", ".md", ".yml", ".yaml", ".sh") {
		n := 0
		for line := range strings.Lines(read(t, name)) {
			n++
			if promises.MatchString(line) {
				t.Errorf("%s:%d: announces unfinished work; finish the work or file an issue: %s", name, n, strings.TrimSpace(line))
			}
		}
	}
}

// withoutSignature lists the Lua files that need no signature (KEYS, ARGV and result). prelude.lua
// is the first part of other scripts, and never runs alone.
var withoutSignature = []string{"internal/ledger/prelude.lua"}

func TestScripts_BeginWithTheirSignature(t *testing.T) {
	t.Parallel()
	for _, name := range sources(t, ".lua") {
		if slices.Contains(withoutSignature, name) {
			continue
		}
		for _, missing := range unsigned(read(t, name)) {
			t.Errorf("%s: its first comment must describe %s", name, missing)
		}
	}
}

// The function "unsigned" returns the parts of the signature (KEYS, ARGV and the result) that are missing in the
// first comment of a script.
func unsigned(script string) []string {
	var top strings.Builder
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "#!lua") {
			break
		}
		top.WriteString(line)
	}
	var missing []string
	for what, form := range map[string]string{"KEYS": `\bKEYS\b`, "ARGV": `\bARGV\b`, "the result": `(?i)\breturns?\b`} {
		if !regexp.MustCompile(form).MatchString(top.String()) {
			missing = append(missing, what)
		}
	}
	slices.Sort(missing)
	return missing
}

func TestScripts_SignatureIsTheFirstComment(t *testing.T) {
	t.Parallel()
	if got := unsigned("-- x.lua counts.\n-- KEYS: 1 a\n-- ARGV: none\n-- Returns {n}\nreturn 1\n"); len(got) > 0 {
		t.Errorf("unsigned of a complete signature = %v, want none", got)
	}
	got := unsigned("-- x.lua counts.\n-- KEYS: 1 a\nlocal n = ARGV[1]\n-- Returns {n}\nreturn n\n")
	if want := []string{"ARGV", "the result"}; !slices.Equal(got, want) {
		t.Errorf("unsigned of an incomplete signature = %v, want %v", got, want)
	}
}
