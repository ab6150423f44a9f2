package xlsx

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// xmlScanner reads the XML tokens of a part of a workbook, within limits.
type xmlScanner struct {
	b              *Book
	part           io.ReadCloser
	in             *bufio.Reader
	xml            *xml.Decoder
	tokenBytesLeft int // number of bytes that may still be read for the current token
	// The field "read" is the number of unpacked bytes that were read. The field "most" is the
	// limit of "read". The field "packed" is the size of the compressed part.
	read, most, packed int64
}

var (
	errToken = errors.New("a cell or a tag is too long")
	errPart  = errors.New("a part of the workbook is too large")
	errBomb  = errors.New("a part of the workbook is compressed too much")
)

// The method "open" returns a scanner for the part f. The parameter "most" is the maximum number
// of unpacked bytes. The caller must close the scanner.
func (b *Book) open(f *zip.File, most int64) (*xmlScanner, error) {
	part, err := f.Open()
	if err != nil {
		return nil, b.fileError("is a damaged workbook: %v", err)
	}
	in := bufio.NewReaderSize(part, 32<<10)
	begin, _ := in.Peek(4) // an error is ignored, because the next read from "in" returns it again
	if endian, ok := utf16Order(begin); ok {
		in = bufio.NewReaderSize(transform.NewReader(in, unicode.UTF16(endian, unicode.UseBOM).NewDecoder()), 32<<10)
	}
	t := &xmlScanner{b: b, part: part, in: in, most: most, packed: int64(f.CompressedSize64)}
	t.xml = xml.NewDecoder(t)
	t.xml.CharsetReader = decodeCharset
	return t, nil
}

// utf16Order returns the byte order of a part in UTF-16. It uses the byte order mark or the first
// character, which is < in XML.
func utf16Order(begin []byte) (order unicode.Endianness, ok bool) {
	switch {
	case bytes.HasPrefix(begin, []byte("\xff\xfe")), bytes.HasPrefix(begin, []byte("<\x00")):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(begin, []byte("\xfe\xff")), bytes.HasPrefix(begin, []byte("\x00<")):
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// decodeCharset decodes a part that declares an encoding other than UTF-8. It does not change a
// part that declares UTF-16, because the method "open" has already converted that part.
func decodeCharset(label string, in io.Reader) (io.Reader, error) {
	if strings.HasPrefix(strings.ToLower(label), "utf-16") {
		return in, nil
	}
	encoding, err := htmlindex.Get(label)
	if err != nil {
		return nil, err
	}
	return encoding.NewDecoder().Reader(in), nil
}

func (t *xmlScanner) close() { _ = t.part.Close() } // no data is lost, because the part was only read

// Read reads one byte. xml.NewDecoder requires an io.Reader, but the decoder only calls ReadByte.
func (t *xmlScanner) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := t.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// ReadByte reads the next byte. It returns an error if the token or the part exceeds a limit.
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

// The method "next" returns the next token, which is valid until the next call. At the end of the
// part it returns io.EOF. It returns an *Error if the workbook is damaged or exceeds a limit. Any
// other error is a read error.
func (t *xmlScanner) next() (xml.Token, error) {
	t.tokenBytesLeft = maxToken
	token, err := t.xml.RawToken()
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return token, err
	}
	switch {
	case t.b.file.err != nil:
		return nil, t.b.file.err
	case errors.Is(err, errToken):
		return nil, t.b.errorHere("a cell has more than %d bytes: shorten it", maxToken)
	case errors.Is(err, errPart):
		return nil, t.b.fileError("has a part of more than %d MB: save it as CSV UTF-8", t.most>>20)
	case errors.Is(err, errBomb):
		return nil, t.b.fileError("is not a real workbook, because a part unpacks to more than %d times its size: save it as CSV UTF-8", maxRatio)
	}
	return nil, t.b.errorHere("the workbook is damaged: %v", err)
}
