package recipients

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// listReader reads a list once, from the beginning to the end.
type listReader struct {
	*List
	in      *lines
	letters charset
	rows    int // number of recipients that were passed to the function "take" so far
	// The field "mistakes" collects the mistakes of the rows that were read so far.
	mistakes mistakes
	// encodingHint is the end of an error about a field that does not fit the encoding. It is empty if
	// a byte order mark names the encoding, because then --encoding cannot change it.
	encodingHint string
	// foundContent is true if the list has a line that is not blank.
	foundContent bool
}

// readAll calls the function take() with every recipient until take() returns false. It returns the number of
// recipients read.
func (p *listReader) readAll(take func(producer.Recipient) bool) (rows int, err error) {
	if p.size > MaxBytes {
		return 0, p.fileError("has %d GB, but a list may have at most %d: split it", p.size>>30, MaxBytes>>30)
	}
	c, err := p.open()
	if err != nil {
		return 0, err
	}
	counted := func(r producer.Recipient) bool {
		if p.rows++; p.rows > MaxRows {
			return false
		}
		return take(r)
	}
	switch c.format {
	case XLSX:
		rows, err = p.workbookRecipients(counted)
	case JSONL:
		rows, err = p.jsonRecipients(counted)
	default:
		rows, err = p.tableOrPlain(c.format, counted)
	}
	if err == nil && p.rows > MaxRows {
		err = p.errorHere("a list may have at most %d rows: split it", MaxRows)
	}
	return rows, err
}

// The method "open" detects the format and encoding. For a text file it also sets p.in, which reads
// the lines, and p.letters, which decodes the lines.
func (p *listReader) open() (detected, error) {
	head := make([]byte, min(headSize, p.size))
	if _, err := p.src.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return detected{}, fmt.Errorf("read %s: %w", p.o.Name, err)
	}
	c, err := detect(head, p.o)
	if err != nil || c.format == XLSX {
		return c, err
	}
	var text io.Reader = io.NewSectionReader(p.src, 0, p.size)
	if c.gzip {
		if c, text, err = p.openGzip(text); err != nil {
			return c, err
		}
	}
	if _, err := io.CopyN(io.Discard, text, int64(c.bom)); err != nil {
		return c, fmt.Errorf("read %s: %w", p.o.Name, err)
	}
	if c.bom == 0 {
		p.encodingHint = ", or set its encoding with --encoding"
	}
	endian := unicode.LittleEndian
	switch c.encoding {
	case encodingUTF16BE:
		endian = unicode.BigEndian
		fallthrough
	case encodingUTF16LE:
		text = transform.NewReader(text, unicode.UTF16(endian, unicode.IgnoreBOM).NewDecoder())
		c.encoding = encodingUTF8
	}
	p.in, p.letters = newLines(text), charset{encoding: c.encoding}
	return c, nil
}

// openGzip unpacks a .gz file and detects the format of the unpacked text.
func (p *listReader) openGzip(packed io.Reader) (c detected, text io.Reader, err error) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return c, nil, p.fileError("is a damaged gzip file: compress it again")
	}
	in := bufio.NewReaderSize(&limitedReader{src: z, left: MaxBytes}, headSize)
	head, err := in.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return c, nil, p.readError(err)
	}
	o := p.o
	o.Name = strings.TrimSuffix(o.Name, ".gz")
	if c, err = detect(head, o); err == nil && (c.gzip || c.format == XLSX) {
		err = p.fileError("holds another compressed file: unpack it first")
	}
	return c, in, err
}

// limitedReader returns errTooLarge after as many bytes as the field "left" allows. It prevents a small .gz
// file from unpacking to an unlimited text.
type limitedReader struct {
	src  io.Reader
	left int64
}

var errTooLarge = errors.New("the unpacked text is too large")

// Read reads from src until the limit is reached.
func (b *limitedReader) Read(to []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.src.Read(to[:min(int64(len(to)), b.left)])
	b.left -= int64(n)
	return n, err
}

