package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// numberColumns are the names of a column of numbers, as columnKey writes them.
var numberColumns = []string{"msisdn", "phone", "number", "mobile", "to", "recipient", "phonenumber", "mobilenumber"}

const numberColumnList = "msisdn, phone, number, mobile, to or recipient"

// columnKey makes "Phone number", "phone_number" and "PHONE-NUMBER" the same.
func columnKey(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-.\u00a0", r) {
			return -1
		}
		return r
	}, name))
}

// maxLine bounds a line, and a record of several quoted lines: a quote that never
// closes, or a file that is no text, must not fill the memory.
const maxLine = 64 << 10

// readRecipients yields the recipients of a CSV whose header names a column of
// numbers, or of one bare number a line. It streams: memory does not grow with
// the file. name is the file's, for errors; column, if not empty, is the header's
// name for the numbers. Blank lines are passed over. An error, which names file
// and line, ends the sequence.
func readRecipients(name string, src io.Reader, column string) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		p := &recipientReader{name: name, column: column, in: bufio.NewReaderSize(src, maxLine)}
		rows, err := p.each(func(number string) bool { return yield(producer.Recipient{Number: number}, nil) })
		switch {
		case err != nil:
			yield(producer.Recipient{}, err)
		case rows == 0 && !p.began:
			yield(producer.Recipient{}, misuse("%s is empty: there are no recipients", name))
		case rows == 0:
			yield(producer.Recipient{}, misuse("%s has a header and no recipients", name))
		}
	}
}

type recipientReader struct {
	name, column string
	in           *bufio.Reader
	// line is the number of the line read last, from 1.
	line int
	// began: there is a line that is not blank.
	began bool
}

func (p *recipientReader) wrong(line int, format string, args ...any) error {
	return misuse("%s:%d: %s", p.name, line, fmt.Sprintf(format, args...))
}

// each calls take with every number until there are no more or it says false, and
// returns with how many.
func (p *recipientReader) each(take func(string) bool) (rows int, err error) {
	if err := p.decode(); err != nil {
		return 0, err
	}
	first, err := p.firstLine()
	if err != nil || first == "" {
		return 0, err
	}
	if separator, ok := strings.CutPrefix(strings.TrimSpace(first), "sep="); ok && len(separator) == 1 {
		// Excel's own line before the header; which separator it is, the header shows.
		if first, err = p.firstLine(); err != nil || first == "" {
			return 0, err
		}
	}
	p.began = true
	switch {
	case strings.ContainsRune(first, 0):
		return 0, p.wrong(p.line, "this is no text in UTF-8: save it as CSV UTF-8")
	case strings.ContainsRune(first, '\r'):
		return 0, p.wrong(p.line, "the lines end in a carriage return alone: save it as CSV UTF-8")
	}
	delimiter, index, err := p.header(first)
	switch {
	case err != nil:
		return 0, err
	case index >= 0:
		return p.table(first, delimiter, index, take)
	}
	return p.bare(first, take)
}

// decode puts the text into UTF-8 without a byte order mark.
func (p *recipientReader) decode() error {
	head, err := p.in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", p.name, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = p.in.Discard(3) // they have been seen
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		// A spreadsheet's "Unicode text".
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
		p.in = bufio.NewReaderSize(transform.NewReader(p.in, utf16.NewDecoder()), maxLine)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return misuse("%s is a workbook, not text: save it as CSV first", p.name)
	}
	return nil
}

// firstLine returns the first line that is not blank, or "".
func (p *recipientReader) firstLine() (string, error) {
	for {
		line, err := p.readLine()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return string(line), err
		}
	}
}

// readLine returns the next line without its end, valid until the next call.
func (p *recipientReader) readLine() ([]byte, error) {
	line, err := p.in.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, io.EOF
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, p.wrong(p.line+1, "the line is longer than %d bytes", maxLine)
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read %s: %w", p.name, err)
	}
	p.line++
	return bytes.TrimRight(line, "\r\n"), nil
}

