// Command readme follows Markdown files word by word, like a person with a new home folder.
// It runs the commands in these files in new shells, including
// "git clone". It fails at the first command whose status or output differs from the
// text. In commands, files and expected output it replaces loopback ports by free ports.
// Run it in the root of the repository.
//
//	go run ./internal/test/readme README.md docs/campaigns.md
package main

import (
	"context"
	"errors"
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
	if len(args) == 0 {
		return errors.New("usage: readme FILE [FILE ...]")
	}
	var steps []step
	for _, page := range args {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		more, err := parse(page, string(text))
		if err != nil {
			return err
		}
		steps = append(steps, more...)
	}
	ci, err := os.ReadFile(filepath.Join(".ci", "run"))
	if err != nil {
		return err
	}
	if err := goCaches(ctx); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tuma-readme-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	tree := filepath.Join(scratch, "tree")
	if err := copyTree(tree, os.DirFS(".")); err != nil {
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
