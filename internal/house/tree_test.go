// Package house holds the rules of the house as tests: who may import whom, what
// an importer of the library links, and what every file and name owes its reader.
// The linter holds some of them too; these need nothing but Go.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/tuma-sms/tuma"
)

// sources are the files of the tree that people write, by their path from the
// root with forward slashes.
func sources(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What is built, and what a version control or an editor keeps.
		if entry.IsDir() && name != "." && (entry.Name() == "bin" || entry.Name() == "tmp" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() && slices.Contains(extensions, path.Ext(name)) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no %v under %s: the check looks at nothing", extensions, root)
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// list asks go list, in a directory, for packages and whatever they depend on.
func list(t *testing.T, dir string, patterns ...string) map[string]pkg {
	t.Helper()
	args := append([]string{"list", "-deps", "-json=ImportPath,Name,Standard,Imports,Deps,Module"}, patterns...)
	packages := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(goCommand(t, dir, args...))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// goCommand runs the go command and returns what it printed.
func goCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	// As others build it; and what CI has compiled already need not be compiled again.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
