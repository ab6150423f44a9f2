package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

// source is a list of recipients that can be read repeatedly: a file, or a stream that was copied
// to a temporary file.
type source struct {
	name    string
	list    *recipients.List
	options recipients.Options
	file    *os.File
	size    int64
	modTime time.Time
	// temporary is true if Close must remove the file.
	temporary bool
}

// openSource opens a file of recipients; an empty name or "-" is standard input. A stream, which
// cannot be read twice, is first copied to a temporary file.
func (a *app) openSource(name string, o recipients.Options) (*source, error) {
	if name == "" || name == "-" {
		if console.IsTerminal(a.in) {
			a.note("tuma: reading recipients from the keyboard: type one number per line, then press Ctrl-D")
		}
		return spool("standard input", o, a.in)
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, misuse("file %s does not exist", name)
	}
	if err != nil {
		return nil, misuse("recipients: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(misuse("recipients: %w", err), file.Close())
	case info.IsDir():
		return nil, errors.Join(misuse("%s is a directory; a file of recipients is required", name), file.Close())
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
		return nil, fmt.Errorf("copy %s to a temporary file: %w", name, err)
	}
	// Remove the file while it is open, so that no numbers stay on disk if this process is killed.
	// Some systems cannot remove an open file and return an error. Then Close removes the file.
	s := &source{name: name, file: file, temporary: os.Remove(file.Name()) != nil}
	if err = copyRecipients(file, name, o, from); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy %s to a temporary file: %w", name, err), s.Close())
	}
	s.setFile(info, o)
	return s, nil
}

// copyRecipients copies a stream to the file. It returns an error if the first 4 KiB show that the
// stream is not a list of recipients. It copies at most recipients.MaxBytes+1 bytes.
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
		return fmt.Errorf("copy %s to a temporary file: %w", name, err)
	}
	if _, err := io.Copy(file, from); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// setFile opens the list of the file. It stores the file's size and modification time, so that the
// method "all" can detect a change of the file.
func (s *source) setFile(info fs.FileInfo, o recipients.Options) {
	s.size, s.modTime = info.Size(), info.ModTime()
	o.Name = s.name
	s.options = o
	s.list = recipients.New(s.file, s.size, o)
}

// Close closes the file. If the file is temporary, Close removes it.
func (s *source) Close() error {
	err := s.file.Close()
	if s.temporary {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// all yields the recipients from the beginning. If the file has changed since it was opened, the
// sequence ends with an error, because a campaign ID that is derived from one content must not be
// used for another content.
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
			yield(producer.Recipient{}, misuse("%s changed while it was read; nothing was enqueued; run the command again", s.name))
		}
	}
}
