package sms

import (
	"bytes"
	"strings"
	"time"
)

// keepDecimals is the value of n for the filter "number" without an argument. It means that the
// value keeps its decimals.
const keepDecimals = -1

// maxDecimals is the largest number of decimals N in the filter "number:N".
const maxDecimals = 6

// maxNumberDigits is the maximum number of digits of a value that the filter "number" formats.
const maxNumberDigits = 40

// formatNumber replaces a number in dst[from:] by the same number with a comma after each thousand,
// rounded half away from zero to n decimals. A value that is not a number is not changed. A sign
// and a percent sign are kept, and commas that group thousands are accepted.
func formatNumber(dst []byte, from, n int) []byte {
	whole, decimals, sign, percent, ok := splitNumber(dst[from:])
	if !ok {
		return dst
	}
	// The variable "digits" holds the digits of the number without the decimal point. The last
	// len(decimals) digits are decimals.
	var buf [maxNumberDigits + maxDecimals + 2]byte
	digits := append(buf[:0], '0') // room for a carry: 9.99 becomes 10.0
	digits = append(digits, whole...)
	digits = append(digits, decimals...)
	shown := len(decimals)
	if n != keepDecimals {
		for ; shown < n; shown++ {
			digits = append(digits, '0')
		}
		digits = roundDigits(digits, shown-n)
		shown = n
	}
	whole = bytes.TrimLeft(digits[:len(digits)-shown], "0")
	if len(whole) == 0 {
		whole = []byte{'0'}
	}
	zero := strings.Trim(string(digits), "0") == ""
	fraction := digits[len(digits)-shown:]
	dst = dst[:from]
	if sign && !zero {
		dst = append(dst, '-')
	}
	for i, d := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, d)
	}
	if len(fraction) > 0 {
		dst = append(dst, '.')
		dst = append(dst, fraction...)
	}
	if percent {
		dst = append(dst, '%')
	}
	return dst
}

// splitNumber splits a decimal number into its digits before and after the point. The result "ok"
// is false if v is not a plain number, for example if it has letters or is in scientific notation.
func splitNumber(v []byte) (whole, decimals []byte, negative, percent, ok bool) {
	if rest, found := bytes.CutPrefix(v, []byte("\u2212")); found {
		v, negative = rest, true
	} else if len(v) > 0 && (v[0] == '-' || v[0] == '+') {
		v, negative = v[1:], v[0] == '-'
	}
	if rest, found := bytes.CutSuffix(v, []byte("%")); found {
		v, percent = bytes.TrimRight(rest, " "), true
	}
	w, d, point := bytes.Cut(v, []byte("."))
	if len(w)+len(d) > maxNumberDigits || point && len(d) == 0 || !allDigits(d) {
		return nil, nil, false, false, false
	}
	groups := bytes.Split(w, []byte(","))
	for i, g := range groups {
		if len(g) == 0 || !allDigits(g) || i > 0 && len(g) != 3 || i == 0 && len(groups) > 1 && len(g) > 3 {
			return nil, nil, false, false, false
		}
	}
	// The results are copies, because the caller overwrites v while it uses the results.
	return bytes.Join(groups, nil), bytes.Clone(d), negative, percent, true
}

func allDigits(b []byte) bool { return len(bytes.Trim(b, "0123456789")) == 0 }

// roundDigits removes the last n digits and rounds the remaining number, half away from zero. The
// first digit must be 0, because rounding may carry into this digit.
func roundDigits(digits []byte, n int) []byte {
	if n <= 0 {
		return digits
	}
	up := digits[len(digits)-n] >= '5'
	digits = digits[:len(digits)-n]
	for i := len(digits) - 1; up && i >= 0; i-- {
		if digits[i] != '9' {
			digits[i]++
			break
		}
		digits[i] = '0'
	}
	return digits
}

// dateForms are the forms of a date that the filter "date" can write. The first form is the
// default.
var dateForms = []struct{ name, layout string }{
	{"", "2 Jan 2006"},
	{"long", "2 January 2006"},
	{"short", "02/01/2006"},
	{"iso", "2006-01-02"},
	{"day", "Mon 2 Jan"},
}

// dateLayouts are the forms of a date that the filter "date" can read. A date such as 09/12/2026
// begins with the day, as in Kenya and Nigeria. But 12/25/2026 can only begin with the month.
var dateLayouts = []string{
	"2006-1-2", "2006/1/2", "2/1/2006", "2-1-2006", "2.1.2006", "1/2/2006", "1-2-2006",
	"2 Jan 2006", "2 January 2006", "2-Jan-2006", "2-January-2006", "Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006",
	"Mon, 2 Jan 2006", "Monday, 2 January 2006", "Monday, January 2, 2006",
}

// maxDate is the length in bytes of the longest date that the filter "date" parses.
const maxDate = 48

// formatDate replaces a date in dst[from:] by the same date in the given layout. formatDate drops a
// time of day. A value that is not a date is not changed.
func formatDate(dst []byte, from int, layout string) []byte {
	if len(dst)-from > maxDate {
		return dst
	}
	value := string(dst[from:])
	for _, separator := range []string{"T", " "} {
		// The date is the part before a time: 2026-12-09T08:30:00Z, 9 Dec 2026 08:30.
		if i := strings.LastIndex(value, separator); i > 0 && strings.Contains(value[i:], ":") {
			value = strings.TrimRight(value[:i], " ,")
			break
		}
	}
	for _, known := range dateLayouts {
		if day, err := time.Parse(known, value); err == nil {
			return day.AppendFormat(dst[:from], layout)
		}
	}
	return dst
}
