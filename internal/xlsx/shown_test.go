package xlsx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// workbook is a workbook that the test itself writes, part by part. The test does not use excelize
// here, because excelize cannot write some of these settings.
type workbook struct {
	sheets    string // entries of the list of sheets; by default, one sheet S
	calc      string // the calcPr element
	styles    string // the XML elements inside <styleSheet>
	texts     string // the XML elements inside <sst>, the shared strings
	sheet     string // the XML elements inside <worksheet>
	utf16     bool   // write the sheet in UTF-16
	backslash bool   // write the names of the parts with backslashes
}

func (w workbook) write(t *testing.T) *bytes.Reader {
	t.Helper()
	if w.sheets == "" {
		w.sheets = `<sheet name="S" sheetId="1" r:id="r1"/>`
	}
	parts := [][2]string{
		{"xl/workbook.xml", "<workbook><sheets>" + w.sheets + "</sheets>" + w.calc + "</workbook>"},
		{"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="sheet.xml"/><Relationship Id="r2" Type="x/worksheet" Target="other.xml"/>` +
			`<Relationship Id="r3" Type="x/sharedStrings" Target="texts.xml"/><Relationship Id="r4" Type="x/styles" Target="styles.xml"/></Relationships>`},
		{"xl/styles.xml", "<styleSheet>" + w.styles + "</styleSheet>"},
		{"xl/texts.xml", "<sst>" + w.texts + "</sst>"},
		{"xl/other.xml", `<worksheet><sheetData><row><c t="str"><v>other</v></c></row></sheetData></worksheet>`},
		{"xl/sheet.xml", `<?xml version="1.0" encoding="UTF-8"?><worksheet>` + w.sheet + "</worksheet>"},
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, p := range parts {
		name, text := p[0], p[1]
		if w.utf16 && name == "xl/sheet.xml" {
			units := utf16.Encode([]rune("\ufeff" + strings.Replace(text, "UTF-8", "UTF-16", 1)))
			var b []byte
			for _, u := range units {
				b = append(b, byte(u), byte(u>>8))
			}
			text = string(b)
		}
		if w.backslash {
			name = strings.ReplaceAll(name, "/", `\`)
		}
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out.Bytes())
}

// cellsOf returns the texts of all cells of the first row of a sheet.
func cellsOf(t *testing.T, src *bytes.Reader, sheet string) (texts []string, err error) {
	t.Helper()
	b, err := Open(src, src.Size(), sheet)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	for r, err := range b.Rows(func(int) bool { return true }) {
		if err != nil {
			return nil, err
		}
		for i := range r.Cells {
			text, err := r.Text(&r.Cells[i])
			if err != nil {
				return nil, err
			}
			texts = append(texts, string(text))
		}
		break
	}
	return texts, nil
}

// row returns the data of a sheet with one row.
func row(cells string) string { return "<sheetData><row>" + cells + "</row></sheetData>" }

// Text must return a number in the form that the sheet shows in the cell.
func TestText_IsWhatTheSheetShows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ code, number, want string }{
		{"#,##0.00", "999999.99", "999,999.99"},
		{"#,##0", "1234567.6", "1,234,568"},
		{"0%", "0.15", "15%"},
		{"0.0%", "0.155", "15.5%"},
		{`"KES "#,##0.00`, "1500", "KES 1,500.00"},
		{`#,##0.00" KES"`, "1500", "1,500.00 KES"},
		{"#,##0.00;(#,##0.00)", "-1500", "(1,500.00)"},
		{"00000", "42", "00042"},
		{"d mmm yyyy", "46365", "9 Dec 2026"},
		{"yyyy-mm-dd", "46365", "2026-12-09"},
		{"dd/mm/yyyy hh:mm", "46365.5", "09/12/2026 12:00"},
		{"dddd", "46365", "Wednesday"},
		{"mmm-yy", "46365", "Dec-26"},
		{"h:mm AM/PM", "0.75", "6:00 PM"},
		{"[h]:mm", "1.5", "36:00"},
		{"[mm]:ss", "0.5", "720:00"},
		{"0.00E+00", "1500", "1.50E+03"},
		{"General", "19.989999999999998", "19.99"},
		{"@", "1500.50", "1500.5"},
		{"[Red]0", "7", "7"},
		{`General" days"`, "5.5", "5.5 days"},
		{`"No "General\.`, "5", "No 5."},
		{"#,##0;-#,##0;;@", "0", ""},
		{"#,##0;-#,##0;;@", "1500", "1,500"},
	} {
		styles := fmt.Sprintf(`<numFmts><numFmt numFmtId="164" formatCode="%s"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>`,
			strings.ReplaceAll(tt.code, `"`, "&quot;"))
		got, err := cellsOf(t, workbook{styles: styles, sheet: row(`<c s="1"><v>` + tt.number + `</v></c>`)}.write(t), "")
		if diff := cmp.Diff([]string{tt.want}, got); err != nil || diff != "" {
			t.Errorf("%s in the format %s: error %v %s", tt.number, tt.code, err, diff)
		}
	}
}

func TestText_PredefinedFormats(t *testing.T) {
	t.Parallel()
	for id, tt := range map[int][2]string{
		1: {"1500.4", "1500"}, 2: {"1500", "1500.00"}, 3: {"1500", "1,500"}, 4: {"1500", "1,500.00"}, 9: {"0.15", "15%"}, 10: {"0.155", "15.50%"},
		14: {"46365", "09/12/2026"}, 15: {"46365", "9-Dec-26"}, 20: {"0.75", "18:00"}, 22: {"46365.5", "09/12/2026 12:00"}, 46: {"1.25", "30:00:00"},
		49: {"1500", "1500"}, 0: {"0.1", "0.1"}, 9999: {"7", "7"},
	} {
		styles := fmt.Sprintf(`<cellXfs><xf numFmtId="%d"/></cellXfs>`, id)
		got, err := cellsOf(t, workbook{styles: styles, sheet: row(`<c s="0"><v>` + tt[0] + `</v></c>`)}.write(t), "")
		if diff := cmp.Diff([]string{tt[1]}, got); err != nil || diff != "" {
			t.Errorf("%s in format %d: error %v %s", tt[0], id, err, diff)
		}
	}
}

// Digits must return a phone number in full, even if its cell shows another form.
func TestDigits_IgnoresTheFormat(t *testing.T) {
	t.Parallel()
	src := workbook{styles: `<cellXfs><xf numFmtId="4"/><xf numFmtId="11"/><xf numFmtId="14"/></cellXfs>`,
		sheet: row(`<c s="0"><v>254712345678</v></c><c s="1"><v>254712345678</v></c><c s="2"><v>45991</v></c><c s="0"><v>-712345424</v></c>`)}.write(t)
	b, err := Open(src, src.Size(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var got []string
	for r, err := range b.Rows(func(int) bool { return true }) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Cells {
			text, err := r.Digits(&r.Cells[i])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(text))
		}
	}
	if diff := cmp.Diff([]string{"254712345678", "254712345678", "45991", "-712345424"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestText_OtherKindsOfCells(t *testing.T) {
	t.Parallel()
	const styles = `<numFmts><numFmt numFmtId="164" formatCode="d mmm yyyy"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="20"/></cellXfs>`
	const texts = `<si><t>Moi Avenue_x000D_
Nairobi</t></si><si><t>SKU_x005F_x0041_</t></si><si><t>a_x0009_b_x0007_c _xD83D__xDE00_ _xZZZZ_ _x00</t></si>`
	cells := `<c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c><c t="inlineStr"><is><t>x_x000D_y</t></is></c><c t="str"><f>A1</f><v>z_x000A_</v></c>` +
		`<c t="d" s="1"><v>2026-12-09T00:00:00</v></c><c t="d"><v>2026-12-09</v></c><c t="d" s="1"><v>soon</v></c><c t="d" s="2"><v>2026-12-09T18:30:00</v></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c>`
	want := []string{"Moi Avenue\nNairobi", "SKU_x0041_", "a\tbc 😀 _xZZZZ_ _x00", "x\ny", "z\n", "9 Dec 2026", "2026-12-09", "soon", "18:30", "TRUE", "#N/A"}
	for name, w := range map[string]workbook{"plain": {}, "UTF-16": {utf16: true}, "backslashes": {backslash: true}} {
		w.styles, w.texts, w.sheet = styles, texts, row(cells)
		got, err := cellsOf(t, w.write(t), "")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v %s", name, err, diff)
		}
	}
}

// For a formula whose result was never stored, Text must return an error, not a blank or a zero.
func TestText_FormulaNeverComputed(t *testing.T) {
	t.Parallel()
	const reload = `<calcPr calcId="1" fullCalcOnLoad="1"/>`
	for name, tt := range map[string]struct {
		calc, cell string
		want       []string // nil: an error
	}{
		"no result":                              {"", `<c><f>1500+250</f></c>`, nil},
		"an empty result":                        {"", `<c><f>1500+250</f><v/></c>`, nil},
		"a text without a result":                {"", `<c t="str"><f>A2</f></c>`, nil},
		"a result of a workbook to recompute":    {reload, `<c><f>1500+250</f><v>0</v></c>`, nil},
		"a shared formula":                       {reload, `<c><f t="shared" si="0"/><v>0</v></c>`, nil},
		"computed":                               {"", `<c><f>1500+250</f><v>1750</v></c>`, []string{"1750"}},
		"computed to zero":                       {"", `<c><f>1-1</f><v>0</v></c>`, []string{"0"}},
		"computed to an empty text":              {"", `<c t="str"><f>""</f><v></v></c>`, []string{""}},
		"no formula, in a workbook to recompute": {reload, `<c><v>1750</v></c>`, []string{"1750"}},
	} {
		got, err := cellsOf(t, workbook{calc: tt.calc, sheet: row(tt.cell)}.write(t), "")
		if _, ok := errors.AsType[*Error](err); tt.want == nil && (!ok || err.Error() !=
			"row 1: the formula in column A was never computed: open the workbook in a spreadsheet program and save it") {
			t.Errorf("%s: got %q, error %v; want an error", name, got, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || tt.want != nil && err != nil {
			t.Errorf("%s: error %v %s", name, err, diff)
		}
	}
}

// If the caller names no sheet, Open must choose the first sheet that is not hidden.
func TestOpen_HiddenSheets(t *testing.T) {
	t.Parallel()
	const first, second = `<sheet name="First" r:id="r1"%s/>`, `<sheet name="Second" r:id="r2"%s/>`
	const hidden, veryHidden = ` state="hidden"`, ` state="veryHidden"`
	for name, tt := range map[string]struct {
		sheets, wanted string
		read           string
		visible        []string
		problem        string
	}{
		"both visible":                {fmt.Sprintf(first+second, "", ""), "", "First", []string{"First", "Second"}, ""},
		"the first hidden":            {fmt.Sprintf(first+second, hidden, ""), "", "Second", []string{"Second"}, ""},
		"the first very hidden":       {fmt.Sprintf(first+second, veryHidden, ""), "", "Second", []string{"Second"}, ""},
		"a hidden one that is wanted": {fmt.Sprintf(first+second, hidden, ""), "first", "First", []string{"Second"}, ""},
		"all hidden":                  {fmt.Sprintf(first+second, hidden, veryHidden), "", "", nil, `the file has only hidden sheets, ["First" "Second"]: choose one with --sheet`},
		"no such sheet":               {fmt.Sprintf(first+second, hidden, ""), "May", "", nil, `the file has no sheet "May": choose one of ["Second"]`},
	} {
		src := workbook{sheets: tt.sheets}.write(t)
		b, err := Open(src, src.Size(), tt.wanted)
		if tt.problem != "" {
			if err == nil || err.Error() != tt.problem {
				t.Errorf("%s: error %v; want %s", name, err, tt.problem)
			}
			continue
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(tt.visible, b.Sheets()); b.Sheet() != tt.read || diff != "" {
			t.Errorf("%s: reads %q; want %q; visible sheets: %s", name, b.Sheet(), tt.read, diff)
		}
		b.Close()
	}
}

func TestHiddenColumn(t *testing.T) {
	t.Parallel()
	src := workbook{sheet: `<cols><col min="2" max="3" hidden="1"/><col min="5" max="5"/></cols>` + row(`<c><v>1</v></c>`)}.write(t)
	b, err := Open(src, src.Size(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, err := range b.Rows(func(int) bool { return true }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for column, want := range []bool{false, true, true, false, false} {
		if b.HiddenColumn(column) != want {
			t.Errorf("HiddenColumn(%d) = %v; want %v", column, !want, want)
		}
	}
}

// For every format code of a workbook, the method "show" must not panic, and a second call must
// return the same text for the same number.
func FuzzShownNumbers(f *testing.F) {
	for _, code := range []string{"#,##0.00", "0%", "d mmm yyyy", "[h]:mm", `"x"0`, "General", "", "0;-0;;@", "yyyy\\-mm", "[$-409]mmm", "# ?/?"} {
		f.Add(46365.25, code)
	}
	f.Fuzz(func(t *testing.T, number float64, code string) {
		if len(code) > maxCode || number != number || number > 1e15 || number < -1e15 {
			return
		}
		s, err := newShower(false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		first, ok := s.show(number, numberFormat{code: code})
		second, again := s.show(number, numberFormat{code: code})
		if first != second || ok != again {
			t.Errorf("show(%v, %q) = %q, %v, and then %q, %v", number, code, first, ok, second, again)
		}
	})
}

func TestFormatNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"254712345678": "254712345678", "2.54712345678E11": "254712345678", "2.547123456E+11": "254712345600", "254712345678.0": "254712345678",
		"19.989999999999998": "19.99", "-1.5": "-1.5", "1E400": "1E400", "0712345678": "0712345678", "": "", "NaN": "NaN", "1e-7": "0.0000001",
	} {
		if got := formatNumber(in); got != want {
			t.Errorf("formatNumber(%q) = %q; want %q", in, got, want)
		}
	}
}
