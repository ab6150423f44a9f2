// Package house checks the source tree with tests: which folder may import what, what
// a program that embeds producer links, which names need comments, how long a file may
// be, and which packages must check for goroutine leaks. The checks need only Go.
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

// sources returns the paths of the files with these extensions, from the root of the
// repository, with forward slashes. It skips build output and .git.
func sources(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
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
		t.Fatalf("found no %v files below %s", extensions, root)
	}
	return found
}

// read returns the contents of a file, named by its path from the root.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pkg is a package as go list -json prints it.
type pkg struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// list runs go list in a directory and returns the packages that match the patterns
// and their dependencies, by import path.
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

// goCommand runs the go command in a directory and returns its standard output.
func goCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	// Without cgo, as CI builds everything else, so that its build cache is used.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
