package recipients

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lines reads a text line by line.
type lines struct {
	in *bufio.Reader
	// n is the number of the line read last, from 1.
	n int
	// kept is a line that is to be read once more.
	kept  []byte
	again bool
}

var (
	errLineTooLong = errors.New("the line is too long")
	errBinary      = errors.New("this is no text")
)

func newLines(src io.Reader) *lines { return &lines{in: bufio.NewReaderSize(src, MaxLine)} }

// next returns the next line without its end, valid until the next call; io.EOF
// after the last.
func (l *lines) next() ([]byte, error) {
	if l.again {
		l.again = false
		l.n++
		return l.kept, nil
	}
	line, err := l.in.ReadSlice('\n')
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case !errors.Is(err, io.EOF):
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errLineTooLong
		}
		return nil, err
	case len(line) == 0:
		return nil, io.EOF
	}
	l.n++
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, errBinary
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// first returns the first line that is not blank, and has it read once more.
func (l *lines) firstNonBlank() ([]byte, error) {
	for {
		line, err := l.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			l.unread(line)
			return l.kept, nil
		}
	}
}

// unread has the line read last read once more.
func (l *lines) unread(line []byte) {
	l.kept = append(l.kept[:0], line...)
	l.n--
	l.again = true
}

// head is what lies ahead, as much of it as a line may have.
func (l *lines) peek() []byte {
	ahead, _ := l.in.Peek(MaxLine) // an error comes again with the next read
	if !l.again {
		return ahead
	}
	return append(append(append([]byte(nil), l.kept...), '\n'), ahead...)
}
