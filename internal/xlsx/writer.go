package xlsx

import (
	"fmt"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// Writer writes a workbook of one sheet, row by row. To limit memory, it keeps rows beyond 16 MiB in a
// temporary file. A Writer is not safe for concurrent use.
type Writer struct {
	to   io.Writer
	file *excelize.File
	rows *excelize.StreamWriter
	n    int
	row  []any
}

// NewWriter returns a Writer. Its method Close writes the workbook to w.
func NewWriter(w io.Writer) (*Writer, error) {
	file := excelize.NewFile()
	rows, err := file.NewStreamWriter(showSheet)
	if err != nil {
		return nil, fmt.Errorf("write workbook: %w", err)
	}
	return &Writer{to: w, file: file, rows: rows}, nil
}

// Row writes one row of text cells. A spreadsheet neither computes a text cell nor changes its digits,
// so that a phone number stays unchanged and =1+1 is text. Row returns an error if the sheet already
// has MaxRows rows.
func (w *Writer) Row(cells ...string) error {
	if w.n++; w.n > MaxRows {
		return fmt.Errorf("write workbook: a sheet has at most %d rows, the header included: write CSV instead", MaxRows)
	}
	w.row = w.row[:0]
	for _, c := range cells {
		if c == "" {
			w.row = append(w.row, nil)
		} else {
			w.row = append(w.row, c)
		}
	}
	if err := w.rows.SetRow("A"+strconv.Itoa(w.n), w.row); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	return nil
}

// Close writes the workbook and removes the temporary file. If the parameter
// "complete" is false, Close does not write the workbook.
func (w *Writer) Close(complete bool) error {
	defer w.file.Close() //nolint:errcheck // only removes temporary files
	if !complete {
		return nil
	}
	err := w.rows.Flush()
	if err == nil {
		err = w.file.Write(w.to)
	}
	if err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	return nil
}
