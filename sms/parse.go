package sms

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ParseMSISDN parses a mobile number as people and spreadsheets write it. The error
// is always a *NumberError. Input of more than 64 bytes is an error.
//
// The parameter "country" is the default country, as an ISO 3166 alpha-2 code in capitals. The
// national form of this country is accepted: with "KE", both 0712345678 and 712345678 are
// 254712345678. The national form of any other country is an error. If country is "",
// only the international form is accepted.
//
// The international form begins with +, with 00 (also in countries that dial another prefix), or
// with the bare calling code. If a default country is given, a bare calling code must belong to
// that country, to Kenya or to Nigeria. The reason is that a mistyped number is often a valid
// foreign number: 254761788134 without the first digit 4 is a number in Burundi. One zero before
// 254 or 234 is accepted after a plus sign, or if country is "KE", "NG" or "".
//
// ParseMSISDN skips white space, invisible characters, dashes, dots, slashes and
// brackets within the number. It skips quotes around the number, a label such as tel:,
// p: or wa.me/, and a spreadsheet's thousands commas and trailing .0 or .00. Digits may
// be of any script.
//
// Everything else is an error: letters, extensions, two numbers in one field, and numbers that a
// spreadsheet has changed to 2.54712E+11 or to a negative amount. Landlines, toll-free numbers,
// other special numbers and short codes are also errors. ParseMSISDN never guesses missing or
// extra digits.
func ParseMSISDN(s, country string) (MSISDN, error) {
	if m, ok := parseFast(s, country); ok {
		return m, nil
	}
	c, reason := extractDigits(s)
	if reason == "" {
		var m MSISDN
		if m, reason = c.decide(country); reason == "" {
			return m, nil
		}
	}
	return 0, &NumberError{Reason: reason, Masked: Mask(s)}
}

// The method "decide" checks the digits against the numbering plans. It calls the phonenumbers
// library only for numbers that resolveNational cannot decide.
func (c *rawNumber) decide(country string) (m MSISDN, reason NumberReason) {
	digits, plus := c.dialled(country)
	m, reason, decided := resolveNational(digits, plus, country)
	if !decided {
		m, reason = decideByLibrary(digits, plus, country)
	}
	if reason == ReasonTooLong && c.isSeveral(country) {
		reason = ReasonSeveralNumbers
	}
	return m, reason
}

// ValidCountry reports whether ParseMSISDN accepts the national numbers of a country. The
// parameter "iso" is the country's ISO 3166 alpha-2 code in capitals.
func ValidCountry(iso string) bool { return phonenumbers.GetSupportedRegions()[iso] }

// minViable is the minimum number of characters that are passed to the phonenumbers library. All
// mobile numbers are longer or have this length.
const minViable = 4

// decideByLibrary checks a number without separators with the phonenumbers library. The
// parameter "plus" is true if the digits begin with a calling code.
func decideByLibrary(digits string, plus bool, country string) (m MSISDN, reason NumberReason) {
	switch {
	case plus || country == "":
		return international(digits)
	case !ValidCountry(country):
		return 0, ReasonUnknownCountry
	}
	m, reason = parseWithLibrary(digits, country)
	if reason == "" || reason == ReasonNotMobile {
		return m, reason
	}
	abroad, problem := international(digits)
	switch {
	case isHomeCountry(country) && hasHomeCode(digits):
		// A number such as 254712345 is a Kenyan number with missing digits, not a
		// national number of nine digits.
		return abroad, problem
	case problem != "":
		return 0, reason
	case abroad.Country() == kenya, abroad.Country() == nigeria:
		return abroad, ""
	}
	return 0, ReasonUnknownCountry
}

// international parses the digits that follow + or 00. It rejects a leading zero,
// because no calling code begins with a zero. The phonenumbers library would accept
// +0712345678 as a national number.
func international(digits string) (MSISDN, NumberReason) {
	if strings.HasPrefix(digits, "0") {
		return 0, ReasonUnknownCountry
	}
	return parseWithLibrary("+"+digits, phonenumbers.UNKNOWN_REGION)
}

// parseWithLibrary parses and validates a number with the phonenumbers library. The parameter
// "region" is the ISO code of the default country, or UNKNOWN_REGION for a number with a plus
// sign.
func parseWithLibrary(number, region string) (MSISDN, NumberReason) {
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
		return 0, invalidReason(parsed)
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

// invalidReason returns the most helpful reason for a number that the phonenumbers library cannot
// assign to a type, such as mobile or landline.
func invalidReason(n *phonenumbers.PhoneNumber) NumberReason {
	// For Kenya and Nigeria the length of a mobile number is checked here. The library
	// would accept a mobile number with a missing digit, because landlines are shorter.
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

// regionOf returns the ISO code of the country of m, or "" if the country is not known.
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
