package sms

// parseFast parses the usual forms of a Kenyan or Nigerian mobile number. It does not
// allocate, and takes about a hundredth of the time of the phonenumbers library. The
// result "ok" is false if parseFast cannot decide. parseFast never rejects a number.
// The library accepts each number that parseFast accepts, with the same result. One
// test checks this for every prefix. A fuzz test checks it for other input.
func parseFast(s, country string) (m MSISDN, ok bool) {
	if len(s) > maxFastInput {
		return 0, false
	}
	var value uint64
	var count, dashAt int
	var plus bool
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			value = value*10 + uint64(c-'0')
			count++
		case ' ', ')':
		case '-':
			if count == 0 {
				return 0, false // -712345424 is a negative amount
			}
			dashAt = count
		case '(':
			if count == 0 && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '+') {
				return 0, false // (712345424) is a negative amount
			}
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
			// This case includes a full stop, which may be a decimal point.
			return 0, false
		}
	}
	if dashAt == count {
		return 0, false // a dash follows the last digit, so the input may be a negative amount: 712345424-
	}
	return fastKenyaOrNigeria(value, count, plus, country)
}

// maxFastInput is the length in bytes of the longest input that parseFast reads. The input is a
// number and its separators. More than 19 digits can overflow the variable "value" in parseFast.
// The overflow does no harm, because fastKenyaOrNigeria returns false for that many digits.
const maxFastInput = 32

// fastKenyaOrNigeria parses digits that are given as an integer. The parameter "count" is the
// number of digits, including leading zeros. The parameter "plus" is true if a plus sign
// precedes the digits.
func fastKenyaOrNigeria(value uint64, count int, plus bool, country string) (MSISDN, bool) {
	// The variable "bare" is true if 254 or 234 at the beginning is certainly a calling code.
	// If the default country is set, and is neither Kenya nor Nigeria, these digits may begin
	// a national number. A plus sign excludes that.
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

// kenyanMobile checks the nine digits that follow 254 or 0. The result "ok" is false if
// their first three digits are not a mobile prefix of the phonenumbers library. It is
// also false for too few or too many digits, such as ten digits without a leading zero.
func kenyanMobile(national uint64) (m MSISDN, ok bool) {
	switch p := national / 1e6; {
	case p >= 700 && p <= 799:
	case p >= 100 && p <= 108, p >= 110 && p <= 119, p >= 140 && p <= 143:
	case p == 120, p == 121, p == 124, p == 130:
	default:
		return 0, false
	}
	return MSISDN(kenyaCode*1e9 + national), true
}

// nigerianMobile checks the ten digits that follow 234 or 0. It compares four digits
// after the zero, because not all numbers that begin with 0702 or 0819 are mobile.
func nigerianMobile(national uint64) (m MSISDN, ok bool) {
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
