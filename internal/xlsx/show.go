package xlsx

import (
	"strconv"

	"github.com/xuri/excelize/v2"
)

// numberFormat is the format of a cell style: a predefined number format, or a format code of the
// workbook. The zero value is General, which shows a number without a format.
type numberFormat struct {
	id   int // the number of the predefined format in ECMA-376 part 1, 18.8.30; 0 if the field "code" is set
	code string
}

// excelize applies these formats if a predefined format depends on the language of the spreadsheet program. In
// Kenya and Nigeria, a date begins with the day.
const (
	shortDate = "dd/mm/yyyy"
	longDate  = "d mmmm yyyy"
	longTime  = "hh:mm:ss"
)

// shower formats numbers in the form that the cells of a workbook show. excelize does the
// formatting: shower keeps a small workbook in memory, with one cell for each number format, and
// writes each number into the cell with the number's format.
type shower struct {
	file  *excelize.File
	cells map[numberFormat]string // names of the cells
	seen  map[shownKey]shown
}

// shown is the text that a cell shows. The field "ok" is false if excelize cannot apply the format.
type shown struct {
	text string
	ok   bool
}

type shownKey struct {
	format numberFormat
	number float64
}

// maxSeen is the maximum number of formatted numbers that a shower caches. Most columns with a format, such as
// dates, rates and round amounts, have few different values.
const maxSeen = 4096

func newShower(since1904 bool) (*shower, error) {
	s := &shower{cells: map[numberFormat]string{}, seen: map[shownKey]shown{},
		file: excelize.NewFile(excelize.Options{ShortDatePattern: shortDate, LongDatePattern: longDate, LongTimePattern: longTime})}
	if err := s.file.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &since1904}); err != nil {
		return nil, err
	}
	return s, nil
}

// show returns the text that a cell shows for the number in the format. The result "ok" is false if excelize
// cannot apply the format, for example because the workbook is damaged.
func (s *shower) show(number float64, format numberFormat) (text string, ok bool) {
	key := shownKey{format, number}
	if x, known := s.seen[key]; known {
		return x.text, x.ok
	}
	defer func() {
		if recover() != nil { // excelize may panic, because the format comes from the file and may be anything
			text, ok = "", false
		}
		if len(s.seen) == maxSeen {
			clear(s.seen)
		}
		s.seen[key] = shown{text, ok}
	}()
	cell, ok := s.cell(format)
	if !ok {
		return "", false
	}
	if err := s.file.SetCellFloat(showSheet, cell, number, -1, 64); err != nil {
		return "", false
	}
	text, err := s.file.GetCellValue(showSheet, cell)
	return text, err == nil && text != ""
}

const showSheet = "Sheet1"

// cell returns the name, such as A7, of the cell with the given format in the shower's own workbook. It adds
// the cell if the workbook has no cell with the format yet.
func (s *shower) cell(format numberFormat) (name string, ok bool) {
	if name, ok := s.cells[format]; ok {
		return name, name != ""
	}
	style := &excelize.Style{NumFmt: format.id}
	if format.code != "" {
		style = &excelize.Style{CustomNumFmt: &format.code}
	}
	id, err := s.file.NewStyle(style)
	if err == nil {
		name = "A" + strconv.Itoa(len(s.cells)+1)
		err = s.file.SetCellStyle(showSheet, name, name, id)
	}
	if err != nil {
		name = ""
	}
	s.cells[format] = name
	return name, name != ""
}

// close releases the shower's own workbook.
func (s *shower) close() {
	if s != nil {
		_ = s.file.Close() // no data is lost, because this workbook is only in memory
	}
}