// tableOrPlain reads a table with a header, or a plain list of numbers.
func (p *listReader) tableOrPlain(format Format, take func(producer.Recipient) bool) (rows int, err error) {
	first, err := p.in.firstNonBlank()
	separator, named := separatorLine(first)
	if named {
		_, _ = p.in.next() // firstNonBlank has already read this line
		first, err = p.in.firstNonBlank()
	}
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, p.readError(err)
	}
	p.foundContent = true
	if bytes.IndexByte(first, '\r') >= 0 {
		return 0, p.lineError(p.in.n+1, "the lines end with a carriage return only: save the list as CSV UTF-8")
	}
	if format == Plain {
		if len(p.o.Fields) > 0 || p.o.RefColumn != "" {
			return 0, p.noFieldColumns(p.in.n + 1)
		}
		return p.plainRecipients(take)
	}
	comma, h, err := p.findHeader(string(first), separator)
	if err != nil {
		return 0, err
	}
	if h == nil {
		return p.plainRecipients(take)
	}
	return p.tableRecipients(comma, h, take)
}

// separatorLine returns the separator that a line names. Before the header, Excel writes a line such as
// `sep=;`. The result "named" is false for any other line. If a program saves such a file again, it may
// put the line in quotes, as in `"sep=,"`, or append separators, as in `sep=,,,`.
func separatorLine(line []byte) (separator byte, named bool) {
	text := bytes.Trim(line, " \"")
	if len(text) < len("sep=,") || !bytes.EqualFold(text[:len("sep=")], []byte("sep=")) {
		return 0, false
	}
	text = text[len("sep="):]
	if bytes.IndexByte([]byte(separators), text[0]) < 0 || len(bytes.Trim(text, separators+" \"")) > 0 {
		return 0, false
	}
	return text[0], true
}

// noFieldColumns returns the error for a list without columns if Options.Fields is not
// empty.
func (p *listReader) noFieldColumns(line int) error {
	if len(p.o.Fields) == 0 {
		return p.lineError(line, "a plain list of numbers has no column %.40q for the references: add a header and the column", p.o.RefColumn)
	}
	return p.lineError(line, "a plain list of numbers has no column %q for the text: add a header and the column", p.o.Fields[0])
}

// readError adds the place and advice for the user to an error. The error is from p.in, which reads lines, or
// from a reader of CSV records.
func (p *listReader) readError(err error) error {
	switch {
	case errors.Is(err, errLineTooLong):
		return p.lineError(p.in.n+1, "the line is longer than %d bytes: write one recipient per line", MaxLine)
	case errors.Is(err, errRecordTooLong):
		return p.lineError(p.line, "the record that begins here is longer than %d bytes: check for a missing closing quote", MaxLine)
	case errors.Is(err, errQuoteInField), errors.Is(err, errQuoteOpen), errors.Is(err, errAfterQuote):
		return p.lineError(p.line, "%v: write a field that holds quotes as \"say \"\"hello\"\"\"", err)
	case errors.Is(err, errBinary):
		return p.lineError(p.in.n, "the line is not text: save the list as CSV UTF-8")
	case errors.Is(err, errTooLarge):
		return p.fileError("unpacks to more than %d GB: split it", MaxBytes>>30)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), isCorrupt(err):
		return p.fileError("is a damaged gzip file: compress it again")
	}
	return fmt.Errorf("read %s: %w", p.o.Name, err)
}

func isCorrupt(err error) bool {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	return corrupt
}

// plainRecipients reads one number per line.
func (p *listReader) plainRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	for {
		line, err := p.in.next()
		p.line = p.in.n
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return rows, p.readError(err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		rows++
		if !take(producer.Recipient{Number: p.arena.string(p.letters.decodeNumber(unquote(line))), Line: p.line}) {
			return rows, nil
		}
	}
}

