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

// What a workbook may have. Excel itself makes none that has more rows or columns.
const (
	// MaxWorkbook bounds the file, in bytes.
	MaxWorkbook = 256 << 20
	// MaxSheetRows is how many rows a sheet may have.
	MaxSheetRows = 1 << 20

	maxDirectory     = 1 << 20 // of the archive; a real one has some dozens of files
	maxPart          = 16 << 20
	maxSheet         = 2 << 30
	maxSharedStrings = 512 << 20
	// maxRatio is between what packed and unpacked sheets may have: real ones have 10
	// to 30, deflate ends at 1032.
	maxRatio = 300
	// ratioFrom is from how many bytes on that is asked.
	ratioFrom = 16 << 20
	// maxToken bounds a tag or a text within a sheet: a cell may have 32,767 characters.
	maxToken = 128 << 10
)

// workbook is an open Excel file. It is read here, and not by excelize, which streams
// rows too, for what that makes of dates: 45962 with its RawCellValue, which is any
// number, and without it "Nov-25" or "11/1/25", as the cell shows them. That one took 11
// to 18 seconds of a processor for 200,000 rows of five columns, where this takes 1.8
// to 2.8, both within 25 to 46 MB; with RawCellValue it was 3.3 to 4.6.
type workbook struct {
	*List
	file          archive
	files         map[string]*zip.File
	sheet         string
	part          *zip.File
	sharedStrings *sharedStrings
	// dates are the cell styles that show a number as a date, by their index.
	dates map[int]dateStyle
	// since1904: dates are counted from 1904 on, as the first Macs did.
	since1904 bool
}

// relation is an entry of a .rels file.
type relation struct{ id, kind, target string }

func (l *List) openWorkbook() (*workbook, error) {
	if l.size > MaxWorkbook {
		return nil, l.fileError("has %d MB, a workbook may have %d: save it as CSV UTF-8", l.size>>20, MaxWorkbook>>20)
	}
	w := &workbook{List: l, file: archive{src: l.src, left: maxDirectory}, files: map[string]*zip.File{}}
	z, err := zip.NewReader(&w.file, l.size)
	switch {
	case err != nil && w.file.err != nil:
		return nil, w.file.err
	case errors.Is(err, errDirectory):
		return nil, l.fileError("is no workbook that Excel has written: it has too many parts")
	case err != nil:
		return nil, l.fileError("is a damaged workbook: save it again")
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

// findSheet reads what the workbook is made of.
func (w *workbook) findSheet() error {
	main := "xl/workbook.xml"
	for _, r := range w.relations("_rels/.rels") {
		if strings.HasSuffix(r.kind, "/officeDocument") {
			main = path.Clean(strings.TrimPrefix(r.target, "/"))
		}
	}
	book := w.files[strings.ToLower(main)]
	if book == nil || !strings.HasSuffix(main, ".xml") {
		return w.fileError("is an archive, but no Excel workbook (.xlsx): save it as one, or as CSV UTF-8")
	}
	var names, ids []string
	err := w.scan(book, maxPart, func(e xml.StartElement) {
		switch e.Name.Local {
		case "sheet":
			names, ids = append(names, attribute(e, "name")), append(ids, attribute(e, "id"))
		case "workbookPr":
			on, _ := strconv.ParseBool(attribute(e, "date1904")) // false if there is none
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
			return w.fileError("has no rows in its sheet %.40q", name)
		}
		w.sheet = name
		return nil
	}
	if w.o.Sheet != "" {
		return w.fileError("has no sheet %.40q; it has %.200q", w.o.Sheet, names)
	}
	return w.fileError("has no sheet with rows")
}

// relations reads a .rels file; what is not there has none.
func (w *workbook) relations(name string) (out []relation) {
	f := w.files[strings.ToLower(name)]
	if f == nil {
		return nil
	}
	_ = w.scan(f, maxPart, func(e xml.StartElement) { // what is missing is missed where it is needed
		if e.Name.Local == "Relationship" {
			out = append(out, relation{attribute(e, "Id"), attribute(e, "Type"), attribute(e, "Target")})
		}
	})
	return out
}

// attribute is an element's attribute by its name, whatever its namespace.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// scan calls visit with every element of a small part.
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

// archive is the file of a workbook. It bounds what is read before its directory is
// known, and remembers what went wrong while reading, as against what is wrong with it.
type archive struct {
	src  io.ReaderAt
	left int
	open bool
	err  error
}

var errDirectory = errors.New("the directory is too large")

// ReadAt reads until the bound; then never again, until it is open.
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
