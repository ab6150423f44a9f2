package recipients

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"io"
)

// tokens reads a part of a workbook, within bounds.
type xmlScanner struct {
	w              *workbook
	part           io.ReadCloser
	in             *bufio.Reader
	xml            *xml.Decoder
	tokenBytesLeft int
	// read and most are bytes as unpacked; packed is what they came of.
	read, most, packed int64
}

var (
	errToken = errors.New("a cell or a tag is too long")
	errPart  = errors.New("a part is too large")
	errBomb  = errors.New("it unpacks to far more than it is")
)

func (w *workbook) open(f *zip.File, most int64) (*xmlScanner, error) {
	part, err := f.Open()
	if err != nil {
		return nil, w.fileError("is a damaged workbook: %v", err)
	}
	t := &xmlScanner{w: w, part: part, in: bufio.NewReaderSize(part, 32<<10), most: most, packed: int64(f.CompressedSize64)}
	t.xml = xml.NewDecoder(t)
	return t, nil
}

func (t *xmlScanner) close() { _ = t.part.Close() } // it was only read

// Read is here because the decoder asks for it; it reads byte by byte.
func (t *xmlScanner) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c, err := t.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = c
	return 1, nil
}

// ReadByte reads the next byte, unless a bound is reached.
func (t *xmlScanner) ReadByte() (byte, error) {
	if t.tokenBytesLeft--; t.tokenBytesLeft < 0 {
		return 0, errToken
	}
	t.read++
	switch {
	case t.read > t.most:
		return 0, errPart
	case t.read > ratioFrom && t.read > maxRatio*t.packed:
		return 0, errBomb
	}
	return t.in.ReadByte()
}

// next returns the next token, valid until the next call; io.EOF at the end, and
// else an *Error or what went wrong while reading.
func (t *xmlScanner) next() (xml.Token, error) {
	t.tokenBytesLeft = maxToken
	token, err := t.xml.RawToken()
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return token, err
	}
	switch {
	case t.w.file.err != nil:
		return nil, t.w.file.err
	case errors.Is(err, errToken):
		return nil, t.w.errorHere("a cell has more than %d bytes", maxToken)
	case errors.Is(err, errPart):
		return nil, t.w.fileError("has parts that are larger than %d MB: save it as CSV UTF-8", t.most>>20)
	case errors.Is(err, errBomb):
		return nil, t.w.fileError("unpacks to more than %d times its size, which no spreadsheet does", maxRatio)
	}
	return nil, t.w.errorHere("the workbook is damaged: %v", err)
}
