package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// outputFile is a file that is written under a temporary name and renamed once it is complete. It never
// replaces an existing file. close does nothing for a nil outputFile.
type outputFile struct {
	*os.File
	name string
}

// newOutputFile creates the file that the given flag names. It returns nil if the name is empty.
func newOutputFile(flag, name string) (*outputFile, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // nil stands for no file
	}
	if _, err := os.Lstat(name); err == nil {
		return nil, misuse("%s: %s already exists: remove it or choose another name", flag, name)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".tuma-output-*")
	if err != nil {
		return nil, misuse("%s: %w", flag, err)
	}
	return &outputFile{File: file, name: name}, nil
}

// close renames the temporary file to its final name if complete is true, and removes it otherwise.
func (f *outputFile) close(complete bool) error {
	if f == nil {
		return nil
	}
	err := f.Close()
	if complete && err == nil {
		// Unlike a rename, a link never replaces an existing file.
		if err = os.Link(f.File.Name(), f.name); err != nil && !errors.Is(err, fs.ErrExist) {
			err = f.renameWithoutLink()
		}
	}
	if err := os.Remove(f.File.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	return nil
}

// renameWithoutLink renames the temporary file to its final name on file systems without hard links.
func (f *outputFile) renameWithoutLink() error {
	if _, err := os.Lstat(f.name); err == nil {
		return fs.ErrExist
	}
	return os.Rename(f.File.Name(), f.name)
}
