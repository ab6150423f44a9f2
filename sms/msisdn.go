package sms

import (
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// MSISDN is a mobile number in international form, its digits as one integer:
// 254712345678. The zero value is no number. It is comparable and ordered.
type MSISDN uint64

// String returns the digits without a plus sign: "254712345678".
func (m MSISDN) String() string { return strconv.FormatUint(uint64(m), 10) }

// E164 returns the number as E.164 writes it: "+254712345678".
func (m MSISDN) E164() string {
	var buf [maxUintDigits + 1]byte
	return string(m.AppendTo(append(buf[:0], '+')))
}

// AppendTo appends the digits, without a plus sign, to b and returns the
// extended slice. It allocates only if b has no room for them.
func (m MSISDN) AppendTo(b []byte) []byte { return strconv.AppendUint(b, uint64(m), 10) }

// Masked returns the number in the only form that may be logged: its first and
// last four digits around four stars, "2547****5678". A number of fewer than
// twelve digits shows fewer of them, so that four always stay hidden.
func (m MSISDN) Masked() string {
	var buf [maxUintDigits]byte
	return maskDigits(m.AppendTo(buf[:0]))
}

// Country returns the ISO 3166 alpha-2 code of the country the number belongs
// to, read from its calling code: "KE". It is empty for what is not the number
// of a country.
func (m MSISDN) Country() string {
	switch {
	case m/1e9 == kenyaCode:
		return kenya
	case m/1e10 == nigeriaCode:
		return nigeria
	}
	return regionOf(m)
}

// CallingCode returns the digits with which the international numbers of a country,
// by its ISO code in capitals, begin; other countries' may begin with the same. It
// is empty for what is no country.
func CallingCode(iso string) string {
	if code := phonenumbers.GetCountryCodeForRegion(iso); code > 0 {
		return strconv.Itoa(code)
	}
	return ""
}

// Mask returns what may be shown of a number as a user wrote it, valid or not:
// at most its first and last four ASCII digits, and nothing else of it, for a
// cell that was taken for a number may hold a name or an address.
// "+254 712-345-678" becomes "2547****5678". Only the first 64 bytes are looked at.
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

// maxUintDigits is how many decimal digits a uint64 can have.
const maxUintDigits = 20

// maskDigits hides four digits at least, from the middle outwards.
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
