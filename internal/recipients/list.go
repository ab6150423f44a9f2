// Package recipients reads lists of recipients: CSV, Excel workbooks (.xlsx), JSON lines and
// plain lists of numbers. It streams a list in bounded memory. For a damaged or hostile
// file, reading ends with an error that names the file and line.
package recipients

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/tuma-sms/tuma/internal/xlsx"
	"github.com/tuma-sms/tuma/producer"
)

// Format is the file format of a list.
type Format string

// These are the formats. With Auto, the format is detected from the content and the file name.
const (
	Auto  Format = ""
	CSV   Format = "csv"
	Plain Format = "plain"
	XLSX  Format = "xlsx"
	JSONL Format = "jsonl"
)

// Options configure how a list is read. With the zero value, all properties of the list are
// detected.
type Options struct {
	// Name is the file name, for errors. If the content does not decide the format, the extension
	// of the name decides it.
	Name string
	// Format is one of the formats. Default: Auto.
	Format Format
	// Encoding is one of Encodings. Default: detected.
	Encoding string
	// Sheet is the name of a workbook's sheet. Default: the first sheet that is not hidden.
	Sheet string
	// Column is the name of the number column. Default: one of NumberColumns.
	Column string
	// Fields are the columns to read besides the number column. Each is the sms.FieldKey of
	// the column's name.
	Fields []string
	// RefColumn is the name of the column with the caller's own references
	// (producer.Recipient.Ref). Default: no references.
	RefColumn string

	cells bool // read all cells of every row into List.cells
}

// These are the limits of a list. A list that exceeds one of them is an error.
const (
	// MaxLine is the maximum size of a line, and of a CSV record of several lines, in bytes. It
	// limits the memory that a binary file or an unclosed quote can take.
	MaxLine = 64 << 10
	// MaxBytes is the maximum size of a text file in bytes. It also applies to the unpacked text of
	// a .gz file. MaxRows is the maximum number of recipients.
	MaxBytes = 8 << 30
	MaxRows  = 100_000_000
	// MaxColumns is the maximum number of columns, the same as in Excel.
	MaxColumns = xlsx.MaxColumns
	// MaxField is the maximum size of a field value in bytes, a quarter of the maximum size of a
	// rendered message (sms.MaxRendered).
	MaxField = 4 << 10
)

// Error is a mistake in a list, or in the options, that the user can correct.
type Error struct {
	// The field "Where" has the file name. If the mistake is at a known place in the file, the field
	// also has this place: the line of a text, or the sheet and the row of a workbook.
	Where string
	// Problem describes the mistake and its correction.
	Problem string
	// The field "more" has further mistakes of the same list.
	more []*Error
}

// Error returns the place and the problem. If the list has several mistakes, Error returns a line for
// each.
func (e *Error) Error() string {
	text := e.Where + e.Problem
	for _, m := range e.more {
		text += "\n" + m.Error()
	}
	return text
}

// List is a list of recipients that can be read any number of times. It is not safe
// for concurrent use.
type List struct {
	src  io.ReaderAt
	size int64
	o    Options
	// line is the line of the last record, or the record's row in a sheet, counted from 1.
	line  int
	sheet string
	// hidden is the number of yielded rows that a filter or the user has hidden in the sheet.
	hidden int
	// hiddenColumns are the names of columns that were read and that the sheet does not show.
	hiddenColumns []string
	sheets        []string // the names of the workbook's sheets that are not hidden
	columns       []string // cells of the header
	guess         Guess
	// fields holds the values of the last record. Its keys are the names in Options.Fields.
	fields map[string]string
	// cells holds the cells of the last record, by column. It is used only if Options.cells is set.
	cells []string
	arena arena
}

// New returns a List of the beginning of src. The parameter "size" is the length of this beginning in bytes. New
// does not read src yet.
func New(src io.ReaderAt, size int64, o Options) *List {
	l := &List{src: src, size: size, o: o}
	if len(o.Fields) > 0 {
		l.fields = make(map[string]string, len(o.Fields))
	}
	return l
}

