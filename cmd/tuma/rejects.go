package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tuma-sms/tuma/producer"
)

// rejects is the file of those who are left out. It appears when it is complete, and
// never in the place of another. A nil one takes everything and keeps nothing.
type rejects struct {
	name  string
	file  *os.File
	sheet *sheet
}

var rejectsHeader = []string{"row", "input", "reason", "code", "line"}

// openRejects begins the file that --rejects names, if it does.
func (s *sending) openRejects() (*rejects, error) {
	if s.rejects == "" {
		return nil, nil
	}
	if _, err := os.Lstat(s.rejects); err == nil {
		return nil, misuse("--rejects: there is a file %s already: remove it, or name another", s.rejects)
	}
	file, err := os.CreateTemp(filepath.Dir(s.rejects), ".tuma-rejects-*")
	if err != nil {
		return nil, misuse("--rejects: %w", err)
	}
	r := &rejects{name: s.rejects, file: file, sheet: newSheet(file)}
	if err := r.sheet.row(rejectsHeader...); err != nil {
		return nil, errors.Join(err, r.close(false))
	}
	return r, nil
}

func (r *rejects) add(x producer.SkippedRecipient, line int) error {
	if r == nil {
		return nil
	}
	if err := r.sheet.row(strconv.Itoa(x.Row), x.Input, x.Reason, x.Code, strconv.Itoa(line)); err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	return nil
}

// close puts the file in its place, or away.
func (r *rejects) close(complete bool) error {
	if r == nil {
		return nil
	}
	err := r.sheet.flush()
	err = errors.Join(err, r.file.Close())
	if complete && err == nil {
		// A link, unlike a rename, takes nobody else's place.
		if err = os.Link(r.file.Name(), r.name); err != nil && !errors.Is(err, fs.ErrExist) {
			err = r.withoutLinks()
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

// withoutLinks is for file systems that have no links.
func (r *rejects) withoutLinks() error {
	if _, err := os.Lstat(r.name); err == nil {
		return fs.ErrExist
	}
	return os.Rename(r.file.Name(), r.name)
}
