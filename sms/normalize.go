package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// rawNumber holds the ASCII digits of a number as a user wrote it, before they are
// checked against a numbering plan.
type rawNumber struct {
	buf [maxInput]byte
	n   int
	// plus is true if the digits certainly begin with a calling code, because they follow a plus
	// sign or are in a wa.me link.
	plus bool
	// The first nBreak elements of the array "breaks" are the places of white space. Each of them is
	// the number of digits that precede the white space.
	breaks [maxInput]byte
	nBreak int
}

// maxInput is the length in bytes of the longest input that is parsed.
const maxInput = 64

func (c *rawNumber) digits() string { return string(c.buf[:c.n]) }

// extractDigits removes separators, quotes and link prefixes from s, and returns the digits of s.
// The result "reason" is empty if s is exactly one number. Otherwise it is the reason why s is not
// a number.
func extractDigits(s string) (c *rawNumber, reason NumberReason) {
	if len(s) > maxInput {
		return nil, ReasonTooLong
	}
	c = &rawNumber{}
	whole := s
	s, c.plus = unwrap(s)
	if isNegative(s) {
		return nil, ReasonNegative
	}
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
		// If the point of 254712345678.0 were a separator, the last 0 would become a
		// digit of the number.
		return c, c.cutFraction(tail)
	case commas+slashes > 0 && isSeveral(s):
		return nil, ReasonSeveralNumbers
	case isDecimal(s):
		return nil, ReasonDecimal
	case c.n <= 8 && isDate(s):
		// A date is refused, because its eight digits are a valid number in some
		// countries.
		return nil, ReasonNotANumber
	}
	return c, ""
}

// isNegative reports whether s is a negative amount, and not a phone number that a person wrote. A
// spreadsheet changes +254-712345678 into the amount -712345424, and these digits are the number
// of a stranger. Programs write a negative amount in three forms: -712345424, 712345424- and
// (712345424). In the second and in the third form, digits that begin with + or 0 are a phone
// number.
func isNegative(s string) bool {
	isDigit := func(r rune) bool { _, ok := digitOf(r); return ok }
	first, last := strings.IndexFunc(s, isDigit), strings.LastIndexFunc(s, isDigit)
	if first < 0 {
		return false
	}
	head, tail := s[:first], s[last:]
	switch {
	case strings.ContainsFunc(head, func(r rune) bool { return !isSeparator(r) && !isWrapping(r) && !strings.ContainsRune("+\uFF0B./", r) }):
		return false // a letter or sign precedes the digits; extractDigits returns a reason other than ReasonNegative
	case strings.ContainsFunc(head, isMinus):
		return true
	case strings.ContainsAny(head, "+\uFF0B"), beginsWithZero(s[first:]):
		return false
	case strings.ContainsFunc(tail, isMinus):
		return true
	}
	return strings.ContainsAny(head, "(\uFF08") && strings.ContainsAny(tail, ")\uFF09") && !strings.ContainsAny(s[first:last], ")\uFF09")
}

// isDecimal reports whether s is a computed value with decimals, and not a phone number that a person
// wrote. Examples are 0.712345678, .712345678, 254.712345678, 712345,678 and 254,712,345.678. The
// digits of such a value are the number of a stranger, or are a number without its last zeros.
//
// In a decimal, the point occurs once, and no comma or point follows it. So 254.712.345.678 is a
// phone number. 0712.345678, with a zero before other digits, is a phone number. +254.712345678, with
// a plus before a digit other than zero, is a phone number, too.
func isDecimal(s string) bool {
	s = strings.TrimFunc(s, func(r rune) bool { return isSeparator(r) || isWrapping(r) })
	digits := strings.TrimLeft(s, "+\uFF0B")
	at := strings.LastIndexAny(digits, ".,")
	if at < 0 || at == len(digits)-1 || strings.Count(digits, digits[at:at+1]) > 1 {
		return false
	}
	mark := digits[at]
	for _, r := range digits {
		if _, isDigit := digitOf(r); !isDigit && r != '.' && r != ',' {
			return false
		}
	}
	whole := strings.Trim(digits[:at], ".,")
	zero := beginsWithZero(whole)
	other := strings.ContainsFunc(whole, func(r rune) bool { d, _ := digitOf(r); return d != '0' && r != '.' && r != ',' })
	switch {
	case zero && other: // 0712.345678
		return false
	case len(digits) < len(s) && !zero && other: // +254.712345678
		return false
	}
	return mark == '.' || whole != "" // a comma without digits before it is left over from a list
}

