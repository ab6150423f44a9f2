package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cell is what was found in the cell of a number: its digits, as ASCII.
type rawNumber struct {
	buf [maxInput]byte
	n   int
	// plus: a plus sign stood before them, or a link that has the calling code always.
	plus bool
	// breaks are the counts of digits before which there was white space.
	breaks [maxInput]byte
	nBreak int
}

// maxInput is how many bytes of input are worth looking at.
const maxInput = 64

func (c *rawNumber) digits() string { return string(c.buf[:c.n]) }

// clean takes the digits out of s.
func extractDigits(s string) (c *rawNumber, reason NumberReason) {
	if len(s) > maxInput {
		return nil, ReasonTooLong
	}
	c = &rawNumber{}
	whole := s
	s, c.plus = unwrap(s)
	var points, commas, slashes, tail int
	for _, r := range s {
		d, isDigit := digitOf(r)
		switch {
		case isDigit:
			c.buf[c.n] = d
			c.n++
			tail++
		case r == '+' || r == '\uFF0B':
			if c.plus || c.n > 0 {
				return nil, junkReason(whole)
			}
			c.plus = true
		case r == '.':
			points++
			tail = 0
		case r == ',':
			commas++
			tail = 0
		case r == '/':
			slashes++
		case !isSeparator(r):
			return nil, junkReason(whole)
		case unicode.IsSpace(r):
			c.breaks[c.nBreak] = byte(c.n)
			c.nBreak++
		}
	}
	fraction := (points == 1 || points == 0 && commas == 1) && slashes == 0 && (tail == 1 || tail == 2)
	switch {
	case c.n == 0 && c.plus:
		return nil, ReasonNotANumber
	case c.n == 0:
		return nil, ReasonEmpty
	case fraction:
		// Taken for a separator, the point of 254712345678.0 would add a digit.
		return c, c.cutFraction(tail)
	case commas+slashes > 0 && isSeveral(s):
		return nil, ReasonSeveralNumbers
	case c.n <= 8 && isDate(s):
		// Of eight digits, and in some countries a number.
		return nil, ReasonNotANumber
	}
	return c, ""
}

// fewest is fewer digits than can be a number by itself in a cell of several.
const minDigits = 7

// cutFraction takes off the zeros behind a decimal point.
func (c *rawNumber) cutFraction(tail int) NumberReason {
	whole := c.n - tail
	if whole < minDigits || strings.Trim(string(c.buf[whole:c.n]), "0") != "" {
		return ReasonDecimal
	}
	c.n = whole
	return ""
}

// unwrap takes off what stands around numbers: quotes, of a spreadsheet's text too
// ('0712…, ="0712…"), and what makes a link of them. international says that the
// link has the calling code first.
func unwrap(s string) (inner string, international bool) {
	s = strings.TrimFunc(s, isWrapping)
	for _, scheme := range [...]string{"tel:", "sms:", "whatsapp:", "callto:"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return strings.TrimFunc(s[len(scheme):], isWrapping), false
		}
	}
	link := s
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(link) > len(scheme) && strings.EqualFold(link[:len(scheme)], scheme) {
			link = link[len(scheme):]
		}
	}
	const whatsApp = "wa.me/"
	if len(link) > len(whatsApp) && strings.EqualFold(link[:len(whatsApp)], whatsApp) {
		// A link may have its plus sign all the same.
		return strings.TrimPrefix(link[len(whatsApp):], "+"), true
	}
	return s, false
}

func isWrapping(r rune) bool {
	switch r {
	case '\'', '"', '`', '´', '‘', '’', '“', '”', '=', ',', ';':
		return true
	}
	return isBlankRune(r)
}

// oddity finds the word for what has something in it that is no part of a number.
func junkReason(s string) NumberReason {
	switch {
	case isScientific(s):
		return ReasonLostDigits
	case isSeveral(s):
		return ReasonSeveralNumbers
	}
	return ReasonNotANumber
}

