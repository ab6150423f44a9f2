package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

// source is a list of recipients that can be read more than once: a file, or what
// came by a pipe and was put into one.
type source struct {
	name    string
	list    *recipients.List
	file    *os.File
	size    int64
	modTime time.Time
	// temporary: the file has to be removed when the source is closed.
	temporary bool
}

// openSource opens the file of that name; "-" or none is standard input. What
// cannot be read twice is copied to a temporary file first.
func (a *app) openSource(name string, o recipients.Options) (*source, error) {
	if name == "" || name == "-" {
		if isTerminal(a.in) {
			a.note("tuma: reading recipients from the keyboard, one number a line; end with Ctrl-D")
		}
		return spool("standard input", o, a.in)
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, misuse("there is no file %s", name)
	}
	if err != nil {
		return nil, misuse("recipients: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(misuse("recipients: %w", err), file.Close())
	case info.IsDir():
		return nil, errors.Join(misuse("%s is a directory, not a file of recipients", name), file.Close())
	case !info.Mode().IsRegular():
		s, err := spool(name, o, file)
		return s, errors.Join(err, file.Close())
	}
	s := &source{name: name, file: file}
	s.setFile(info, o)
	return s, nil
}

// spool copies a stream to a temporary file.
func spool(name string, o recipients.Options, from io.Reader) (*source, error) {
	file, err := os.CreateTemp("", "tuma-recipients-*")
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	// Where a file can go while it is open, nobody's numbers stay behind if this process is killed.
	s := &source{name: name, file: file, temporary: os.Remove(file.Name()) != nil}
	if err = copyRecipients(file, name, o, from); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep %s: %w", name, err), s.Close())
	}
	s.setFile(info, o)
	return s, nil
}

// fill copies a stream, unless its beginning shows that it is no list, or it has no end.
func copyRecipients(file *os.File, name string, o recipients.Options, from io.Reader) error {
	from = io.LimitReader(from, recipients.MaxBytes+1)
	head := make([]byte, 4<<10)
	n, err := io.ReadFull(from, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	o.Name = name
	if err := recipients.Detect(head[:n], o); err != nil {
		return misuseError{err: err}
	}
	if _, err := file.Write(head[:n]); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if _, err := io.Copy(file, from); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// is notes what the file is like, which is how it has to stay.
func (s *source) setFile(info fs.FileInfo, o recipients.Options) {
	s.size, s.modTime = info.Size(), info.ModTime()
	o.Name = s.name
	s.list = recipients.New(s.file, s.size, o)
}

// Close closes the file, and removes it if it is a temporary one that is still there.
func (s *source) Close() error {
	err := s.file.Close()
	if s.temporary {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// all yields the recipients from the beginning. If the file has changed since it
// was opened, the sequence ends in an error: a campaign ID that was derived from
// one content must not be given to another.
func (s *source) all() iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for r, err := range s.list.All() {
			if _, wrong := errors.AsType[*recipients.Error](err); wrong {
				err = misuseError{err: err}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		info, err := s.file.Stat()
		if err != nil {
			yield(producer.Recipient{}, fmt.Errorf("read %s: %w", s.name, err))
		} else if info.Size() != s.size || !info.ModTime().Equal(s.modTime) {
			yield(producer.Recipient{}, misuse("%s was changed while it was read; nothing was enqueued: run the command again", s.name))
		}
	}
}
