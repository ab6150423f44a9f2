package xlsx

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxStyles is the maximum number of cell styles, the same as in Excel. maxCode is the maximum
// length of a format code in bytes.
const (
	maxStyles = 65_490
	maxCode   = 255
)

// readStyles finds the number formats of the cell styles.
func (b *Book) readStyles(f *zip.File) error {
	custom := map[string]string{}
	b.formats = map[int]numberFormat{}
	n, inCells := 0, false
	return b.scan(f, maxPart, func(e xml.StartElement) {
		switch e.Name.Local {
		case "numFmt":
			if code := attribute(e, "formatCode"); len(custom) < maxStyles && len(code) <= maxCode {
				custom[attribute(e, "numFmtId")] = code
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
			format := numberFormat{code: custom[id]}
			if format.code == "" {
				format.id, _ = strconv.Atoi(id) // an invalid number becomes 0, which is General
			}
			if format != (numberFormat{}) && format.id != textFormat && !isGeneral(format.code) {
				b.formats[n] = format
			}
			n++
		}
	})
}

// textFormat is the predefined format @, which shows a number in the same way as General.
const textFormat = 49

// isGeneral reports whether a format code shows a number without a format.
func isGeneral(code string) bool { return code == "@" || strings.EqualFold(code, "General") }

// The method "number" returns a stored number in the form that the cell shows, or in full if it is
// a phone number.
func (b *Book) number(raw string, style int, isPhone bool) string {
	format, formatted := b.formats[style]
	if isPhone || !formatted {
		return formatNumber(raw)
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return raw
	}
	if b.shower == nil {
		if b.shower, err = newShower(b.since1904); err != nil {
			return formatNumber(raw)
		}
	}
	if before, after, ok := textAroundGeneral(format.code); ok {
		return before + formatNumber(raw) + after
	}
	if showsNothing(format.code, f) {
		return ""
	}
	if text, ok := b.shower.show(f, format); ok {
		return text
	}
	return formatNumber(raw)
}

// textAroundGeneral returns the texts before and after the word General in a format code such as
// General" days". excelize shows such a number without the texts. The result "ok" is false for
// other format codes.
func textAroundGeneral(code string) (before, after string, ok bool) {
	at := strings.Index(strings.ToLower(code), "general")
	if at < 0 {
		return "", "", false
	}
	before, ok = literalText(code[:at])
	if ok {
		after, ok = literalText(code[at+len("general"):])
	}
	return before, after, ok
}

// showsNothing reports whether a format code hides the number. A code hides a number if its section
// for this number is empty, as in 0;-0;; for 0. excelize does not support such a code:
// it shows the number.
func showsNothing(code string, number float64) bool {
	sections := strings.Split(code, ";")
	if len(sections) < 2 || strings.ContainsAny(code, `"\[`) {
		return false // the code cannot be split at semicolons, because a semicolon may be in a text, or a section may have a condition
	}
	at := 0
	switch {
	case number < 0:
		at = 1
	case number == 0 && len(sections) > 2:
		at = 2
	}
	return sections[at] == ""
}

// literalText returns the text of a part of a format code that consists only of texts. A text is in
// quotes, or after a backslash, or is a character that needs neither. The result "ok" is false for
// any other part.
func literalText(code string) (text string, ok bool) {
	for code != "" {
		switch {
		case code[0] == '"':
			quoted, rest, closed := strings.Cut(code[1:], `"`)
			if !closed {
				return "", false
			}
			text, code = text+quoted, rest
		case code[0] == '\\':
			_, size := utf8.DecodeRuneInString(code[1:])
			text, code = text+code[1:1+size], code[1+size:]
		case strings.IndexByte(" $+-()/:!^&'~{}<>=", code[0]) >= 0:
			text, code = text+code[:1], code[1:]
		default:
			return "", false
		}
	}
	return text, true
}

// isoDates are the forms of a date in a cell of kind d (ISO 8601).
var isoDates = []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04", time.DateOnly, "15:04:05"}

// isoDate returns the date of a cell of kind d in the form that the cell shows. It returns the
// cell's text unchanged if the cell has no format, or if the text is not a date.
func (b *Book) isoDate(raw string, style int) string {
	if _, formatted := b.formats[style]; !formatted {
		return strings.TrimSuffix(raw, "T00:00:00")
	}
	for _, layout := range isoDates {
		at, err := time.Parse(layout, raw)
		if err != nil {
			continue
		}
		first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
		if b.since1904 {
			first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		days := at.Sub(first).Hours() / 24
		if at.Year() == 0 { // a time of day
			days = at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Hours() / 24
		}
		return b.number(strconv.FormatFloat(days, 'f', -1, 64), style, false)
	}
	return raw
}

// formatNumber converts a stored number to decimal notation with at most 15 digits. A cell without
// a format shows this form. It returns any other text unchanged.
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

// unescape replaces the escapes with which Excel stores characters that XML forbids, such as
// _x000D_ for a carriage return. It replaces line ends by \n, and removes other control characters.
func unescape(text []byte) []byte {
	if !bytes.Contains(text, []byte("_x")) && bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	var units []rune
	out := make([]byte, 0, len(text))
	flush := func() {
		for i := 0; i < len(units); i++ {
			r := units[i]
			if i+1 < len(units) {
				if pair := decodePair(r, units[i+1]); pair != 0 {
					r = pair
					i++
				}
			}
			if r == '\n' || r == '\r' || r == '\t' || r >= ' ' {
				out = append(out, string(r)...)
			}
		}
		units = units[:0]
	}
	for len(text) > 0 {
		if code, ok := escapeOf(text); ok {
			units = append(units, code)
			text = text[escapeLength:]
			continue
		}
		flush()
		out = append(out, text[0])
		text = text[1:]
	}
	flush()
	out = bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(out, []byte("\r"), []byte("\n"))
}

// escapeLength is the length of an escape in bytes.
const escapeLength = len("_x000D_")

// escapeOf returns the code of the escape with which text begins.
func escapeOf(text []byte) (code rune, ok bool) {
	if len(text) < escapeLength || text[0] != '_' || text[1] != 'x' || text[escapeLength-1] != '_' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:escapeLength-1]), 16, 16)
	return rune(n), err == nil
}

// decodePair returns the character of a surrogate pair, or 0.
func decodePair(high, low rune) rune {
	if high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff {
		return 0
	}
	return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00)
}
