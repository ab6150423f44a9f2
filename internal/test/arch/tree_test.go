package main

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
	root   = "../../.."
	module = "github.com/tuma-sms/tuma"
)

// sources returns the paths of all files with the given extensions. The paths are relative to the
// root of the repository and have forward slashes. It skips the folders bin, tmp and .git.
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
		t.Fatalf("found no files with the extensions %v below %s, want at least one", extensions, root)
	}
	return found
}

// The function "read" returns the contents of a file. The parameter "name" is its path from the
// root.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pkg is a package in the form that "go list -json" prints.
type pkg struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// The function "list" runs "go list" in the directory dir. It returns the packages that match the
// patterns, and all packages on which they depend, by import path.
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

// goCommand runs the command go in the directory dir, and returns its standard output. The test
// fails if the command fails.
func goCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	// Cgo is off, as in all other builds of CI, so that their build cache is used.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
