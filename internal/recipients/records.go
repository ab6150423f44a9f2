package recipients

import (
	"bytes"
	"errors"
	"io"
)

// The type "records" reads CSV records with the same results as encoding/csv; a fuzz test compares the
// results. It also accepts spaces around a quoted field, and an = before the quote, because
// spreadsheets write ="0712345678" if digits must stay text. Most records have no quotes. The type
// reads such records much faster than encoding/csv.
type records struct {
	lines *lines
	comma byte
	// line is the first line of the last record.
	line   int
	fields [][]byte
	// If a record has quotes, the slice "unquoted" holds its fields, concatenated and without their quotes. The
	// slice "ends" holds the end of each field in unquoted.
	unquoted []byte
	ends     []int
}

var (
	errRecordTooLong = errors.New("the record is too long")
	errQuoteInField  = errors.New(`a quote (") is inside a field that does not begin with a quote`)
	errQuoteOpen     = errors.New(`a quote (") is not closed`)
	errAfterQuote    = errors.New(`there is text after the quote (") that closes a field`)
)

// The method "next" returns the fields of the next record, which are valid until the next call. It skips empty
// lines, and returns io.EOF after the last record.
func (r *records) next() ([][]byte, error) {
	for {
		line, err := r.lines.next()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		r.line = r.lines.n
		if bytes.IndexByte(line, '"') >= 0 {
			return r.readQuotedRecord(line)
		}
		r.fields = r.fields[:0]
		for {
			i := bytes.IndexByte(line, r.comma)
			if i < 0 {
				r.fields = append(r.fields, line)
				return r.fields, nil
			}
			r.fields = append(r.fields, line[:i])
			line = line[i+1:]
		}
	}
}

// readQuotedRecord reads a record with quotes. It reads further lines if a quoted field
// contains line breaks.
func (r *records) readQuotedRecord(line []byte) ([][]byte, error) {
	r.unquoted, r.ends = r.unquoted[:0], r.ends[:0]
	for more := true; more; {
		if quoted, ok := r.afterQuote(line); ok {
			var err error
			if line, more, err = r.readQuotedField(quoted); err != nil {
				return nil, err
			}
		} else {
			i := bytes.IndexByte(line, r.comma)
			field := line
			if more = i >= 0; more {
				field, line = line[:i], line[i+1:]
			}
			if bytes.IndexByte(field, '"') >= 0 {
				return nil, errQuoteInField
			}
			r.unquoted = append(r.unquoted, field...)
		}
		r.ends = append(r.ends, len(r.unquoted))
	}
	r.fields = r.fields[:0]
	begin := 0
	for _, end := range r.ends {
		r.fields = append(r.fields, r.unquoted[begin:end])
		begin = end
	}
	return r.fields, nil
}

// afterQuote returns the rest of a line after the opening quote of a field. The result "ok" is
// false if the field does not begin with a quote. Spaces may precede the quote. An = may also
// precede it, because a spreadsheet writes digits as text in the form ="0712345678".
func (r *records) afterQuote(line []byte) (rest []byte, ok bool) {
	line = bytes.TrimPrefix(bytes.TrimLeft(line, " "), []byte("="))
	return bytes.CutPrefix(line, []byte{'"'})
}

// readQuotedField appends a quoted field to r.unquoted. The parameter "line" begins after the opening quote.
// The result "rest" is the rest of the field's last line. The result "more" reports whether the record has
// another field.
func (r *records) readQuotedField(line []byte) (rest []byte, more bool, err error) {
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			r.unquoted = append(append(r.unquoted, line...), '\n')
			if len(r.unquoted) > MaxLine {
				return nil, false, errRecordTooLong
			}
			if line, err = r.lines.next(); errors.Is(err, io.EOF) {
				return nil, false, errQuoteOpen
			} else if err != nil {
				return nil, false, err
			}
			continue
		}
		r.unquoted = append(r.unquoted, line[:i]...)
		line = line[i+1:]
		switch {
		case len(line) == 0:
			return nil, false, nil
		case line[0] == '"':
			r.unquoted = append(r.unquoted, '"')
			line = line[1:]
		default:
			switch line = bytes.TrimLeft(line, " "); {
			case len(line) == 0:
				return nil, false, nil
			case line[0] == r.comma:
				return line[1:], true, nil
			}
			return nil, false, errAfterQuote
		}
	}
}
