package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// arrows lists the uses of names between the files of a package: which file uses a name that another file
// declares.
type arrows struct {
	files []string     // base names, sorted
	uses  [][][]string // uses[a][b] are the names declared in file b that file a uses, sorted
}

// The method "count" returns the number of arrows.
func (a arrows) count() int {
	n := 0
	for from := range a.files {
		for to := range a.files {
			if len(a.uses[from][to]) > 0 {
				n++
			}
		}
	}
	return n
}

// The method "upwards" returns how many arrows lead to a file that is earlier in the order.
func (a arrows) upwards(order []int) int {
	n := 0
	for place, from := range order {
		for _, to := range order[:place] {
			if len(a.uses[from][to]) > 0 {
				n++
			}
		}
	}
	return n
}

// inCircles returns the number of arrows between files that use each other, directly or through
// other files.
func (a arrows) inCircles() int {
	n := 0
	for _, group := range a.groups() {
		for _, from := range group {
			for _, to := range group {
				n += a.arrow(from, to)
			}
		}
	}
	return n
}

// listed is a package in the form that "go list -json" prints.
type listed struct {
	Dir, ImportPath, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// arrowsOf returns the arrows of the package in a folder. It runs "go list", which compiles the
// imported packages that are not in the build cache.
func arrowsOf(folder string) (arrows, error) {
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=Dir,ImportPath,Export,GoFiles,DepOnly", ".")
	cmd.Dir = filepath.FromSlash(folder)
	// Cgo is off, as in all other builds of CI, so that their build cache is used.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return arrows{}, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	exports := map[string]string{} // maps an import path to the file with the export data of the package
	var own listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return arrows{}, fmt.Errorf("go list: %w", err)
		}
		if exports[p.ImportPath] = p.Export; !p.DepOnly {
			own = p
		}
	}
	texts := map[string]string{}
	for _, name := range own.GoFiles {
		text, err := os.ReadFile(filepath.Join(own.Dir, name))
		if err != nil {
			return arrows{}, err
		}
		texts[name] = string(text)
	}
	return resolve(own.ImportPath, texts, func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

// resolve type-checks the files of a package and returns their arrows. The parameter "path" is the
// import path of the package. The map "texts" has the text of each file by its base name. The
// function "export" opens the export data of an imported package.
func resolve(path string, texts map[string]string, export importer.Lookup) (arrows, error) {
	var a arrows
	set := token.NewFileSet()
	number := map[string]int{} // maps a base name to the index of the file in a.files
	var parsed []*ast.File
	for name := range texts {
		a.files = append(a.files, name)
	}
	slices.Sort(a.files)
	for i, name := range a.files {
		file, err := parser.ParseFile(set, name, texts[name], parser.SkipObjectResolution)
		if err != nil {
			return arrows{}, err
		}
		number[name] = i
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: importer.ForCompiler(set, "gc", export)}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	pkg, err := config.Check(path, set, parsed, info)
	if err != nil {
		return arrows{}, err
	}
	a.uses = make([][][]string, len(a.files))
	for i := range a.uses {
		a.uses[i] = make([][]string, len(a.files))
	}
	for ident, used := range info.Uses {
		if !declaredByFile(used, pkg) {
			continue
		}
		from, to := number[set.Position(ident.Pos()).Filename], number[set.Position(used.Pos()).Filename]
		if from != to {
			a.uses[from][to] = append(a.uses[from][to], used.Name())
		}
	}
	for _, row := range a.uses {
		for to := range row {
			slices.Sort(row[to])
			row[to] = slices.Compact(row[to])
		}
	}
	return a, nil
}

// declaredByFile reports whether the object "used" is a package-level name of pkg, or a method of one of its
// types. Methods of interfaces also count.
func declaredByFile(used types.Object, pkg *types.Package) bool {
	if used.Pkg() != pkg {
		return false // a predeclared name of Go such as "len" has no package, so used.Pkg() is nil
	}
	if used.Parent() == pkg.Scope() {
		return true
	}
	f, ok := used.(*types.Func)
	return ok && f.Signature().Recv() != nil
}