// header finds the column of numbers in a file's first line; index is -1 if the
// line is a bare number.
func (p *recipientReader) header(first string) (delimiter rune, index int, err error) {
	wanted := func(cell string) bool { return slices.Contains(numberColumns, columnKey(cell)) }
	if p.column != "" {
		wanted = func(cell string) bool { return strings.EqualFold(strings.TrimSpace(cell), strings.TrimSpace(p.column)) }
	}
	var widest []string
	for _, delimiter := range ",;\t" {
		c := csv.NewReader(strings.NewReader(first))
		c.Comma, c.LazyQuotes = delimiter, true
		cells, err := c.Read()
		if err != nil {
			continue
		}
		if len(cells) > len(widest) {
			widest = cells
		}
		at := slices.IndexFunc(cells, wanted)
		if at < 0 {
			continue
		}
		if again := slices.IndexFunc(cells[at+1:], wanted); again >= 0 {
			return 0, 0, p.wrong(p.line, "the header has two columns of numbers, %s and %s: say which with --column", cells[at], cells[at+1+again])
		}
		return delimiter, at, nil
	}
	if p.column == "" && isNumberLike(first) {
		return 0, -1, nil
	}
	if p.column != "" {
		return 0, 0, p.wrong(p.line, "the header has no column %q; it has %s", p.column, headerCells(widest))
	}
	return 0, 0, p.wrong(p.line, "no column of numbers: the header must name one %s (or another with --column), "+
		"or every line be one number; it has %s", numberColumnList, headerCells(widest))
}

// headerCells shows what a header has, and nothing that may be somebody's number.
func headerCells(cells []string) string {
	var shown []string
	for _, c := range cells {
		if strings.ContainsAny(c, "0123456789") {
			c = sms.Mask(c)
		}
		shown = append(shown, fmt.Sprintf("%.30q", c))
		if len(shown) == 10 {
			break
		}
	}
	return strings.Join(shown, ", ")
}

// isNumberLike says whether a line is one number, good or bad, as against words.
func isNumberLike(line string) bool {
	var bad *sms.NumberError
	if _, err := sms.ParseMSISDN(unquote(line), ""); errors.As(err, &bad) {
		return bad.Reason != sms.ReasonNotANumber && bad.Reason != sms.ReasonEmpty
	}
	return true
}

// unquote takes the quotes off a whole line.
func unquote(line string) string {
	if trimmed := strings.TrimSpace(line); len(trimmed) > 1 && trimmed[0] == '"' && trimmed[len(trimmed)-1] == '"' {
		return trimmed[1 : len(trimmed)-1]
	}
	return line
}

// bare reads one number a line.
func (p *recipientReader) bare(first string, take func(string) bool) (rows int, err error) {
	line := []byte(first)
	for ; err == nil; line, err = p.readLine() {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return rows, p.wrong(p.line, "this is no text")
		}
		rows++
		if !take(unquote(string(line))) {
			return rows, nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, err
}

// table reads the column of that index, below a header.
func (p *recipientReader) table(header string, delimiter rune, index int, take func(string) bool) (rows int, err error) {
	above := p.line - 1
	fence := &fence{src: io.MultiReader(strings.NewReader(header+"\n"), p.in)}
	c := csv.NewReader(fence)
	c.Comma, c.ReuseRecord, c.FieldsPerRecord = delimiter, true, -1
	columns, last := 0, 0
	for {
		fence.left = 2 * maxLine
		record, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.Is(err, errFence):
			return rows, p.wrong(above+last+1, "from here on a record is longer than %d bytes: is a quote missing?", maxLine)
		case errors.As(err, &bad):
			return rows, p.wrong(above+bad.StartLine, "%v", bad.Err)
		case err != nil:
			return rows, fmt.Errorf("read %s: %w", p.name, err)
		}
		if last, _ = c.FieldPos(0); columns == 0 {
			columns = len(record)
			continue
		}
		if len(record) > columns && !isBlank(record[columns:]) {
			return rows, p.wrong(above+last, "the row has %d fields and the header %d: a field that holds a %q must stand in quotes",
				len(record), columns, delimiter)
		}
		if isBlank(record) {
			continue
		}
		number := "" // of a row that ends before: counted, and found invalid
		if index < len(record) {
			number = record[index]
		}
		rows++
		if !take(number) {
			return rows, nil
		}
	}
}

// isBlank says whether no field holds anything: the row ";;;" of a spreadsheet.
func isBlank(record []string) bool {
	return !slices.ContainsFunc(record, func(f string) bool { return strings.TrimSpace(f) != "" })
}

// fence ends a record that grows without end.
type fence struct {
	src  io.Reader
	left int
}

var errFence = errors.New("the record is too long")

// Read reads until what is left for this record has been used up.
func (f *fence) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, errFence
	}
	n, err := f.src.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}
