package recipients

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// The type "lines" reads a text line by line.
type lines struct {
	in *bufio.Reader
	// n is the number of the last returned line, counted from 1.
	n int
	// kept is the line that the method "next" returns once more if the field "again" is true.
	kept  []byte
	again bool
}

var (
	errLineTooLong = errors.New("the line is too long")
	errBinary      = errors.New("the line is not text")
)

// endOfFile is the control character that some DOS programs write as the last line of a file.
const endOfFile = 0x1a

func newLines(src io.Reader) *lines { return &lines{in: bufio.NewReaderSize(src, MaxLine)} }

// The method "next" returns the next line without its line end. The line is valid until the next
// call. The method returns io.EOF after the last line, and errBinary for a line with a zero byte.
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
	if len(line) == 1 && line[0] == endOfFile {
		if _, err := l.in.Peek(1); err != nil {
			return nil, io.EOF
		}
	}
	// A text file that was converted twice has two carriage returns before each line feed. So
	// remove all carriage returns at the end of the line.
	return bytes.TrimRight(line, "\r"), nil
}

// firstNonBlank returns the first line that is not blank. A line of only spaces and separators is
// blank, because spreadsheets write an empty row in this way. The following call of the method
// "next" returns the same line again.
func (l *lines) firstNonBlank() ([]byte, error) {
	for {
		line, err := l.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(bytes.Trim(line, separators+" "))) > 0 {
			l.unread(line)
			return l.kept, nil
		}
	}
}

// After unread, the method "next" returns the given line again. The line must be the last result
// of that method.
func (l *lines) unread(line []byte) {
	l.kept = append(l.kept[:0], line...)
	l.n--
	l.again = true
}

// peek returns the text that follows, without consuming it. It returns at most slightly more than
// MaxLine bytes.
func (l *lines) peek() []byte {
	ahead, _ := l.in.Peek(MaxLine) // the error is ignored, because the next read returns it again
	if !l.again {
		return ahead
	}
	return append(append(append([]byte(nil), l.kept...), '\n'), ahead...)
}
