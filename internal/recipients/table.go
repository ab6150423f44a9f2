package recipients

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// reading is one reading of a list.
type reading struct {
	*List
	in *lines
	// began: there is a line that is not blank.
	began bool
}

// each calls take with every recipient until there are no more or it says false, and
// returns how many there were.
func (p *reading) each(take func(producer.Recipient) bool) (rows int, err error) {
	if err := p.decode(); err != nil {
		return 0, err
	}
	first, err := p.in.first()
	if separator, ok := bytes.CutPrefix(bytes.TrimSpace(first), []byte("sep=")); ok && len(separator) == 1 {
		// Excel's own line before the header; which separator it is, the header shows.
		_, _ = p.in.next() // it is there
		first, err = p.in.first()
	}
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, p.broken(err)
	}
	p.began = true
	switch {
	case bytes.IndexByte(first, 0) >= 0:
		return 0, p.faultAt(p.in.n+1, "this is no text in UTF-8: save it as CSV UTF-8")
	case bytes.IndexByte(first, '\r') >= 0:
		return 0, p.faultAt(p.in.n+1, "the lines end in a carriage return alone: save it as CSV UTF-8")
	}
	comma, h, err := p.findHeader(string(first))
	if err != nil {
		return 0, err
	}
	if h == nil {
		return p.bare(take)
	}
	return p.table(comma, h, take)
}

// decode puts the text into UTF-8 without a byte order mark.
func (p *reading) decode() error {
	head, err := p.in.in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", p.o.Name, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = p.in.in.Discard(3) // they have been seen
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		// A spreadsheet's "Unicode text".
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
		p.in = newLines(transform.NewReader(p.in.in, utf16.NewDecoder()))
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return p.fault("is a workbook, not text: save it as CSV first")
	}
	return nil
}

// broken says where and why a record cannot be read.
func (p *reading) broken(err error) error {
	switch {
	case errors.Is(err, errLineTooLong):
		return p.faultAt(p.in.n+1, "the line is longer than %d bytes", MaxLine)
	case errors.Is(err, errRecordTooLong):
		return p.faultAt(p.line, "from here on a record is longer than %d bytes: is a quote missing?", MaxLine)
	case errors.Is(err, errQuoteInField), errors.Is(err, errQuoteOpen), errors.Is(err, errAfterQuote):
		return p.faultAt(p.line, "%v: write a field that holds quotes as \"say \"\"hello\"\"\"", err)
	}
	return fmt.Errorf("read %s: %w", p.o.Name, err)
}

// bare reads one number a line.
func (p *reading) bare(take func(producer.Recipient) bool) (rows int, err error) {
	for {
		line, err := p.in.next()
		p.line = p.in.n
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return rows, p.broken(err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case bytes.IndexByte(line, 0) >= 0:
			return rows, p.faultAt(p.line, "this is no text")
		}
		rows++
		if !take(producer.Recipient{Number: p.text.string(unquote(line))}) {
			return rows, nil
		}
	}
}

// unquote takes the quotes off a whole line.
func unquote(line []byte) []byte {
	if trimmed := bytes.TrimSpace(line); len(trimmed) > 1 && trimmed[0] == '"' && trimmed[len(trimmed)-1] == '"' {
		return trimmed[1 : len(trimmed)-1]
	}
	return line
}

// table reads the columns that are wanted, below a header.
func (p *reading) table(comma byte, h *header, take func(producer.Recipient) bool) (rows int, err error) {
	c := &records{lines: p.in, comma: comma}
	for below := false; ; below = true {
		record, err := c.next()
		p.line = c.line
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			if !errors.Is(err, errLineTooLong) && p.in.n > p.line {
				p.line = c.line
			}
			return rows, p.broken(err)
		case !below:
			continue
		case len(record) > h.columns && !isBlank(record[h.columns:]):
			return rows, p.faultAt(p.line, "the row has %d fields and the header %d: a field that holds a %q must stand in quotes",
				len(record), h.columns, comma)
		case isBlank(record):
			continue
		}
		rows++
		r, err := p.recipient(h, func(column int) []byte {
			if column < len(record) {
				return record[column]
			}
			return nil // of a row that ends before: counted, and found invalid
		})
		if err != nil || !take(r) {
			return rows, err
		}
	}
}

// recipient picks out of a row what is wanted.
func (p *reading) recipient(h *header, cell func(column int) []byte) (producer.Recipient, error) {
	for i, key := range p.o.Fields {
		value := bytes.TrimSpace(cell(h.fields[i]))
		if len(value) > MaxField {
			return producer.Recipient{}, p.faultAt(p.line, "the field %s has %d bytes, at most %d are taken", key, len(value), MaxField)
		}
		p.fields[key] = p.text.string(value)
	}
	return producer.Recipient{Number: p.text.string(cell(h.number)), Fields: p.fields}, nil
}

// isBlank says whether no field holds anything: the row ";;;" of a spreadsheet.
func isBlank(record [][]byte) bool {
	for _, f := range record {
		if len(bytes.TrimSpace(f)) > 0 {
			return false
		}
	}
	return true
}

// isNumberLike says whether a line is one number, good or bad, as against words.
func isNumberLike(line []byte) bool {
	var bad *sms.NumberError
	if _, err := sms.ParseMSISDN(strings.ToValidUTF8(string(unquote(line)), " "), ""); errors.As(err, &bad) {
		return bad.Reason != sms.ReasonNotANumber && bad.Reason != sms.ReasonEmpty
	}
	return true
}
