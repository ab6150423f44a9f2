package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// skippedFile is the CSV file of skipped recipients. It is written under a temporary name, is
// renamed once complete, and never replaces an existing file. Methods of a nil skippedFile do nothing.
type skippedFile struct {
	name  string
	file  *os.File
	sheet *console.CSVSheet
}

// skippedHeader is the header of the file.
var skippedHeader = []string{"row", "input", "reason", "code", "line"}

// resolveSkippedFile applies --rejects, the deprecated name of --skipped-file. It returns an error if
// both are given and name different files.
func (s *sendCommand) resolveSkippedFile(f *pflag.FlagSet) error {
	if !f.Changed("rejects") {
		return nil
	}
	name, err := f.GetString("rejects")
	if err != nil {
		return err
	}
	if f.Changed("skipped-file") && name != s.skippedFile {
		return misuse("--rejects is the deprecated name of --skipped-file, but they name different files: use only --skipped-file")
	}
	s.skippedFile = name
	s.note("tuma: warning: --rejects is deprecated: use --skipped-file")
	return nil
}

// openSkippedFile creates the file of --skipped-file under a temporary name. It returns nil if the
// flag is not set.
func (s *sendCommand) openSkippedFile() (*skippedFile, error) {
	if s.skippedFile == "" {
		return nil, nil
	}
	if _, err := os.Lstat(s.skippedFile); err == nil {
		return nil, misuse("--skipped-file: %s already exists: remove it or choose another name", s.skippedFile)
	}
	file, err := os.CreateTemp(filepath.Dir(s.skippedFile), ".tuma-skipped-*")
	if err != nil {
		return nil, misuse("--skipped-file: %w", err)
	}
	r := &skippedFile{name: s.skippedFile, file: file, sheet: console.NewCSVSheet(file)}
	if err := r.sheet.Row(skippedHeader...); err != nil {
		return nil, errors.Join(err, r.close(false))
	}
	return r, nil
}

// add writes one skipped recipient.
func (r *skippedFile) add(x producer.SkippedRecipient) error {
	if r == nil {
		return nil
	}
	if err := r.sheet.Row(strconv.Itoa(x.Row), x.Input, x.Reason, x.Code, strconv.Itoa(x.Line)); err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	return nil
}

// close renames the temporary file to its final name if complete is true, and removes it otherwise.
func (r *skippedFile) close(complete bool) error {
	if r == nil {
		return nil
	}
	err := r.sheet.Flush()
	err = errors.Join(err, r.file.Close())
	if complete && err == nil {
		// Unlike a rename, a link never replaces an existing file.
		if err = os.Link(r.file.Name(), r.name); err != nil && !errors.Is(err, fs.ErrExist) {
			err = r.renameWithoutLink()
		}
	}
	if err := os.Remove(r.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	return nil
}

// renameWithoutLink renames the temporary file to its final name on file systems without hard
// links.
func (r *skippedFile) renameWithoutLink() error {
	if _, err := os.Lstat(r.name); err == nil {
		return fs.ErrExist
	}
	return os.Rename(r.file.Name(), r.name)
}
