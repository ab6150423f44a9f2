package main

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// measured is one size of a file, a function or a type, together with the largest permitted size.
type measured struct {
	what        string // the path of the file, or "FOLDER NAME" for a function or type
	size, bound int
	unit        string // "lines", "methods" or "exported methods"
}

// sizesOf returns the sizes of files, and of the functions and types in them.
func sizesOf(files []parsed) []measured {
	var sizes []measured
	for _, file := range files {
		sizes = append(sizes, measured{file.name, file.set.File(file.FileStart).LineCount(), fileLines, "lines"})
		for _, decl := range file.Decls {
			sizes = append(sizes, functionSizes(file, decl)...)
		}
	}
	return append(sizes, typeSizes(files)...)
}

// functionSizes returns the number of lines of the function or method in a declaration. If the
// declaration is about variables, it returns the number of lines of each function in their
// values. It leaves out a function if more than half of its lines are a table.
func functionSizes(file parsed, decl ast.Decl) []measured {
	var sizes []measured
	add := func(n ast.Node, name string) {
		if lines := file.lines(n); 2*tableLines(file, n) <= lines {
			sizes = append(sizes, measured{path.Dir(file.name) + " " + name, lines, functionLines, "lines"})
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d) + "." + name
		}
		add(d, name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				ast.Inspect(v, func(n ast.Node) bool {
					f, ok := n.(*ast.FuncLit)
					if ok {
						add(f, v.Names[0].Name)
					}
					return !ok
				})
			}
		}
	}
	return sizes
}

// The method "lines" returns the number of lines of the node n, from its first line to its last line.
func (p parsed) lines(n ast.Node) int {
	return p.set.Position(n.End()).Line - p.set.Position(n.Pos()).Line + 1
}

// tableLines returns the number of lines of the longest composite literal in a function. If the
// literal contains functions, the lines of their bodies do not count.
func tableLines(file parsed, function ast.Node) int {
	longest := 0
	ast.Inspect(function, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines := file.lines(table)
		ast.Inspect(table, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncLit)
			if ok {
				lines -= max(0, file.lines(f)-2)
			}
			return !ok
		})
		longest = max(longest, lines)
		return true
	})
	return longest
}

// typeMethods holds the names of the methods that a type declares, and the types that it embeds.
type typeMethods struct {
	names  map[string]bool
	embeds []*typeMethods
}

// The method "collect" adds the methods of the type to the map "names". It also adds the methods of all types
// that this type embeds, directly or through other types. The map "seen" has the types that were added already.
func (m *typeMethods) collect(names map[string]bool, seen map[*typeMethods]bool) {
	if seen[m] {
		return
	}
	seen[m] = true
	maps.Copy(names, m.names)
	for _, e := range m.embeds {
		e.collect(names, seen)
	}
}

// packageTypes maps "FOLDER NAME" to the type with that name in the folder.
type packageTypes map[string]*typeMethods

// The method "of" returns the type with the given name in the package of a file. It adds the type to p if p
// does not have the type.
func (p packageTypes) of(file parsed, name string) *typeMethods {
	key := path.Dir(file.name) + " " + name
	if strings.HasSuffix(file.Name.Name, "_test") {
		key = path.Dir(file.name) + " (package " + file.Name.Name + ") " + name
	}
	if p[key] == nil {
		p[key] = &typeMethods{names: map[string]bool{}}
	}
	return p[key]
}

// The method "declare" adds the facts in a type declaration: the methods of an interface, and the types that a
// struct or an interface embeds. Types embedded in test files are left out.
func (p packageTypes) declare(file parsed, s *ast.TypeSpec) {
	var members []*ast.Field
	contract, isInterface := s.Type.(*ast.InterfaceType)
	if isInterface {
		members = contract.Methods.List
	} else if record, ok := s.Type.(*ast.StructType); ok {
		members = record.Fields.List
	}
	declared := p.of(file, s.Name.Name)
	for _, m := range members {
		switch name := typeName(m.Type); {
		case len(m.Names) > 0 && isInterface:
			declared.names[m.Names[0].Name] = true
		case len(m.Names) == 0 && name != "" && !isTest(file.name):
			declared.embeds = append(declared.embeds, p.of(file, name))
		}
	}
}

// typeSizes returns, for each type that the files declare, the number of its exported methods and
// the number of all its methods.
func typeSizes(files []parsed) []measured {
	types := packageTypes{}
	for _, file := range files {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					types.of(file, receiver(d)).names[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						types.declare(file, s)
					}
				}
			}
		}
	}
	var sizes []measured
	for _, what := range slices.Sorted(maps.Keys(types)) {
		names := map[string]bool{}
		types[what].collect(names, map[*typeMethods]bool{})
		exported := 0
		for name := range names {
			if ast.IsExported(name) {
				exported++
			}
		}
		sizes = append(sizes, measured{what, exported, exportedMethods, "exported methods"}, measured{what, len(names), allMethods, "methods"})
	}
	return sizes
}

// sizesProduct and sizesTest are a product file and a test file of one package. TestSizes_AreMeasured
// measures them.
const sizesProduct = `package x
type Big struct {
	*small
	other.Kind
	Next Far
}
func (b *Big) One() {}
func (b *Big) two() {}
func (b *Big) named() {
	_ = 1
}
type small struct { Contract }
func (s small) two() {}
func (s small) Three() {}
type Contract interface { Four(); five() }
type Far struct{}
func (f Far) Six() {}
type Box[T any] struct{ small }
func (b Box[T]) Seven() {}
var handler = map[string]func(){
	"a": func() {
		_ = 1
	},
}
var table = []int{
	1,
	2,
}
`
const sizesTest = `package x
type rig struct{ Big }
func (r rig) Eight() {}
func TestTable(t *testing.T) {
	for _, c := range []int{
		1,
		2,
		3,
		4,
	} {
		_ = c
	}
}
func TestSteps(t *testing.T) {
	for _, step := range []func(){
		func() {
			_ = 1
		},
	} {
		step()
	}
}
`

func TestSizes_AreMeasured(t *testing.T) {
	t.Parallel()
	var got []string
	for _, m := range sizesOf([]parsed{parse(t, "f/x.go", sizesProduct), parse(t, "f/x_test.go", sizesTest)}) {
		if m.size > 1 || strings.HasSuffix(m.what, ".go") {
			got = append(got, fmt.Sprintf("%s has %d %s", m.what, m.size, m.unit))
		}
	}
	want := []string{
		"f/x.go has 28 lines",
		"f Big.named has 3 lines",
		"f handler has 3 lines",
		"f/x_test.go has 22 lines",
		"f TestSteps has 9 lines", // TestTable is not in this list, because most of its lines are a table
		"f Big has 3 exported methods",
		"f Big has 6 methods",
		"f Box has 3 exported methods",
		"f Box has 5 methods",
		"f Contract has 2 methods",
		"f small has 2 exported methods",
		"f small has 4 methods",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the sizes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
