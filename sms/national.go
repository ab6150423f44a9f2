package sms

import (
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// Kenya and Nigeria are the home countries: most numbers belong to them, so this package knows
// their numbering plans. The constants are the ISO 3166 code and the calling code of each country.
const (
	kenya       = "KE"
	kenyaCode   = 254
	nigeria     = "NG"
	nigeriaCode = 234
)

const (
	kenyaPrefix   = "254"
	nigeriaPrefix = "234"
)

// isHomeCountry reports whether the parameter "country" is the ISO code of Kenya or Nigeria.
func isHomeCountry(country string) bool { return country == kenya || country == nigeria }

// hasHomeCode reports whether the digits begin with the calling code of Kenya or Nigeria.
func hasHomeCode(digits string) bool {
	return strings.HasPrefix(digits, kenyaPrefix) || strings.HasPrefix(digits, nigeriaPrefix)
}

// The method "dialled" returns the digits without the zeros that people dial or write before a
// calling code. The result "plus" is true if the digits certainly begin with a calling code.
func (c *rawNumber) dialled(country string) (digits string, plus bool) {
	digits = c.digits()
	rest, twoZeros := strings.CutPrefix(digits, "00")
	if twoZeros && (!c.plus || hasHomeCode(rest)) {
		return rest, true
	}
	// In 0254712345678 one zero precedes the calling code. Either this zero is a mistake, or the
	// second zero of 00 is missing.
	if rest, zero := strings.CutPrefix(digits, "0"); zero && (c.plus || country == "" || isHomeCountry(country)) {
		kenyan := strings.HasPrefix(rest, kenyaPrefix) && (len(rest) == 12 || len(rest) == 13 && rest[3] == '0')
		nigerian := strings.HasPrefix(rest, nigeriaPrefix) && (len(rest) == 13 || len(rest) == 14 && rest[3] == '0')
		if kenyan || nigerian {
			return rest, true
		}
	}
	return digits, c.plus
}

// resolveNational resolves a number that is certainly Kenyan or Nigerian, or has an unassigned
// calling code. It does not use the phonenumbers library, which is slower. The result "decided" is
// false if only the library can resolve the number. Otherwise m and reason are equal to the results
// of decideByLibrary for the same input. The tests compare both functions.
func resolveNational(digits string, plus bool, country string) (m MSISDN, reason NumberReason, decided bool) {
	if !plus && country != "" && !isHomeCountry(country) {
		return 0, "", false
	}
	switch {
	case strings.HasPrefix(digits, kenyaPrefix):
		return kenyanNumber(withoutZero(digits[3:]))
	case strings.HasPrefix(digits, nigeriaPrefix):
		return nigerianNumber(withoutZero(digits[3:]))
	case plus || country == "":
		if isUnassigned(digits) {
			return 0, ReasonUnknownCountry, true
		}
		return 0, "", false
	}
	national := withoutZero(digits)
	if country == kenya {
		m, reason, decided = kenyanNumber(national)
	} else {
		m, reason, decided = nigerianNumber(national)
	}
	if !decided || reason == "" || reason == ReasonNotMobile || len(national) < len(digits) {
		return m, reason, decided
	}
	// Digits without a leading zero may be a foreign number with its calling code. A foreign number
	// with the calling code 7 or 1 has at least 11 digits. Any other foreign number has at least
	// minForeignDigits digits.
	return m, reason, len(digits) < minForeignDigits || len(digits) < 11 && (digits[0] == '7' || digits[0] == '1')
}

// minForeignDigits is the number of digits of the shortest mobile numbers in the world, including
// the calling code. They are the numbers of Tokelau.
const minForeignDigits = 7

// isUnassigned reports whether an international number begins with a calling code that is not
// assigned. It returns false for a number with fewer than minViable digits.
func isUnassigned(digits string) bool {
	if len(digits) < minViable {
		return false
	}
	codes := callingCodeStarts()
	return digits[0] == '0' || !codes[number(digits[:1])] && !codes[number(digits[:2])] && !codes[number(digits[:3])]
}

// callingCodeStarts returns a slice whose indexes are possible calling codes. An element is true if
// its index is an assigned calling code.
var callingCodeStarts = sync.OnceValue(func() []bool {
	codes := make([]bool, 1000)
	for code := range codes {
		codes[code] = phonenumbers.GetRegionCodeForCountryCode(code) != phonenumbers.UNKNOWN_REGION
	}
	return codes
})

// withoutZero removes one leading zero, if the number begins with a zero.
func withoutZero(national string) string { return strings.TrimPrefix(national, "0") }

// kenyanNumber resolves the digits that follow 254 or 0. Its results have the same meaning as the
// results of resolveNational.
func kenyanNumber(national string) (m MSISDN, reason NumberReason, decided bool) {
	if national == "" || national[0] == '0' || len(national) > maxUintDigits-2 {
		return 0, "", false
	}
	if len(national) == kenyaDigits {
		if m, ok := kenyanMobile(number(national)); ok {
			return m, "", true
		}
	}
	if isKenyanSpecial(national) {
		return 0, ReasonNotMobile, true
	}
	return 0, wrongLength(len(national), kenyaDigits), true
}

// nigerianNumber resolves the digits that follow 234 or 0. Its results have the same meaning as the
// results of resolveNational. If "decided" is false, the phonenumbers library must decide.
func nigerianNumber(national string) (m MSISDN, reason NumberReason, decided bool) {
	if national == "" || national[0] == '0' || len(national) > maxUintDigits-2 {
		return 0, "", false
	}
	if len(national) == nigeriaDigits {
		if m, ok := nigerianMobile(number(national)); ok {
			return m, "", true
		}
	}
	switch {
	case strings.HasPrefix(national, "800"), strings.HasPrefix(national, "700"):
		if len(national) >= 10 && len(national) <= 14 {
			return 0, ReasonNotMobile, true
		}
	case strings.HasPrefix(national, "20") && len(national) == nigeriaDigits:
		return 0, "", false // only the phonenumbers library knows the area codes of landlines
	}
	return 0, wrongLength(len(national), nigeriaDigits), true
}

// These are the numbers of digits of a mobile number after the calling code.
const (
	kenyaDigits   = 9
	nigeriaDigits = 10
)

// wrongLength returns the reason why a number with the given count of digits is invalid. A mobile number
// has as many digits as the parameter "mobileDigits" says. wrongLength returns ReasonTooShort for fewer
// digits, ReasonTooLong for more digits, and ReasonInvalid if the counts are equal.
func wrongLength(digits, mobileDigits int) NumberReason {
	switch {
	case digits < mobileDigits:
		return ReasonTooShort
	case digits > mobileDigits:
		return ReasonTooLong
	}
	return ReasonInvalid
}

// The function "number" converts ASCII digits to an integer. The caller ensures that the result
// fits into a uint64.
func number(digits string) (value uint64) {
	for i := range len(digits) {
		value = value*10 + uint64(digits[i]-'0')
	}
	return value
}

// isKenyanSpecial reports whether a national number is a Kenyan landline (Nairobi
// 020, other areas 04 to 06), freephone (0800) or premium-rate (0900) number. The
// parameter "national" has no leading zero.
func isKenyanSpecial(national string) bool {
	n := len(national)
	if n < minDigits || n > 10 {
		return false
	}
	switch a, b := national[0], national[1]; {
	case a == '2' && b == '0', a == '4' && b == '0', a == '6' && b == '6':
		return n == 8 || n == 9
	case a == '4' && strings.IndexByte("136", b) >= 0, a == '5' && (b == '0' || b == '8'), a == '6' && b == '2':
		return n == 9
	case a == '4' && strings.IndexByte("245", b) >= 0, a == '5' && b != '0' && b != '8', a == '6' && strings.IndexByte("0145789", b) >= 0:
		return n >= 7 && n <= 9
	case strings.HasPrefix(national, "800"):
		return (n == 9 || n == 10) && national[3] != '1' && national[3] != '9'
	case strings.HasPrefix(national, "900"):
		return n == 9 && national[3] != '1'
	}
	return false
}
