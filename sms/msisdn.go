package sms

import (
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// MSISDN is a mobile number in international form. Its digits are stored as one
// integer: 254712345678. The zero value means that the number is missing. Values can be compared
// with == and <.
type MSISDN uint64

// String returns the digits without a plus sign: "254712345678".
func (m MSISDN) String() string { return strconv.FormatUint(uint64(m), 10) }

// E164 returns the number in E.164 format: "+254712345678".
func (m MSISDN) E164() string {
	var buf [maxUintDigits + 1]byte
	return string(m.AppendTo(append(buf[:0], '+')))
}

// AppendTo appends the digits, without a plus sign, to b and returns the
// extended slice. It allocates only if the capacity of b is too small.
func (m MSISDN) AppendTo(b []byte) []byte { return strconv.AppendUint(b, uint64(m), 10) }

// Masked returns the only form of a number that may be logged: the first and last
// four digits with four stars between them, as in "2547****5678". For a number of
// fewer than twelve digits it shows fewer digits, so that at least four digits stay
// hidden.
func (m MSISDN) Masked() string {
	var buf [maxUintDigits]byte
	return maskDigits(m.AppendTo(buf[:0]))
}

// Country returns the ISO 3166 alpha-2 code of the country that the number belongs
// to, for example "KE". It returns "" for a number that does not belong to a
// country, such as a satellite number.
func (m MSISDN) Country() string {
	switch {
	case m/1e9 == kenyaCode:
		return kenya
	case m/1e10 == nigeriaCode:
		return nigeria
	}
	return regionOf(m)
}

// CallingCode returns the calling code of a country, without a plus sign: "254" for
// "KE". The parameter "iso" is the ISO 3166 alpha-2 code in capitals. Several
// countries can share one calling code, as the United States and Jamaica do. If the
// ISO code is unknown, CallingCode returns "".
func CallingCode(iso string) string {
	if code := phonenumbers.GetCountryCodeForRegion(iso); code > 0 {
		return strconv.Itoa(code)
	}
	return ""
}

// Mask returns a form of s that may be logged. The parameter s is user input that
// should be a phone number. The returned form has at most the first and last four
// ASCII digits of s, with four stars between them. "+254 712-345-678" becomes
// "2547****5678". Mask drops everything else, because s may hold a name or an
// address instead of a number. At least four digits stay hidden. Mask reads only the
// first 64 bytes of s.
func Mask(s string) string {
	var buf [maxInput]byte
	digits := buf[:0]
	for i := 0; i < min(len(s), maxInput); i++ {
		if c := s[i]; c >= '0' && c <= '9' {
			digits = append(digits, c)
		}
	}
	return maskDigits(digits)
}

// maxUintDigits is the largest number of decimal digits of a uint64.
const maxUintDigits = 20

// maskDigits replaces the middle digits by four stars. It keeps at most four digits at each end,
// and replaces at least four digits.
func maskDigits(digits []byte) string {
	const shown, hidden = 4, 4
	tail := min(shown, max(0, len(digits)-hidden+1)/2)
	head := min(shown, max(0, len(digits)-hidden)/2)
	var buf [shown + hidden + shown]byte
	b := append(buf[:0], digits[:head]...)
	b = append(b, "****"...)
	b = append(b, digits[len(digits)-tail:]...)
	return string(b)
}
