package xlsx

import (
	"archive/zip"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"time"
)

// dateStyle is a set of flags, which tell if a cell style shows a number as a date, a time or
// both. 0 means an ordinary number.
type dateStyle byte

const (
	isDate dateStyle = 1 << iota
	isTime
)

// builtinDateStyle returns the style of a predefined number format (ECMA-376 part 1, 18.8.30).
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

// maxStyles is the maximum number of cell styles, which is Excel's.
const maxStyles = 65_490

// readStyles finds the cell styles that show a number as a date.
func (b *Book) readStyles(f *zip.File) error {
	custom := map[string]dateStyle{}
	b.dates = map[int]dateStyle{}
	n, inCells := 0, false
	return b.scan(f, maxPart, func(e xml.StartElement) {
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
				b.dates[n] = style
			}
			n++
		}
	})
}

// parseFormatCode returns the dateStyle of a number format. It looks for the letters of dates
// and times, and ignores text in quotes or brackets and characters after a backslash.
func parseFormatCode(code string) (style dateStyle) {
	quoted, bracket := false, false
	code, _, _ = strings.Cut(strings.ToLower(code), ";") // the first section is for positive numbers
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
			// [h], [m] and [s] count hours, minutes or seconds. Other brackets hold a colour
			// ([red]) or a language ([$-409]).
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
			style |= isDate // m means a month, or minutes in a format with h or s but without y or d
			if rest := code[i:]; strings.ContainsAny(rest, "hs") && !strings.ContainsAny(rest, "yd") {
				style = isTime
			}
		}
	}
	return style
}

// lastDate is the number of the first day after Excel's last date, the end of 9999.
const lastDate = 2_958_466

// date converts a number of days to a date such as 2025-11-30, a time such as 14:05 or both,
// depending on style. ok is false if number is not a date that Excel supports.
func (b *Book) date(number string, style dateStyle) (text string, ok bool) {
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || days < 0 || days >= lastDate {
		return "", false
	}
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case b.since1904:
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days >= 1 && days < 60:
		days++ // Excel counts 29 February 1900, which did not exist
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

// formatNumber converts a stored number to decimal notation with at most 15 digits, as a cell
// without a format shows it. It returns anything else unchanged.
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
