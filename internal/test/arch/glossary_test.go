package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// code matches text between backquotes, such as a name in the last column of the glossary.
var code = regexp.MustCompile("`([^`]+)`")

// The function "declared" returns the names that Go files declare, exported or not: types, functions, constants and
// variables, and fields and methods as "Type.Member". It reads the files whose paths match the parameter "pattern".
func declared(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[methodOf(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					declareSpec(s, names)
				}
			}
		}
	}
	return names
}

// methodOf returns the receiver's type and a dot, as in "Type.", for a method, and "" for a
// function.
func methodOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// declareSpec adds the names in a constant, variable or type declaration to the map "names".
func declareSpec(s ast.Spec, names map[string]bool) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		var fields *ast.FieldList
		switch x := s.Type.(type) {
		case *ast.StructType:
			fields = x.Fields
		case *ast.InterfaceType:
			fields = x.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, n := range f.Names {
				names[s.Name.Name+"."+n.Name] = true
			}
		}
	}
}

// sourceFiles returns a set with the base name and the path from the root of each Go and Lua file.
func sourceFiles(t *testing.T) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	err := filepath.WalkDir("../../..", func(name string, _ fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err == nil && (ext == ".go" || ext == ".lua") {
			files[filepath.Base(name)] = true
			files[strings.TrimPrefix(filepath.ToSlash(name), "../../../")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestGlossary_NamesExist checks the last column of docs/glossary.md. Each Go type, field, function
// or file in this column must exist.
func TestGlossary_NamesExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	files := sourceFiles(t)
	packages := map[string]map[string]bool{}
	for _, folder := range []string{"sms", "ratelimit", "providers", "producer", "worker", "internal/campaign", "internal/accounts", "internal/optout", "internal/attempts", "internal/ledger", "internal/planning", "internal/queue", "internal/hours"} {
		packages[filepath.Base(folder)] = declared(t, filepath.Join("../../..", folder, "*.go"))
	}
	checked := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 5 {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			name := m[1]
			pkg, member, _ := strings.Cut(name, ".")
			known, isPackage := packages[pkg]
			_, err := os.Stat(filepath.Join("../../..", name))
			switch {
			case strings.Contains(name, ":"): // this is a Redis key, which the test of the schema's documentation checks
			case isPackage && known[member], files[name], err == nil, packages["ledger"][name], packages["worker"][name]:
				checked++
			default:
				t.Errorf("docs/glossary.md names %s, which does not exist: correct the name", name)
			}
		}
	}
	if checked < 30 {
		t.Errorf("checked only %d names of docs/glossary.md, want at least 30: the columns of its table may have changed", checked)
	}
}
