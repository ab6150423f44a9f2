package sms

import (
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// ParseMSISDN reads a mobile number as people and spreadsheets write it.
//
// country is the ISO 3166 alpha-2 code, in capitals, of the country whose
// national form is understood: with "KE", 0712345678 and 712345678 are
// 254712345678. A national form is never taken for another country's, however
// well it would fit. With "" only the international form is understood.
//
// The international form begins with +, with 00 (in every country, whatever is
// dialled there), or with the calling code itself. If country is given, the bare
// calling code must be that country's, Kenya's or Nigeria's: a mistyped national
// number is too often a good number elsewhere (254761788134 with its 4 left out
// is Burundian).
//
// Spaces of every kind, invisible characters, dashes, dots, brackets and
// non-breaking spaces are skipped. Everything else makes the number invalid:
// letters, extensions, two numbers in one cell, what a spreadsheet has turned
// into 2.54712E+11 or 254712345678.0. So do landlines, toll-free and other
// special numbers, and short codes. Nothing is ever guessed or repaired.
//
// The error is a *NumberError. Input of more than 64 bytes is not looked at.
func ParseMSISDN(s, country string) (MSISDN, error) {
	if m, ok := parseFast(s, country); ok {
		return m, nil
	}
	m, reason := parseSlow(s, country)
	if reason != "" {
		return 0, &NumberError{Reason: reason, Masked: Mask(s)}
	}
	return m, nil
}

// ValidCountry reports whether iso is the ISO 3166 alpha-2 code, in capitals, of
// a country whose national numbers ParseMSISDN understands.
func ValidCountry(iso string) bool { return phonenumbers.GetSupportedRegions()[iso] }

const (
	// maxInput is how many bytes of input are worth looking at.
	maxInput = 64
	// minViable is fewer digits than any mobile number has, calling code left off.
	minViable = 4
)

// parseSlow is ParseMSISDN without the fast path; the reason is empty if m is good.
func parseSlow(s, country string) (m MSISDN, reason NumberReason) {
	digits, plus, reason := clean(s)
	switch {
	case reason != "":
		return 0, reason
	case plus:
		return international(digits)
	case strings.HasPrefix(digits, "00"):
		return international(digits[2:])
	case country == "":
		return international(digits)
	case !ValidCountry(country):
		return 0, ReasonUnknownCountry
	}
	m, reason = ask(digits, country)
	if reason == "" || reason == ReasonNotMobile {
		return m, reason
	}
	abroad, problem := international(digits)
	switch {
	case problem != "":
		return 0, reason
	case abroad.Country() == kenya, abroad.Country() == nigeria:
		return abroad, ""
	}
	return 0, ReasonUnknownCountry
}

// clean returns the digits of s as ASCII, and whether a plus sign stood before them.
func clean(s string) (digits string, plus bool, reason NumberReason) {
	if len(s) > maxInput {
		return "", false, ReasonTooLong
	}
	var buf [maxUintDigits]byte
	n, dots, afterDot := 0, 0, 0
	for _, r := range s {
		d, isDigit := digitOf(r)
		switch {
		case isDigit:
			if n == len(buf) {
				return "", false, ReasonTooLong
			}
			buf[n] = d
			n++
			afterDot++
		case r == '+' || r == '\uFF0B':
			if plus || n > 0 {
				return "", false, ReasonNotANumber
			}
			plus = true
		case r == '.':
			dots++
			afterDot = 0
		case !isSeparator(r):
			if isScientific(s) {
				return "", false, ReasonLostDigits
			}
			return "", false, ReasonNotANumber
		}
	}
	switch {
	case n == 0 && plus:
		return "", false, ReasonNotANumber
	case n == 0:
		return "", false, ReasonEmpty
	case dots == 1 && (afterDot == 1 || afterDot == 2):
		// Taken for a separator, the point of 254712345678.0 would add a digit.
		return "", false, ReasonDecimal
	}
	return string(buf[:n]), plus, ""
}

// digitOf knows ASCII, full-width and the two Arabic sets of digits, as the
// library does.
func digitOf(r rune) (byte, bool) {
	for _, zero := range [...]rune{'0', '\uFF10', '\u0660', '\u06F0'} {
		if r >= zero && r <= zero+9 {
			return '0' + byte(r-zero), true
		}
	}
	return 0, false
}

// isSeparator knows what people and programs put between digits, the full stop
// excepted. A slash, a comma or a semicolon is not among it: they separate
// numbers, not digits.
func isSeparator(r rune) bool {
	switch r {
	case '(', ')', '[', ']', '\uFF08', '\uFF09', '\u2212', '\u00B7', '\uFF0E':
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Pd)
}

// isScientific recognises 2.54712E+11, also with a decimal comma.
func isScientific(s string) bool {
	s = strings.TrimFunc(s, func(r rune) bool { return isSeparator(r) || r == '+' })
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

// international takes the digits behind + or 00. No calling code begins with
// zero, and the library would take +0712345678 for a national number.
func international(digits string) (MSISDN, NumberReason) {
	if strings.HasPrefix(digits, "0") {
		return 0, ReasonUnknownCountry
	}
	return ask("+"+digits, phonenumbers.UNKNOWN_REGION)
}

// ask puts the number to the library.
func ask(number, region string) (MSISDN, NumberReason) {
	if len(number) < minViable {
		return 0, ReasonTooShort
	}
	parsed, err := phonenumbers.Parse(number, region)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return 0, ReasonUnknownCountry
	case errors.Is(err, phonenumbers.ErrTooShortAfterIDD), errors.Is(err, phonenumbers.ErrTooShortNSN):
		return 0, ReasonTooShort
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return 0, ReasonTooLong
	case err != nil:
		return 0, ReasonNotANumber
	}
	switch phonenumbers.GetNumberType(parsed) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
	case phonenumbers.UNKNOWN:
		return 0, whyInvalid(parsed)
	default:
		return 0, ReasonNotMobile
	}
	digits := strconv.Itoa(int(parsed.GetCountryCode())) + phonenumbers.GetNationalSignificantNumber(parsed)
	value, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, ReasonTooLong
	}
	return MSISDN(value), ""
}

// whyInvalid finds the most helpful word for a number of no known type.
func whyInvalid(n *phonenumbers.PhoneNumber) NumberReason {
	// The library would call a mobile number with a digit missing possible,
	// because landlines are shorter.
	mobile := map[int32]int{kenyaCode: 9, nigeriaCode: 10}[n.GetCountryCode()]
	if mobile > 0 {
		switch have := len(strconv.FormatUint(n.GetNationalNumber(), 10)); {
		case have < mobile:
			return ReasonTooShort
		case have > mobile:
			return ReasonTooLong
		}
		return ReasonInvalid
	}
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return ReasonTooShort
	case phonenumbers.TOO_LONG:
		return ReasonTooLong
	}
	return ReasonInvalid
}

// regionOf returns the ISO code of the country whose calling code m begins with.
func regionOf(m MSISDN) string {
	parsed, err := phonenumbers.Parse(m.E164(), phonenumbers.UNKNOWN_REGION)
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); ValidCountry(region) {
		return region
	}
	return ""
}
