package recipients

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
)

// These are the limits of a workbook. MaxSheetRows and MaxColumns are the limits of Excel.
const (
	// MaxWorkbook is the maximum size of the file in bytes.
	MaxWorkbook = 256 << 20
	// MaxSheetRows is the maximum number of rows of a sheet.
	MaxSheetRows = 1 << 20

	// maxDirectory is the maximum size of the archive's directory in bytes. Real workbooks
	// have some dozens of files. maxPart, maxSheet and maxSharedStrings are the maximum
	// sizes of the unpacked parts in bytes.
	maxDirectory     = 1 << 20
	maxPart          = 16 << 20
	maxSheet         = 2 << 30
	maxSharedStrings = 512 << 20
	// maxRatio is the maximum ratio of the unpacked to the packed size of a part. Real
	// sheets have 10 to 30; deflate cannot exceed 1032.
	maxRatio = 300
	// ratioFrom is the unpacked size in bytes from which maxRatio is checked.
	ratioFrom = 16 << 20
	// maxToken is the maximum size of a tag or a text in a sheet, in bytes. Excel allows
	// 32,767 characters in a cell.
	maxToken = 128 << 10
)

// workbook is an open Excel file.
//
// This package has its own reader because of dates, although excelize streams rows too. With
// RawCellValue, excelize returns a date as a number such as 45962, which cannot be distinguished
// from other numbers. Without RawCellValue, it returns the text that the cell shows, such as
// "Nov-25" or "11/1/25". excelize is also slower. For 200,000 rows of five columns it took 11 to 18
// seconds of CPU time (3.3 to 4.6 with RawCellValue), and this reader took 1.8 to 2.8. Both used 25
// to 46 MB.
type workbook struct {
	*List
	file          archive
	files         map[string]*zip.File
	sheet         string
	part          *zip.File
	sharedStrings *sharedStrings
	// dates holds the cell styles that show a number as a date or time, by style index.
	dates map[int]dateStyle
	// since1904 is true if dates are counted from 1904, as on early Macs, instead of 1900.
	since1904 bool
}

// relation is an entry of a .rels file, which links the parts of a workbook.
type relation struct{ id, kind, target string }

// openWorkbook opens the archive and finds the sheet to read.
func (l *List) openWorkbook() (*workbook, error) {
	if l.size > MaxWorkbook {
		return nil, l.fileError("has %d MB, but a workbook may have at most %d: save it as CSV UTF-8", l.size>>20, MaxWorkbook>>20)
	}
	w := &workbook{List: l, file: archive{src: l.src, left: maxDirectory}, files: map[string]*zip.File{}}
	z, err := zip.NewReader(&w.file, l.size)
	switch {
	case err != nil && w.file.err != nil:
		return nil, w.file.err
	case errors.Is(err, errDirectory):
		return nil, l.fileError("is not a workbook written by Excel, because it has too many parts: save it as CSV UTF-8")
	case err != nil:
		return nil, l.fileError("is a damaged workbook: save it in Excel again")
	}
	w.file.open = true
	for _, f := range z.File {
		w.files[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	if err := w.findSheet(); err != nil {
		return nil, err
	}
	return w, nil
}

// findSheet reads the workbook's list of parts. It sets the sheet to read, the shared
// strings and the date styles.
func (w *workbook) findSheet() error {
	main := "xl/workbook.xml"
	for _, r := range w.relations("_rels/.rels") {
		if strings.HasSuffix(r.kind, "/officeDocument") {
			main = path.Clean(strings.TrimPrefix(r.target, "/"))
		}
	}
	book := w.files[strings.ToLower(main)]
	if book == nil || !strings.HasSuffix(main, ".xml") {
		return w.fileError("is an archive, but not an Excel workbook: save it as .xlsx or as CSV UTF-8")
	}
	var names, ids []string
	err := w.scan(book, maxPart, func(e xml.StartElement) {
		switch e.Name.Local {
		case "sheet":
			names, ids = append(names, attribute(e, "name")), append(ids, attribute(e, "id"))
		case "workbookPr":
			on, _ := strconv.ParseBool(attribute(e, "date1904")) // false if the attribute is missing
			w.since1904 = on
		}
	})
	if err != nil {
		return err
	}
	folder := path.Dir(main)
	target := map[string]relation{}
	for _, r := range w.relations(folder + "/_rels/" + path.Base(main) + ".rels") {
		if target[r.id] = r; strings.HasPrefix(r.target, "/") {
			r.target = strings.TrimPrefix(r.target, "/")
		} else {
			r.target = path.Join(folder, r.target)
		}
		target[r.id] = r
		switch part := w.files[strings.ToLower(r.target)]; {
		case part == nil:
		case strings.HasSuffix(r.kind, "/sharedStrings"):
			w.sharedStrings = &sharedStrings{part: part}
		case strings.HasSuffix(r.kind, "/styles"):
			if err := w.readStyles(part); err != nil {
				return err
			}
		}
	}
	for i, name := range names {
		r := target[ids[i]]
		if w.o.Sheet != "" && !strings.EqualFold(name, w.o.Sheet) || w.o.Sheet == "" && !strings.HasSuffix(r.kind, "/worksheet") {
			continue
		}
		if w.part = w.files[strings.ToLower(r.target)]; w.part == nil || !strings.HasSuffix(r.kind, "/worksheet") {
			return w.fileError("has no rows in its sheet %.40q: choose another with --sheet", name)
		}
		w.sheet = name
		return nil
	}
	if w.o.Sheet != "" {
		return w.fileError("has no sheet %.40q; it has %.200q", w.o.Sheet, names)
	}
	return w.fileError("has no sheet with rows: save the list as .xlsx or CSV UTF-8")
}

// relations reads a .rels file. It returns nil if the file does not exist.
func (w *workbook) relations(name string) (out []relation) {
	f := w.files[strings.ToLower(name)]
	if f == nil {
		return nil
	}
	_ = w.scan(f, maxPart, func(e xml.StartElement) { // the caller reports a missing part
		if e.Name.Local == "Relationship" {
			out = append(out, relation{attribute(e, "Id"), attribute(e, "Type"), attribute(e, "Target")})
		}
	})
	return out
}

// attribute returns the attribute with the given name in any namespace, or "" if e has no such
// attribute.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// scan calls visit with every start element of a part of at most most bytes.
func (w *workbook) scan(f *zip.File, most int64, visit func(xml.StartElement)) error {
	t, err := w.open(f, most)
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
// the directory, and notes read errors, so that they can be distinguished from errors of the
// format.
type archive struct {
	src  io.ReaderAt
	left int   // bytes that may be read until open is true
	open bool  // the directory has been read
	err  error // the last read error of src
}

var errDirectory = errors.New("the directory is too large")

// ReadAt reads from src. It returns errDirectory if the directory exceeds its limit.
func (a *archive) ReadAt(b []byte, at int64) (int, error) {
	if !a.open {
		if a.left -= len(b); a.left < 0 {
			return 0, errDirectory
		}
	}
	n, err := a.src.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}