// All yields every recipient from the beginning, in constant memory. All recipients share one map
// Fields, so the caller must copy the values that it keeps. All skips blank lines. A row with an
// empty number is yielded as a recipient with an empty Number. An error ends the sequence. The
// error is an *Error if the list has a mistake, and otherwise a read error.
//
// All skips a row with a mistake and continues. The error at the end of the sequence lists up to
// maxMistakes different mistakes, each with the number of its rows and the first places.
func (l *List) All() iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		l.line, l.sheet, l.hidden, l.guess = 0, "", 0, Guess{}
		l.hiddenColumns, l.sheets, l.columns = nil, nil, nil
		p := &listReader{List: l}
		rows, err := p.readAll(func(r producer.Recipient) bool { return yield(r, nil) })
		l.guess = p.letters.guess
		err = p.mistakes.with(err)
		switch {
		case err != nil:
		case rows == 0 && !p.foundContent:
			err = l.fileError("is empty: there are no recipients")
		case rows == 0:
			err = l.fileError("has a header but no recipients")
		}
		if err != nil {
			yield(producer.Recipient{}, err)
		}
	}
}

// Where returns the place of the last yielded recipient: "customers.csv:17", or
// `customers.xlsx, sheet "May", row 17`.
func (l *List) Where() string { return l.WhereLine(l.line) }

// WhereLine returns the place of the given line or row, in the form that Where returns.
func (l *List) WhereLine(line int) string {
	if l.sheet != "" {
		return fmt.Sprintf("%s, row %d", l.WhereFile(), line)
	}
	return fmt.Sprintf("%s:%d", l.o.Name, line)
}

// WhereFile returns the name of the file and, for a workbook, of the sheet that was read.
func (l *List) WhereFile() string {
	if l.sheet != "" {
		return fmt.Sprintf("%s, sheet %q", l.o.Name, l.sheet)
	}
	return l.o.Name
}

// Line returns the line of the last yielded recipient, or the recipient's row in a sheet,
// counted from 1.
func (l *List) Line() int { return l.line }

// Hidden returns the number of rows yielded so far that are hidden in their sheet. The user may
// not be aware of these rows, because the spreadsheet does not show filtered rows.
func (l *List) Hidden() int { return l.hidden }

// HiddenColumns returns the names of columns that were read although the sheet does not show these
// columns. The result is complete once All has yielded a recipient.
func (l *List) HiddenColumns() []string { return l.hiddenColumns }

// Sheets returns the name of the workbook's sheet that was read, and the names of all sheets that
// are not hidden. It returns "" and nil for other files, and before All has yielded a recipient.
func (l *List) Sheets() (read string, visible []string) { return l.sheet, l.sheets }

// Columns returns the cells of the header, or the names of the first JSON object's members, once
// All has yielded a recipient. It returns nil for a list without a header.
func (l *List) Columns() []string { return l.columns }

// Guess returns the guessed encoding. Call it after a loop over All has ended. No encoding is
// guessed if the file is valid UTF-8, if it begins with a byte order mark, or if Options name its
// encoding.
func (l *List) Guess() Guess { return l.guess }

// fileError returns an *Error for the whole file.
func (l *List) fileError(format string, args ...any) error {
	return &Error{Where: l.o.Name + " ", Problem: fmt.Sprintf(format, args...)}
}

// lineError returns an *Error for one line.
func (l *List) lineError(line int, format string, args ...any) error {
	return &Error{Where: fmt.Sprintf("%s:%d: ", l.o.Name, line), Problem: fmt.Sprintf(format, args...)}
}

// errorHere returns an *Error for the line or row that was read last, or for the file if no line
// was read.
func (l *List) errorHere(format string, args ...any) error {
	if l.line == 0 {
		return l.fileError(format, args...)
	}
	return &Error{Where: l.Where() + ": ", Problem: fmt.Sprintf(format, args...)}
}

func (l *List) fieldTooLong(key string, n int) error {
	return l.errorHere("the field %s has %d bytes: shorten it to at most %d", key, n, MaxField)
}

// arena allocates many short strings in a few large blocks.
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