// isMinus reports whether r is a minus sign, or a dash that programs write in its place.
func isMinus(r rune) bool {
	return r == '-' || r == '\u2212' || r > unicode.MaxASCII && unicode.Is(unicode.Pd, r)
}

func beginsWithZero(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	d, _ := digitOf(r)
	return d == '0'
}

// minDigits is the minimum number of digits of a phone number in a field that may also hold
// a second number or decimals.
const minDigits = 7

// cutFraction removes the decimals, which are the last digits, if all of them are zero. It returns
// ReasonDecimal if a decimal digit is not zero, or if fewer than minDigits digits would remain.
func (c *rawNumber) cutFraction(decimals int) NumberReason {
	whole := c.n - decimals
	if whole < minDigits || strings.Trim(string(c.buf[whole:c.n]), "0") != "" {
		return ReasonDecimal
	}
	c.n = whole
	return ""
}

// unwrap removes characters around a number: quotes, the characters with which a spreadsheet marks a
// text ('0712… or ="0712…"), and the prefix of a link. The result "international" is true for a wa.me
// link, whose number always begins with the calling code.
func unwrap(s string) (inner string, international bool) {
	s = strings.TrimFunc(s, isWrapping)
	for _, scheme := range labels {
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
		// Some links have a plus sign before the calling code.
		return strings.TrimPrefix(link[len(whatsApp):], "+"), true
	}
	return s, false
}

// labels are the texts before a number in links, in contact cards and in the exports of advertising
// networks (p:).
var labels = [...]string{"tel:", "sms:", "whatsapp:", "callto:", "p:", "phone:", "mobile:", "cell:", "msisdn:"}

// isWrapping reports whether unwrap removes r at both ends of the input.
func isWrapping(r rune) bool {
	switch r {
	case '\'', '"', '`', '´', '‘', '’', '“', '”', '=', ',', ';':
		return true
	}
	return isBlankRune(r)
}

// junkReason returns the reason for input with a character that cannot be part of a
// number.
func junkReason(s string) NumberReason {
	switch {
	case isScientific(s):
		return ReasonLostDigits
	case isSeveral(s):
		return ReasonSeveralNumbers
	}
	return ReasonNotANumber
}

// isSeveral reports whether s holds two or more numbers, divided by a character that
// does not occur within a number: 0712345678/0722345678. It also recognises the short
// form 0712345678/9, in which the second number differs only in its last digits.
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

// isSeveral reports whether a number that is too long consists of two numbers. The second number
// follows directly, or after white space or dashes.
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

// isDate reports whether s looks like a date: 2025-11-30, 30/11/2025 or 30.11.2025.
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

// digitOf returns the ASCII form of a decimal digit of any script, and whether r is such a digit.
func digitOf(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), r >= '0' && r <= '9'
	}
	if !unicode.IsDigit(r) {
		return 0, false
	}
	// Unicode lists the ten digits of a script in order, from zero to nine. A range may
	// hold several such groups of ten digits.
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

// isSeparator reports whether r is a character that people or programs write between the
// digits of one number. It returns false for the full stop, comma and slash, because
// extractDigits handles these. It also returns false for the semicolon, because a
// semicolon separates two numbers.
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

// isScientific reports whether s is in scientific notation, such as 2.54712E+11 or, with
// a decimal comma, 2,54712E+11.
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

// isDigits reports whether s consists of ASCII digits and is not empty.
func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
