// Package xlsx streams the rows of one sheet of an Excel workbook (.xlsx) in bounded memory. For a
// damaged or hostile file, reading ends with an error that names the row.
package xlsx

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// These are the limits of a workbook. MaxRows and MaxColumns are the limits of Excel.
const (
	// MaxFile is the maximum size of the file in bytes.
	MaxFile = 256 << 20
	// MaxRows is the maximum number of rows of a sheet.
	MaxRows = 1 << 20
	// MaxColumns is the maximum number of columns of a sheet.
	MaxColumns = 16_384

	// maxDirectory is the maximum size of the archive's directory in bytes. Real workbooks
	// have some dozens of files. maxPart, maxSheet and maxSharedStrings are the maximum
	// sizes of the unpacked parts in bytes.
	maxDirectory     = 1 << 20
	maxPart          = 16 << 20
	maxSheet         = 2 << 30
	maxSharedStrings = 512 << 20
	// maxRatio is the maximum ratio of the unpacked to the packed size of a part. The ratio of real sheets is
	// 10 to 30. With deflate it cannot exceed 1032.
	maxRatio = 300
	// ratioFrom is a size in bytes. maxRatio applies only to a part that unpacks to more than ratioFrom.
	ratioFrom = 16 << 20
	// maxToken is the maximum size of a tag or a text in a sheet, in bytes. Excel allows
	// 32,767 characters in a cell.
	maxToken = 128 << 10
)

// Error is a mistake in a workbook that the user can correct.
type Error struct {
	// Row is the row with the mistake, from 1. It is 0 if the mistake is in the workbook as a whole.
	Row int
	// Problem describes the mistake and its correction. For a mistake in the workbook as a whole, the subject
	// of the text is the workbook, as in "is a damaged workbook".
	Problem string
}

// Error returns the row and the problem.
func (e *Error) Error() string {
	if e.Row == 0 {
		return "the file " + e.Problem
	}
	return fmt.Sprintf("row %d: %s", e.Row, e.Problem)
}

// Book is an open workbook with one sheet to read. It is not safe for concurrent use.
//
// excelize can stream rows too, but this package does not read rows with it, for two reasons. First, the caller
// needs a phone number in full and every other cell in the form that the sheet shows, but excelize returns all
// cells of a row in the same form. Second, excelize holds the whole file in memory. This package uses excelize
// only to format the contents of cells (type shower).
type Book struct {
	file          archive
	files         map[string]*zip.File
	sheet         string
	row           int // the number of the row that is being read, from 1; 0 before the first row
	part          *zip.File
	sharedStrings *sharedStrings
	// formats holds the number formats other than General, by the index of the cell style.
	formats map[int]numberFormat
	shower  *shower // nil until a cell needs it
	// since1904 is true if dates are counted from 1904, as on early Macs, instead of 1900.
	since1904 bool
	// recalculates is true if a spreadsheet program must compute all formulas when it opens the workbook. Then
	// the stored results, often 0, are wrong.
	recalculates bool
	visible      []string // names of the sheets that have rows and are not hidden
	// hiddenColumns are ranges of columns that the sheet does not show, from 0.
	hiddenColumns []columnRange
}

type columnRange struct{ first, last int }

// relation is an entry of a .rels file, which links the parts of a workbook.
type relation struct{ id, kind, target string }

