package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/xlsx"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

const formatXLSX = "xlsx"

// columnFlags adds the flags for columns of the list.
func (l *resultsCommand) columnFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&l.columns, "columns", nil, "also write these `columns` of the list, separated by commas; the word all means every column of --file, or, without --file, every column that the text uses")
	f.StringVarP(&l.file, "file", "f", "", "the `file` of recipients that was sent, for --columns")
	f.StringVar(&l.list.Column, "column", "", "with --file: `name` of the column with the numbers, as in tuma send")
	f.StringVar(&l.list.Sheet, "sheet", "", "with --file: `name` of the sheet of a workbook, as in tuma send")
	f.StringVar(&l.list.Encoding, "encoding", "", "with --file: `encoding` of the file, as in tuma send")
	f.StringVarP(&l.output, "output", "o", "", "write to this new `file`; the ending .xlsx, .jsonl or .csv of its name sets the format")
	_ = c.MarkFlagFilename("file")
	_ = c.MarkFlagFilename("output")
}

// checkFlags checks combinations of flags. Without --format it sets the format by the extension of
// the output file.
func (l *resultsCommand) checkFlags(c *cobra.Command) error {
	if !c.Flags().Changed("format") {
		switch extension := strings.ToLower(filepath.Ext(l.output)); extension {
		case ".xlsx", ".jsonl":
			l.format = extension[1:]
		}
	}
	switch {
	case !slices.Contains(resultFormats, l.format):
		return misuse("--format: %.40q must be csv, jsonl or xlsx", l.format)
	case l.format == formatXLSX && l.output == "" && console.IsTerminal(l.out):
		return misuse("--format xlsx cannot be written to a terminal: use --output results.xlsx")
	case l.file != "" && len(l.columns) == 0:
		return misuse("--file requires --columns: all, or the names of columns")
	case l.file == "-":
		return misuse("--file cannot read standard input: name the file of the list that was sent")
	}
	if l.output != "" {
		if _, err := os.Lstat(l.output); err == nil {
			return misuse("--output: %s already exists: remove it or choose another name", l.output)
		}
	}
	return nil
}

// uploaded reads the uploaded list in parallel with the results. For each result it returns the
// recipient's cells in the chosen columns, and the recipient's line in the file.
type uploaded struct {
	names []string
	// The function "at" returns the cells for a result, and the recipient's line in the file. The
	// line is 0 if --file is not given.
	at    func(r producer.Result) (cells []string, line int, err error)
	lines bool // The field "lines" is true if the function "at" returns line numbers of a file.
	close func() error
}

// openColumns opens the columns that --columns names.
func (l *resultsCommand) openColumns(ctx context.Context, b *backend, id string) (*uploaded, error) {
	names := l.columns
	if len(names) == 1 && strings.EqualFold(names[0], "all") {
		names = nil
	}
	switch {
	case len(l.columns) == 0:
		return &uploaded{close: func() error { return nil }}, nil
	case l.file == "":
		return storedColumns(ctx, b, id, names)
	}
	src, err := l.openSource(l.file, l.list)
	if err != nil {
		return nil, err
	}
	columns, err := src.openColumns(names)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	at := func(r producer.Result) ([]string, int, error) {
		cells, line, err := columns.At(r.Row, r.Input)
		return cells, line, asMisuse(err)
	}
	return &uploaded{names: columns.Names(), at: at, lines: true, close: func() error {
		columns.Close()
		return src.Close()
	}}, nil
}

// openColumns returns the columns of the source with the given names, or all columns if names is nil.
func (s *source) openColumns(names []string) (*recipients.Columns, error) {
	columns, err := recipients.OpenColumns(s.file, s.size, s.options, names)
	return columns, asMisuse(err)
}

// asMisuse turns an error about a mistake in a list into a usage error, which has exit status 2. It
// returns other errors unchanged.
func asMisuse(err error) error {
	if _, wrong := errors.AsType[*recipients.Error](err); wrong {
		return misuseError{err: err}
	}
	return err
}

// storedColumns returns the columns that a campaign keeps: the merge fields of its text.
func storedColumns(ctx context.Context, b *backend, id string, names []string) (*uploaded, error) {
	st, err := b.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	fields, err := producer.Fields(st.Body)
	if err != nil || len(fields) == 0 {
		return nil, misuse("--columns: the text of %s has no merge fields, so tuma keeps only the numbers: pass the list with --file", id)
	}
	u := &uploaded{names: fields, close: func() error { return nil }}
	pick := make([]int, 0, len(fields))
	if names == nil {
		for i := range fields {
			pick = append(pick, i)
		}
	} else {
		u.names = names
		for _, name := range names {
			i := slices.Index(fields, sms.FieldKey(name))
			if i < 0 {
				return nil, misuse("--columns: tuma keeps only the columns that the text of %s uses (%s): to get %.40q, pass the list with --file",
					id, strings.Join(fields, ", "), name)
			}
			pick = append(pick, i)
		}
	}
	cells := make([]string, len(pick))
	u.at = func(r producer.Result) ([]string, int, error) {
		for i, at := range pick {
			cells[i] = ""
			if at < len(r.Values) {
				cells[i] = r.Values[at]
			}
		}
		return cells, 0, nil
	}
	return u, nil
}

// header returns the header of the table of results.
func (u *uploaded) header() []string {
	header := slices.Clone(resultHeader)
	if u.lines {
		header = append(header, "line")
	}
	return append(header, recipients.JoinNames(header, u.names)...)
}

// row returns the cells of a result in the table. They are valid until the next call of
// the method "row".
func (u *uploaded) row(r producer.Result) ([]string, error) {
	cells := []string{strconv.Itoa(r.Row), r.MSISDN, r.Status, r.Reason, r.Account, r.MessageID, r.MessageUUID,
		r.Code, strconv.Itoa(r.Segments), r.Cost, r.Currency, console.FormatTime(r.UpdatedAt), r.Input, r.Ref, console.FormatTime(r.DeliveredAt)}
	if u.at == nil {
		return cells, nil
	}
	more, line, err := u.at(r)
	if u.lines {
		cells = append(cells, strconv.Itoa(line))
	}
	return append(cells, more...), err
}

// object returns the value that represents a result in the JSON output.
func (u *uploaded) object(r producer.Result) (any, error) {
	if u.at == nil {
		return r, nil
	}
	cells, line, err := u.at(r)
	columns := make(map[string]string, len(cells))
	for i, name := range recipients.JoinNames(nil, u.names) {
		if i < len(cells) {
			columns[name] = cells[i]
		}
	}
	return struct {
		producer.Result
		Line    int               `json:"line,omitempty"`
		Columns map[string]string `json:"columns"`
	}{r, line, columns}, err
}

// writeWorkbook writes the results as a workbook to w.
func writeWorkbook(w *xlsx.Writer, u *uploaded, results func(yield func(producer.Result, error) bool)) error {
	if err := w.Row(u.header()...); err != nil {
		return err
	}
	for r, err := range results {
		if err != nil {
			return err
		}
		cells, err := u.row(r)
		if err == nil {
			err = w.Row(cells...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
