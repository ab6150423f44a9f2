// Command readme runs the commands of a Markdown file from top to bottom, in a copy of
// the tree. It fails at the first command whose status or output differs from what the
// text expects. In commands, files and expected output it replaces loopback ports with
// free ports.
//
//	go run ./internal/test/readme README.md
package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// runWithin is the time limit of a run. A build without a cache takes most of this
// time.
const runWithin = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	err := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: readme FILE")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	steps, err := parse(string(text))
	if err != nil {
		return err
	}
	ci, err := os.ReadFile(filepath.Join(filepath.Dir(args[0]), ".ci", "run"))
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tuma-readme-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	tree := filepath.Join(scratch, "tuma")
	if err := copyTree(tree, os.DirFS(filepath.Dir(args[0]))); err != nil {
		return err
	}
	r, err := newReader(out, tree, scratch, string(ci), steps)
	if err != nil {
		return err
	}
	return r.follow(ctx, steps)
}

// copyTree copies the source files of a tree, which are all files except those in
// .git, bin and tmp.
func copyTree(to string, from fs.FS) error {
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		switch {
		case entry.IsDir() && (name == ".git" || name == "bin" || name == "tmp"):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode().Perm())
	})
}
