package recipients

import (
	"archive/zip"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"time"
)

// dateStyle says what a number in a cell stands for.
type dateStyle byte

const (
	isDate dateStyle = 1 << iota
	isTime
)

// builtinDates are the number formats that need no definition, ECMA-376 part 1, 18.8.30.
func builtinDateStyle(id int) dateStyle {
	switch {
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 58:
		return isDate
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id >= 45 && id <= 47:
		return isTime
	case id == 22:
		return isDate | isTime
	}
	return 0
}

// maxStyles is how many cell styles Excel takes.
const maxStyles = 65_490

// readStyles finds the cell styles that show a number as a date.
func (w *workbook) readStyles(f *zip.File) error {
	custom := map[string]dateStyle{}
	w.dates = map[int]dateStyle{}
	n, inCells := 0, false
	return w.scan(f, maxPart, func(e xml.StartElement) {
		switch e.Name.Local {
		case "numFmt":
			if len(custom) < maxStyles {
				custom[attribute(e, "numFmtId")] = parseFormatCode(attribute(e, "formatCode"))
			}
		case "cellXfs":
			inCells = true
		case "cellStyleXfs", "cellStyles", "dxfs":
			inCells = false
		case "xf":
			if !inCells || n == maxStyles {
				return
			}
			id := attribute(e, "numFmtId")
			style, ok := custom[id]
			if !ok {
				number, err := strconv.Atoi(id)
				if err == nil {
					style = builtinDateStyle(number)
				}
			}
			if style != 0 {
				w.dates[n] = style
			}
			n++
		}
	})
}

// formatCode finds out whether a number format has letters of dates or of times,
// outside of quotes, brackets and what a backslash protects.
func parseFormatCode(code string) (style dateStyle) {
	quoted, bracket := false, false
	code, _, _ = strings.Cut(strings.ToLower(code), ";") // of the positive numbers
	if strings.Contains(code, "general") {
		return 0
	}
	for i := 0; i < len(code); i++ {
		switch c := code[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\\' || c == '_' || c == '*':
			i++
		case c == '[':
			// [h] counts hours, [red] is a colour and [$-409] a language.
			if rest := code[i+1:]; strings.HasPrefix(rest, "h") || strings.HasPrefix(rest, "m]") || strings.HasPrefix(rest, "mm]") || strings.HasPrefix(rest, "s") {
				style |= isTime
			}
			bracket = true
		case c == ']':
			bracket = false
		case bracket:
		case c == 'y' || c == 'd':
			style |= isDate
		case c == 'h' || c == 's':
			style |= isTime
		case c == 'm' && style == 0:
			style |= isDate // a month, unless hours or seconds stand beside it
			if rest := code[i:]; strings.ContainsAny(rest, "hs") && !strings.ContainsAny(rest, "yd") {
				style = isTime
			}
		}
	}
	return style
}

// Dates that Excel knows: until the end of the year 9999.
const lastDate = 2_958_466

// date writes the number of a date as 2025-11-30, 14:05 or both.
func (w *workbook) date(number string, style dateStyle) (string, bool) {
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || days < 0 || days >= lastDate {
		return "", false
	}
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case w.since1904:
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days >= 1 && days < 60:
		days++ // Excel has a 29 February 1900
	}
	at := first.Add(time.Duration(math.Round(days*86400)) * time.Second)
	switch style {
	case isDate:
		return at.Format(time.DateOnly), true
	case isTime:
		return at.Format("15:04"), true
	}
	return at.Format("2006-01-02 15:04"), true
}

// shownNumber writes a number as a cell shows it that has no format: with no more
// than 15 digits, and without an exponent.
func formatNumber(s string) string {
	if strings.Trim(s, "0123456789") == "" {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return s
	}
	if f, err = strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64); err != nil {
		return s
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
