package main

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// maxTooShort is the maximum number of entries of tooShort.
const maxTooShort = 5

// tooShort lists the mutants whose snippets cannot be found after a rename, because they have too
// few tokens. It maps the name of each mutant to the reason.
var tooShort = map[string]string{}

// The test renames all identifiers and files, and removes the comments. Every mutant must still
// change the same tokens.
func TestMutants_FitAfterRenamesAndMoves(t *testing.T) {
	t.Parallel()
	if len(tooShort) > maxTooShort {
		t.Errorf("tooShort has %d mutants; want at most %d", len(tooShort), maxTooShort)
	}
	tree := newSource(os.DirFS(root))
	rewritten := newSource(rewrite(t, tree))
	for _, m := range mutants {
		if tooShort[m.name] != "" {
			continue
		}
		before, _, err := m.changes(tree)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		after, _, err := m.changes(rewritten)
		if err != nil {
			t.Errorf("%s: after renames and moves: %v", m.name, err)
			continue
		}
		for i, b := range before {
			if a := after[i]; a.file != moved(b.file) || a.first != b.first || a.last != b.last {
				t.Errorf("%s: edit %d must still change the same place after renames and moves: tokens %d to %d of %s became tokens %d to %d of %s",
					m.name, i+1, b.first, b.last, b.file, a.first, a.last, a.file)
			}
		}
	}
}

func moved(file string) string { return path.Join(path.Dir(file), "moved_"+path.Base(file)) }

// rewrite returns a copy of the folders that mutants change. In the copy, every declared identifier
// and every file is renamed, comments are removed, and white space is different. The tokens keep
// their order.
func rewrite(t *testing.T, tree *source) fs.FS {
	t.Helper()
	declared := map[string]bool{}
	for _, m := range mutants {
		for _, e := range m.edits {
			if _, err := tree.folderOf(e.file); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range tree.folders {
		for file, text := range f.texts {
			for _, name := range declarations(t, f, file, text) {
				declared[name] = true
			}
		}
	}
	out := fstest.MapFS{}
	for _, f := range tree.folders {
		for file, tokens := range f.tokens {
			text := f.texts[file]
			var b strings.Builder
			for i, x := range tokens {
				// Go ends statements at line ends, so the copy has a line end at the same places as
				// the original.
				if i > 0 && strings.Contains(text[tokens[i-1].to:x.from], "\n") {
					b.WriteString("\n\n")
				}
				if declared[x.text] && x.name {
					b.WriteString("renamed")
				}
				b.WriteString(x.text + "  ")
			}
			out[moved(file)] = &fstest.MapFile{Data: []byte(b.String())}
		}
	}
	return out
}

// declarations returns the identifiers that a file declares, including those inside functions.
func declarations(t *testing.T, f *folder, file, text string) (names []string) {
	t.Helper()
	if path.Ext(file) == ".lua" {
		return luaDeclarations(f.tokens[file])
	}
	syntax, err := parser.ParseFile(gotoken.NewFileSet(), file, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	add := func(x ast.Node) {
		if name, ok := x.(*ast.Ident); ok && name != nil {
			names = append(names, name.Name)
		}
	}
	add(syntax.Name)
	ast.Inspect(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name)
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.LabeledStmt:
			add(n.Label)
		case *ast.Field:
			for _, x := range n.Names {
				add(x)
			}
		case *ast.ValueSpec:
			for _, x := range n.Names {
				add(x)
			}
		case *ast.AssignStmt:
			if n.Tok == gotoken.DEFINE {
				for _, x := range n.Lhs {
					add(x)
				}
			}
		case *ast.RangeStmt:
			if n.Tok == gotoken.DEFINE {
				add(n.Key)
				add(n.Value)
			}
		}
		return true
	})
	return names
}

// luaDeclarations returns the names of variables, functions and parameters that a script declares.
func luaDeclarations(tokens []token) (names []string) {
	for i, x := range tokens {
		if x.text != "local" && x.text != "for" && x.text != "function" {
			continue
		}
		for _, y := range tokens[i+1:] {
			if y.name && !y.member {
				names = append(names, y.text)
			} else if !slices.Contains([]string{"function", ",", "("}, y.text) {
				break
			}
		}
	}
	return slices.Sorted(maps.Keys(set(names...)))
}