// isSeveral reports whether s has two numbers, divided by something else than what
// stands within one: 0712345678/0722345678. The short way, 0712345678/9, counts.
func isSeveral(s string) bool {
	const whole, ending = 9, 3 // digits
	parts, long, first, digits := 0, 0, 0, 0
	end := func() {
		if digits == 0 {
			return
		}
		if parts++; parts == 1 {
			first = digits
		}
		if digits >= minDigits {
			long++
		}
	}
	short := true
	for _, r := range s {
		_, isDigit := digitOf(r)
		switch {
		case isDigit:
			digits++
		case r == '+' || r == '\n' || r != '.' && !isSeparator(r):
			end()
			digits = 0
			short = short && (r == '/' || r == ',' || r == '+' && parts == 0)
		}
	}
	end()
	return long >= 2 || short && parts == 2 && first >= whole && digits <= ending
}

// isSeveral reports whether a number that is too long is two, with nothing but
// white space or dashes between.
func (c *rawNumber) isSeveral(country string) bool {
	for _, at := range c.breaks[:c.nBreak] {
		if int(at) >= minDigits+2 && c.n-int(at) >= minDigits+2 {
			return true
		}
	}
	good := func(digits string) bool {
		m, reason, decided := resolveNational(digits, false, country)
		return decided && reason == "" && m != 0
	}
	digits := c.digits()
	for at := 9; at <= len(digits)-9; at++ {
		if good(digits[:at]) && good(digits[at:]) {
			return true
		}
	}
	return false
}

// isDate recognises 2025-11-30, 30/11/2025 and 30.11.2025.
func isDate(s string) bool {
	mark := strings.IndexAny(s, "-/.")
	if mark < 0 {
		return false
	}
	parts := strings.Split(s, s[mark:mark+1])
	if len(parts) != 3 || !isDigits(parts[0]) || !isDigits(parts[1]) || !isDigits(parts[2]) {
		return false
	}
	first, middle, last := len(parts[0]), len(parts[1]), len(parts[2])
	return middle <= 2 && (first == 4 && last <= 2 || first <= 2 && last == 4)
}

// digitOf knows the decimal digits of all scripts.
func digitOf(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), r >= '0' && r <= '9'
	}
	if !unicode.IsDigit(r) {
		return 0, false
	}
	// Digits stand in tens in Unicode, each beginning with its zero.
	for _, in := range unicode.Nd.R16 {
		if r >= rune(in.Lo) && r <= rune(in.Hi) {
			return '0' + byte((r-rune(in.Lo))%10), true
		}
	}
	for _, in := range unicode.Nd.R32 {
		if r >= rune(in.Lo) && r <= rune(in.Hi) {
			return '0' + byte((r-rune(in.Lo))%10), true
		}
	}
	return 0, false
}

// isSeparator knows what people and programs put between digits, the full stop and
// the slash excepted. A comma or a semicolon is not among it: they separate numbers.
func isSeparator(r rune) bool {
	switch r {
	case '(', ')', '[', ']', '\uFF08', '\uFF09', '\u2212', '\u00B7', '\uFF0E':
		return true
	}
	if r < utf8.RuneSelf {
		return r == ' ' || r == '-' || r >= '\t' && r <= '\r'
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Pd)
}

// isScientific recognises 2.54712E+11, also with a decimal comma.
func isScientific(s string) bool {
	s = strings.TrimFunc(s, func(r rune) bool { return isSeparator(r) || isWrapping(r) || r == '+' })
	mantissa, exponent, found := strings.Cut(strings.ToLower(s), "e")
	if !found {
		return false
	}
	whole, fraction, _ := strings.Cut(strings.ReplaceAll(mantissa, ",", "."), ".")
	exponent = strings.TrimLeft(exponent, "+-")
	return isDigits(whole) && (fraction == "" || isDigits(fraction)) && isDigits(exponent)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
