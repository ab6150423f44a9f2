package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/xlsx"
	"github.com/tuma-sms/tuma/producer"
)

// skippedFile is a file that lists the skipped recipients, as CSV or as a workbook. Methods of a nil
// skippedFile do nothing.
type skippedFile struct {
	file    *outputFile
	row     func(cells ...string) error
	end     func(complete bool) error
	columns *recipients.Columns // columns are the columns of the recipient list that are copied into the file; nil means no columns.
}

// skippedHeader is the header of the file.
var skippedHeader = []string{"row", "input", "reason", "code", "line"}

// resolveSkippedFile applies --rejects, the deprecated name of --skipped-file. It returns an error if
// both flags are given and name different files.
func (s *sendCommand) resolveSkippedFile(f *pflag.FlagSet) error {
	if !f.Changed("rejects") {
		return nil
	}
	name, err := f.GetString("rejects")
	if err != nil {
		return err
	}
	if f.Changed("skipped-file") && name != s.skippedFile {
		return misuse("--rejects is the deprecated name of --skipped-file, but the two flags name different files: use only --skipped-file")
	}
	s.skippedFile = name
	s.note("tuma: warning: --rejects is deprecated: use --skipped-file")
	return nil
}

// openSkippedFile creates the file of --skipped-file under a temporary name. It returns nil if the
// flag is not set.
func (s *sendCommand) openSkippedFile(src *source) (*skippedFile, error) {
	file, err := newOutputFile("--skipped-file", s.skippedFile)
	if file == nil || err != nil {
		return nil, err
	}
	r := &skippedFile{file: file}
	if err = r.open(src, s.skippedColumns); err == nil {
		header := slices.Clone(skippedHeader)
		if r.columns != nil {
			header = append(header, recipients.JoinNames(header, r.columns.Names())...)
		}
		err = r.row(header...)
	}
	if err != nil {
		return nil, errors.Join(err, r.close(false))
	}
	return r, nil
}

// The method "open" creates the table. The parameter "names" lists the columns of the list that are
// copied into the table. The method also opens these columns for reading.
func (r *skippedFile) open(src *source, names []string) (err error) {
	if strings.EqualFold(filepath.Ext(r.file.name), ".xlsx") {
		book, err := xlsx.NewWriter(r.file)
		if err != nil {
			return err
		}
		r.row, r.end = book.Row, book.Close
	} else {
		sheet := console.NewCSVSheet(r.file)
		r.row, r.end = sheet.Row, func(bool) error { return sheet.Flush() }
	}
	if len(names) == 0 {
		return nil
	}
	if len(names) == 1 && strings.EqualFold(names[0], "all") {
		names = nil
	}
	r.columns, err = src.openColumns(names)
	return err
}

// The method "add" writes one skipped recipient.
func (r *skippedFile) add(x producer.SkippedRecipient) error {
	if r == nil {
		return nil
	}
	cells := []string{strconv.Itoa(x.Row), x.Input, x.Reason, x.Code, strconv.Itoa(x.Line)}
	if r.columns != nil {
		more, _, err := r.columns.At(x.Row, x.Input)
		if err != nil {
			return asMisuse(err)
		}
		cells = append(cells, more...)
	}
	if err := r.row(cells...); err != nil {
		return fmt.Errorf("write %s: %w", r.file.name, err)
	}
	return nil
}

// The method "close" ends the table. If the parameter "complete" is false, the method removes the file.
func (r *skippedFile) close(complete bool) error {
	if r == nil {
		return nil
	}
	if r.columns != nil {
		r.columns.Close()
	}
	var err error
	if r.end != nil {
		err = r.end(complete)
	}
	return errors.Join(err, r.file.close(complete && err == nil))
}