// Open opens a workbook and one of its sheets. The workbook is in src and has "size" bytes. The
// parameter "sheet" is the name of the sheet; upper and lower case are equal. If "sheet" is empty,
// Open chooses the first sheet that has rows and is not hidden. The error is an *Error if the
// workbook has a mistake, and otherwise a read error. The caller must close the book.
func Open(src io.ReaderAt, size int64, sheet string) (*Book, error) {
	b := &Book{file: archive{src: src, left: maxDirectory}, files: map[string]*zip.File{}}
	if size > MaxFile {
		return nil, b.fileError("has %d MB, but a workbook may have at most %d MB: save it as CSV UTF-8", size>>20, MaxFile>>20)
	}
	z, err := zip.NewReader(&b.file, size)
	switch {
	case err != nil && b.file.err != nil:
		return nil, b.file.err
	case errors.Is(err, errDirectory):
		return nil, b.fileError("is not a workbook written by Excel, because it has too many parts: save it as CSV UTF-8")
	case err != nil:
		return nil, b.fileError("is a damaged workbook: save it in Excel again")
	}
	b.file.open = true
	for _, f := range z.File {
		// Some programs write the names with backslashes.
		b.files[strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/"))] = f
	}
	if err := b.findSheet(sheet); err != nil {
		return nil, err
	}
	if b.sharedStrings != nil {
		if err := b.sharedStrings.load(b); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

// Sheet returns the name of the sheet that Rows reads.
func (b *Book) Sheet() string { return b.sheet }

// Sheets returns the names of the sheets that have rows and are not hidden, in the order of the
// workbook.
func (b *Book) Sheets() []string { return b.visible }

// HiddenColumn reports whether the sheet hides the given column, counted from 0. The result is valid once the
// first row has been read.
func (b *Book) HiddenColumn(column int) bool {
	for _, r := range b.hiddenColumns {
		if column >= r.first && column <= r.last {
			return true
		}
	}
	return false
}

// Close removes the temporary file of the book. Only a book with many texts has such a file. Close leaves src open.
func (b *Book) Close() {
	b.sharedStrings.close()
	b.shower.close()
}

// fileError returns an *Error for the workbook as a whole.
func (b *Book) fileError(format string, args ...any) error {
	return &Error{Problem: fmt.Sprintf(format, args...)}
}

// errorHere returns an *Error for the row that is being read, or for the workbook if no row was
// read.
func (b *Book) errorHere(format string, args ...any) error {
	return &Error{Row: b.row, Problem: fmt.Sprintf(format, args...)}
}

// findSheet reads the workbook's list of parts. It sets the sheet to read, the shared strings and the date
// styles. The parameter "wanted" is the name of the sheet, or empty.
func (b *Book) findSheet(wanted string) error {
	main := "xl/workbook.xml"
	for _, r := range b.relations("_rels/.rels") {
		if strings.HasSuffix(r.kind, "/officeDocument") {
			main = path.Clean(strings.TrimPrefix(r.target, "/"))
		}
	}
	book := b.files[strings.ToLower(main)]
	if book == nil || !strings.HasSuffix(main, ".xml") {
		return b.fileError("is an archive, but not an Excel workbook: save it as .xlsx or as CSV UTF-8")
	}
	var sheets []sheetEntry
	err := b.scan(book, maxPart, func(e xml.StartElement) {
		switch e.Name.Local {
		case "sheet":
			state := attribute(e, "state")
			sheets = append(sheets, sheetEntry{name: attribute(e, "name"), id: attribute(e, "id"), hidden: state == "hidden" || state == "veryHidden"})
		case "calcPr":
			b.recalculates, _ = strconv.ParseBool(attribute(e, "fullCalcOnLoad")) // false if the attribute is missing
		case "workbookPr":
			on, _ := strconv.ParseBool(attribute(e, "date1904")) // false if the attribute is missing
			b.since1904 = on
		}
	})
	if err != nil {
		return err
	}
	folder := path.Dir(main)
	target := map[string]relation{}
	for _, r := range b.relations(folder + "/_rels/" + path.Base(main) + ".rels") {
		if target[r.id] = r; strings.HasPrefix(r.target, "/") {
			r.target = strings.TrimPrefix(r.target, "/")
		} else {
			r.target = path.Join(folder, r.target)
		}
		target[r.id] = r
		switch part := b.files[strings.ToLower(r.target)]; {
		case part == nil:
		case strings.HasSuffix(r.kind, "/sharedStrings"):
			b.sharedStrings = &sharedStrings{part: part}
		case strings.HasSuffix(r.kind, "/styles"):
			if err := b.readStyles(part); err != nil {
				return err
			}
		}
	}
	return b.chooseSheet(sheets, target, wanted)
}

// sheetEntry is a sheet in the workbook's list.
type sheetEntry struct {
	name, id string
	hidden   bool
}

// chooseSheet sets the sheet that is read. It is the sheet with the name in the parameter "wanted" or, if that
// is "", the first sheet that has rows and is not hidden. The map "target" maps the ID of a part to the part.
func (b *Book) chooseSheet(sheets []sheetEntry, target map[string]relation, wanted string) error {
	var names, hidden []string
	for _, s := range sheets {
		r := target[s.id]
		isSheet := strings.HasSuffix(r.kind, "/worksheet")
		part := b.files[strings.ToLower(r.target)]
		names = append(names, s.name)
		switch {
		case !isSheet:
		case s.hidden:
			hidden = append(hidden, s.name)
		default:
			b.visible = append(b.visible, s.name)
		}
		if b.part != nil || wanted != "" && !strings.EqualFold(s.name, wanted) || wanted == "" && (s.hidden || !isSheet) {
			continue
		}
		if part == nil || !isSheet {
			return b.fileError("has no rows in its sheet %.40q: choose another sheet with --sheet", s.name)
		}
		b.sheet, b.part = s.name, part
	}
	switch {
	case b.part != nil:
		return nil
	case wanted != "" && len(b.visible) > 0:
		return b.fileError("has no sheet %.40q: choose one of %.200q", wanted, b.visible)
	case wanted != "":
		return b.fileError("has no sheet %.40q; its sheets are %.200q", wanted, names)
	case len(hidden) > 0:
		return b.fileError("has only hidden sheets, %.200q: choose one with --sheet", hidden)
	}
	return b.fileError("has no sheet with rows: save the list as .xlsx or CSV UTF-8")
}

// relations reads a .rels file. It returns nil if the file does not exist.
func (b *Book) relations(name string) (out []relation) {
	f := b.files[strings.ToLower(name)]
	if f == nil {
		return nil
	}
	_ = b.scan(f, maxPart, func(e xml.StartElement) { // ignore the error: the caller reports a part that it does not find
		if e.Name.Local == "Relationship" {
			out = append(out, relation{attribute(e, "Id"), attribute(e, "Type"), attribute(e, "Target")})
		}
	})
	return out
}

// attribute returns the attribute with the given name in any namespace. If the element e does not have this
// attribute, it returns "".
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// The method "scan" calls the function "visit" with every start element of a part. The parameter "limit" is
// the maximum number of unpacked bytes of the part.
func (b *Book) scan(f *zip.File, limit int64, visit func(xml.StartElement)) error {
	t, err := b.open(f, limit)
	if err != nil {
		return err
	}
	defer t.close()
	for {
		token, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok {
			visit(e)
		}
	}
}

// archive reads the file of a workbook for the zip package. It limits the bytes that are read for
// the directory. It records read errors, so that the caller can distinguish them from errors of the
// format.
type archive struct {
	src  io.ReaderAt
	left int   // number of bytes of the directory that may still be read
	open bool  // true after the directory was read; from then on reading has no limit
	err  error // the last read error of src
}

var errDirectory = errors.New("the directory of the workbook's archive is too large")

// ReadAt reads from src. It returns errDirectory if the directory exceeds its limit.
func (a *archive) ReadAt(p []byte, at int64) (int, error) {
	if !a.open {
		if a.left -= len(p); a.left < 0 {
			return 0, errDirectory
		}
	}
	n, err := a.src.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}
