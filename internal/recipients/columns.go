package recipients

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// Columns reads columns of the list of a campaign, so that the caller can write these columns
// beside the campaign's results. It reads the list once, in bounded memory. It is not safe for
// concurrent use.
type Columns struct {
	list  *List
	next  func() (producer.Recipient, error, bool)
	stop  func()
	names []string
	pick  []int // the columns, from 0
	row   int   // row is the position of the recipient that was read last, counted from 1.
	last  producer.Recipient
	cells []string
}

// maxInput is how many bytes of an uploaded number a campaign keeps.
const maxInput = 64

// OpenColumns opens the list in src, and returns its columns with the given names. If names is nil,
// it returns all columns that have a name. A name matches a column if both have the same sms.FieldKey.
// Merge fields follow the same rule. The error is an *Error if the list has a mistake or lacks a
// column. The caller must call Close.
func OpenColumns(src io.ReaderAt, size int64, o Options, names []string) (*Columns, error) {
	o.Fields, o.cells = nil, true
	l := New(src, size, o)
	c := &Columns{list: l}
	c.next, c.stop = iter.Pull2(l.All())
	if err := c.read(); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.choose(names); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// choose finds the columns with the given names in the list's header, and stores their names and
// positions in c. If names is nil, it takes all columns that have a name.
func (c *Columns) choose(names []string) error {
	header := c.list.Columns()
	if len(header) == 0 {
		return c.list.fileError("is a list of numbers without columns")
	}
	if names == nil {
		for i, name := range header {
			if strings.TrimSpace(name) != "" {
				c.names, c.pick = append(c.names, strings.TrimSpace(name)), append(c.pick, i)
			}
		}
		return nil
	}
	for _, name := range names {
		at := slices.IndexFunc(header, func(cell string) bool { return sms.FieldKey(cell) == sms.FieldKey(name) })
		if at < 0 {
			return c.list.fileError("has no column %.40q; it has %s", name, describeColumns(header))
		}
		c.names, c.pick = append(c.names, strings.TrimSpace(header[at])), append(c.pick, at)
	}
	return nil
}

// Names returns the unchanged names of the columns in the header.
func (c *Columns) Names() []string { return c.names }

// The method "read" reads the next recipient.
func (c *Columns) read() error {
	r, err, ok := c.next()
	if !ok {
		return c.list.fileError("has only %d recipients: it is not the list of this campaign", c.row)
	}
	c.row++
	c.last = r
	return err
}

// At returns the cells of a recipient, and the recipient's line. The cells are valid until the next
// call. The parameter "row" is the recipient's position in the campaign, counted from 1. It must not be
// lower than in the previous call. The parameter "input" is the phone number that the campaign
// has at this position. At returns an *Error if the list has another phone number there.
func (c *Columns) At(row int, input string) (cells []string, line int, err error) {
	for c.row < row {
		if err := c.read(); err != nil {
			return nil, 0, err
		}
	}
	if number := c.last.Number; number[:min(len(number), maxInput)] != input {
		return nil, 0, c.list.errorHere("the list has the number %.40q, but the campaign has %.40q: it is not the list of this campaign", number, input)
	}
	c.cells = c.cells[:0]
	for _, at := range c.pick {
		cell := ""
		if at < len(c.list.cells) {
			cell = c.list.cells[at]
		}
		c.cells = append(c.cells, cell)
	}
	return c.cells, c.last.Line, nil
}

// Close ends the reading.
func (c *Columns) Close() { c.stop() }

// JoinNames returns the column names that are appended to the existing column names in the parameter "has". If a
// name already occurs, JoinNames adds a number to it, as in "status 2".
func JoinNames(has, names []string) []string {
	all := slices.Clone(has)
	for _, name := range names {
		one := name
		for n := 2; slices.Contains(all, one); n++ {
			one = fmt.Sprintf("%s %d", name, n)
		}
		all = append(all, one)
	}
	return all[len(has):]
}