// unquote removes the quotes around a whole line.
func unquote(line []byte) []byte {
	if trimmed := bytes.TrimSpace(line); len(trimmed) > 1 && trimmed[0] == '"' && trimmed[len(trimmed)-1] == '"' {
		return trimmed[1 : len(trimmed)-1]
	}
	return line
}

// tableRecipients reads the rows of a table. The parameter h describes the header of the table. The next
// record is this header.
func (p *listReader) tableRecipients(comma byte, h *header, take func(producer.Recipient) bool) (rows int, err error) {
	c := &records{lines: p.in, comma: comma}
	for below := false; ; below = true {
		record, err := c.next()
		p.line = c.line
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return rows, p.readError(err)
		case !below:
			continue
		case len(record) > h.columns && !isBlank(record[h.columns:]):
			rows++
			_ = p.mistakes.add(p.lineError(p.line, "the row has %d fields, but the header has %d: put a field that contains %q in quotes",
				len(record), h.columns, comma), p.List, p.line)
			continue
		case isBlank(record):
			continue
		}
		rows++
		r, err := p.recipient(h, func(column int) []byte {
			if column < len(record) {
				return record[column]
			}
			return nil // the row ends before this column, so the value is empty
		})
		if err != nil {
			if err = p.mistakes.add(err, p.List, p.line); err != nil {
				return rows, err
			}
			continue
		}
		if !take(r) {
			return rows, nil
		}
	}
}

// recipient returns the number and fields of a row. The function "cell" returns the row's value in the given
// column. The error lists all mistakes of the row.
func (p *listReader) recipient(h *header, cell func(column int) []byte) (producer.Recipient, error) {
	var wrong rowMistakes
	for i, key := range p.o.Fields {
		value, problem := p.letters.decode(bytes.TrimSpace(cell(h.fields[i])), p.line)
		value = bytes.TrimSpace(value)
		var err error
		switch {
		case problem != "":
			err = p.errorHere("the field %s %s%s: save the list as CSV UTF-8%s", key, problem, p.letters.sinceLine(), p.encodingHint)
		case len(value) > MaxField:
			err = p.fieldTooLong(key, len(value))
		default:
			p.fields[key] = p.arena.string(value)
			continue
		}
		_ = wrong.add(err) // both errors are mistakes
	}
	ref := ""
	for _, at := range h.refs {
		value, problem := p.letters.decode(bytes.TrimSpace(cell(at)), p.line)
		if problem != "" {
			_ = wrong.add(p.errorHere("the column %.40q %s%s: save the list as CSV UTF-8%s", p.o.RefColumn, problem, p.letters.sinceLine(), p.encodingHint))
			continue
		}
		ref = p.arena.string(bytes.TrimSpace(value))
		_ = wrong.add(p.checkRef(ref)) // checkRef returns only mistakes
	}
	if err := wrong.err(); err != nil {
		return producer.Recipient{}, err
	}
	if p.o.cells {
		p.cells = p.cells[:0]
		for column := range h.columns {
			// decodeNumber accepts every text, so that the encoding of an unused column cannot end the reading.
			p.cells = append(p.cells, string(p.letters.decodeNumber(bytes.TrimSpace(cell(column)))))
		}
	}
	return producer.Recipient{Number: p.arena.string(p.letters.decodeNumber(cell(h.number))), Fields: p.fields, Ref: ref, Line: p.line}, nil
}

// isBlank reports whether all fields are blank, as in the row ";;;" of a spreadsheet.
func isBlank(record [][]byte) bool {
	for _, f := range record {
		if len(bytes.TrimSpace(f)) > 0 {
			return false
		}
	}
	return true
}

// isNumberLike reports whether a line looks like a number, even an invalid one. It returns false for a line
// of words.
func isNumberLike(line []byte) bool {
	var bad *sms.NumberError
	if _, err := sms.ParseMSISDN(strings.ToValidUTF8(string(unquote(line)), " "), ""); errors.As(err, &bad) {
		return bad.Reason != sms.ReasonNotANumber && bad.Reason != sms.ReasonEmpty
	}
	return true
}
