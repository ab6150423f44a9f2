// Package recipients reads lists of recipients as people have them: CSV, Excel
// workbooks, JSON lines and plain lists of numbers. It streams, and what is hostile
// or broken costs an error that names file and line, never memory.
package recipients

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/tuma-sms/tuma/producer"
)

// Format is how a list is written.
type Format string

// The formats; Auto finds out which of them it is.
const (
	Auto  Format = ""
	CSV   Format = "csv"
	Plain Format = "plain"
	XLSX  Format = "xlsx"
	JSONL Format = "jsonl"
)

// Options say how a list is to be read. The zero value finds everything out.
type Options struct {
	// Name is the file's, for errors; its extension counts where the content leaves
	// open what it is.
	Name string
	// Format is one of the formats. Default: Auto.
	Format Format
	// Encoding is one of Encodings. Default: found out.
	Encoding string
	// Sheet is the name of a workbook's sheet. Default: the first.
	Sheet string
	// Column is the header's name for the numbers. Default: one of the usual names.
	Column string
	// Fields are the columns, as sms.FieldKey writes their names, whose values are wanted
	// beside the number.
	Fields []string
}

// What a list may have; more is an error.
const (
	// MaxLine bounds a line, and a record of several quoted lines, in bytes: a quote
	// that never closes, or a file that is no text, must not fill the memory.
	MaxLine = 64 << 10
	// MaxBytes bounds a text file, and MaxRows what is read of it.
	MaxBytes = 8 << 30
	MaxRows  = 100_000_000
	// MaxColumns is what Excel takes.
	MaxColumns = 16_384
	// MaxField bounds a value that goes into a text, in bytes; a text itself may have four times as many.
	MaxField = 4 << 10
)

// Error is what is wrong with a list, for its owner to put right.
type Error struct {
	// Where is the file's name, with the line or the sheet and row if it is one's.
	Where string
	// Problem says what is wrong and what to do.
	Problem string
}

// Error returns the place and the problem.
func (e *Error) Error() string { return e.Where + e.Problem }

// List is a list of recipients that can be read any number of times. It is not safe
// for concurrent use.
type List struct {
	src  io.ReaderAt
	size int64
	o    Options
	// line is that of the record read last, from 1; of a workbook it is the row of a sheet.
	line  int
	sheet string
	// hidden are the rows yielded that a workbook's filter, or a hand, has hidden.
	hidden int
	// fields are the values of the record read last, by Options.Fields.
	fields map[string]string
	arena  arena
}

// New makes a list of the first size bytes of src. It reads nothing yet.
func New(src io.ReaderAt, size int64, o Options) *List {
	l := &List{src: src, size: size, o: o}
	if len(o.Fields) > 0 {
		l.fields = make(map[string]string, len(o.Fields))
	}
	return l
}

// All yields the recipients from the beginning, in constant memory. The map of
// fields is the same one every time. Blank lines are passed over; a row without a
// number is a recipient without one. An error ends the sequence: a *Error, or what
// went wrong while reading.
func (l *List) All() iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		l.line, l.sheet, l.hidden = 0, "", 0
		p := &listReader{List: l}
		rows, err := p.readAll(func(r producer.Recipient) bool { return yield(r, nil) })
		switch {
		case err != nil:
		case rows == 0 && !p.foundContent:
			err = l.fileError("is empty: there are no recipients")
		case rows == 0:
			err = l.fileError("has a header and no recipients")
		}
		if err != nil {
			yield(producer.Recipient{}, err)
		}
	}
}

// Where is the place of the recipient yielded last: "customers.csv:17", or
// `customers.xlsx, sheet "May", row 17`.
func (l *List) Where() string {
	if l.sheet != "" {
		return fmt.Sprintf("%s, sheet %q, row %d", l.o.Name, l.sheet, l.line)
	}
	return fmt.Sprintf("%s:%d", l.o.Name, l.line)
}

// Line is the line of the recipient yielded last, or its row in a sheet, from 1.
func (l *List) Line() int { return l.line }

// Hidden counts the rows yielded so far that are hidden in their sheet: who has filtered it
// sees fewer.
func (l *List) Hidden() int { return l.hidden }

// fault is of the whole file.
func (l *List) fileError(format string, args ...any) error {
	return &Error{Where: l.o.Name + " ", Problem: fmt.Sprintf(format, args...)}
}

// faultAt is of one line.
func (l *List) lineError(line int, format string, args ...any) error {
	return &Error{Where: fmt.Sprintf("%s:%d: ", l.o.Name, line), Problem: fmt.Sprintf(format, args...)}
}

// faultIn is of the place read last.
func (l *List) errorHere(format string, args ...any) error {
	if l.line == 0 {
		return l.fileError(format, args...)
	}
	return &Error{Where: l.Where() + ": ", Problem: fmt.Sprintf(format, args...)}
}

func (l *List) fieldTooLong(key string, n int) error {
	return l.errorHere("the field %s has %d bytes, at most %d are taken", key, n, MaxField)
}

// arena makes many short strings of a few long ones.
type arena struct{ chunk strings.Builder }

const arenaChunk = 32 << 10

func (a *arena) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if a.chunk.Cap()-a.chunk.Len() < len(b) {
		a.chunk = strings.Builder{}
		a.chunk.Grow(max(arenaChunk, len(b)))
	}
	at := a.chunk.Len()
	a.chunk.Write(b)
	return a.chunk.String()[at:]
}
