package sms

import (
	"errors"
	"strconv"
	"strings"

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
// is Burundian). In lists of these two, and with "", 0254… and 0234… are taken
// for the calling code as well.
//
// Spaces of every kind, invisible characters, dashes, dots, slashes and brackets
// within the number are skipped, and quotes around it; so are tel:, sms:, whatsapp:
// and wa.me/ before it, and the .0 and the thousands commas of a spreadsheet.
// Digits may be of any script. Everything else makes the number invalid: letters,
// extensions, two numbers in one cell, what a spreadsheet has turned into
// 2.54712E+11. So do landlines, toll-free and other special numbers, and short
// codes. Nothing is ever guessed: no digit is added or left out.
//
// The error is a *NumberError. Input of more than 64 bytes is not looked at.
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

// decide asks the library only about what it does not know itself.
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

// ValidCountry reports whether iso is the ISO 3166 alpha-2 code, in capitals, of
// a country whose national numbers ParseMSISDN understands.
func ValidCountry(iso string) bool { return phonenumbers.GetSupportedRegions()[iso] }

// minViable is fewer digits than any mobile number has, calling code left off.
const minViable = 4

// decideByLibrary decides a number without separators; plus says that the calling
// code comes first.
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
		// 254712345 is a Kenyan number with digits missing, not a national one of nine.
		return abroad, problem
	case problem != "":
		return 0, reason
	case abroad.Country() == kenya, abroad.Country() == nigeria:
		return abroad, ""
	}
	return 0, ReasonUnknownCountry
}

// international takes the digits behind + or 00. No calling code begins with
// zero, and the library would take +0712345678 for a national number.
func international(digits string) (MSISDN, NumberReason) {
	if strings.HasPrefix(digits, "0") {
		return 0, ReasonUnknownCountry
	}
	return parseWithLibrary("+"+digits, phonenumbers.UNKNOWN_REGION)
}

// ask puts the number to the library.
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

// whyInvalid finds the most helpful word for a number of no known type.
func invalidReason(n *phonenumbers.PhoneNumber) NumberReason {
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
