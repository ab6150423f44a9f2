package sms

import (
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// The two home markets, by ISO 3166 code and by calling code.
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

func isHomeCountry(country string) bool { return country == kenya || country == nigeria }

func hasHomeCode(digits string) bool {
	return strings.HasPrefix(digits, kenyaPrefix) || strings.HasPrefix(digits, nigeriaPrefix)
}

// dialled returns the digits without what is dialled before a calling code, and
// whether they begin with one.
func (c *rawNumber) dialled(country string) (digits string, plus bool) {
	digits = c.digits()
	rest, twoZeros := strings.CutPrefix(digits, "00")
	if twoZeros && (!c.plus || hasHomeCode(rest)) {
		return rest, true
	}
	// 0254712345678: the zero before the calling code that people add or leave over.
	if rest, zero := strings.CutPrefix(digits, "0"); zero && (c.plus || country == "" || isHomeCountry(country)) {
		kenyan := strings.HasPrefix(rest, kenyaPrefix) && (len(rest) == 12 || len(rest) == 13 && rest[3] == '0')
		nigerian := strings.HasPrefix(rest, nigeriaPrefix) && (len(rest) == 13 || len(rest) == 14 && rest[3] == '0')
		if kenyan || nigerian {
			return rest, true
		}
	}
	return digits, c.plus
}

// decideHome decides what is certainly a Kenyan or a Nigerian number, good or bad, or
// no country's, as decideByLibrary does, without the library; the tests hold the two together.
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
	// Without its zero it may be a number of another country. None that begins with 7
	// or 1 is so short.
	return m, reason, len(digits) < minForeignDigits || len(digits) < 11 && (digits[0] == '7' || digits[0] == '1')
}

// fewestAbroad is how many digits the shortest mobile numbers have, with their calling
// code: those of Tokelau.
const minForeignDigits = 7

// isNobodys reports whether an international number begins with no calling code.
func isUnassigned(digits string) bool {
	if len(digits) < minViable {
		return false
	}
	codes := callingCodeStarts()
	return digits[0] == '0' || !codes[number(digits[:1])] && !codes[number(digits[:2])] && !codes[number(digits[:3])]
}

// callingCodeStarts holds which numbers are calling codes.
var callingCodeStarts = sync.OnceValue(func() []bool {
	codes := make([]bool, 1000)
	for code := range codes {
		codes[code] = phonenumbers.GetRegionCodeForCountryCode(code) != phonenumbers.UNKNOWN_REGION
	}
	return codes
})

func withoutZero(national string) string { return strings.TrimPrefix(national, "0") }

// kenyanNumber takes the digits behind 254 or 0.
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

// nigerianNumber takes the digits behind 234 or 0.
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
		return 0, "", false // the area codes of the landlines are the library's
	}
	return 0, wrongLength(len(national), nigeriaDigits), true
}

// How many digits mobile numbers have, behind the calling code.
const (
	kenyaDigits   = 9
	nigeriaDigits = 10
)

func wrongLength(have, mobile int) NumberReason {
	switch {
	case have < mobile:
		return ReasonTooShort
	case have > mobile:
		return ReasonTooLong
	}
	return ReasonInvalid
}

func number(digits string) (value uint64) {
	for i := range len(digits) {
		value = value*10 + uint64(digits[i]-'0')
	}
	return value
}

// isKenyanSpecial knows landlines (Nairobi 020, the others 04 to 06), freephone and
// premium-rate numbers.
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
