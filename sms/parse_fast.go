package sms

// parseFast decides the usual ways of writing a Kenyan or Nigerian mobile number
// without allocating, some hundred times faster than the library. It only ever
// accepts; ok is false for whatever the library has to look at. What it accepts,
// the library accepts as the same number: the tests try every prefix, and a fuzz
// test the rest.
func parseFast(s, country string) (m MSISDN, ok bool) {
	if len(s) > maxFastInput {
		return 0, false
	}
	var value uint64
	var count int
	var plus bool
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			value = value*10 + uint64(c-'0')
			count++
		case ' ', '-', '(', ')':
		case '+':
			if plus || count > 0 {
				return 0, false
			}
			plus = true
		case 0xC2:
			if i++; i == len(s) || s[i] != 0xA0 {
				return 0, false
			}
		default:
			// The full stop is not here: it may be a decimal point.
			return 0, false
		}
	}
	return fastKenyaOrNigeria(value, count, plus, country)
}

// maxFastInput leaves room for separators. (Digits enough to overflow are too
// many for any form, whatever value they leave.)
const maxFastInput = 32

// fastKenyaOrNigeria takes the digits as a number and their count, zeros in front included.
func fastKenyaOrNigeria(value uint64, count int, plus bool, country string) (MSISDN, bool) {
	// Elsewhere 254… and 234… without a plus may be national numbers.
	bare := plus || country == "" || country == kenya || country == nigeria
	switch {
	case value/1e9 == kenyaCode && (count == 12 && bare || count == 14 && !plus):
		value -= kenyaCode * 1e9
	case value/1e10 == nigeriaCode && (count == 13 && bare || count == 15 && !plus):
		return nigerianMobile(value - nigeriaCode*1e10)
	case plus:
		return 0, false
	case country == kenya && (count == 9 || count == 10):
	case country == nigeria && (count == 10 || count == 11):
		return nigerianMobile(value)
	default:
		return 0, false
	}
	return kenyanMobile(value)
}

// kenyanMobile takes the nine digits behind 254 or 0. A number whose digits do
// not begin where they should (a second zero, no zero among ten) has no prefix
// in the list. It is left to the library, as are all prefixes the library does
// not take for mobile.
func kenyanMobile(national uint64) (MSISDN, bool) {
	switch p := national / 1e6; {
	case p >= 700 && p <= 799:
	case p >= 100 && p <= 108, p >= 110 && p <= 119, p >= 140 && p <= 143:
	case p == 120, p == 121, p == 124, p == 130:
	default:
		return 0, false
	}
	return MSISDN(kenyaCode*1e9 + national), true
}

// nigerianMobile takes the ten digits behind 234 or 0, with four digits of
// prefix: 0702 and 0819 are mobile in parts only.
func nigerianMobile(national uint64) (MSISDN, bool) {
	switch p := national / 1e6; {
	case p == 7023:
		return 0, false
	case p >= 7010 && p <= 7099, p >= 7100 && p <= 7299, p >= 8010 && p <= 8099, p >= 9010 && p <= 9099:
	case p >= 8100 && p <= 8191, p >= 9110 && p <= 9169:
	default:
		return 0, false
	}
	return MSISDN(nigeriaCode*1e10 + national), true
}
