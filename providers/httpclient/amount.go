package httpclient

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	decimal   = regexp.MustCompile(`^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$`)
	thousands = regexp.MustCompile(`^-?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?$`)
	money     = regexp.MustCompile(`^(?:([A-Z]{3}) ?)?(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)$`)
)

// withoutSeparators removes the commas between thousands ("-1,785.50"). If the text has commas at
// other positions, withoutSeparators returns it unchanged.
func withoutSeparators(amount string) string {
	if thousands.MatchString(amount) {
		return strings.ReplaceAll(amount, ",", "")
	}
	return amount
}

// ParseAmount parses a decimal number, with or without commas between thousands. It ignores white
// space around the number. It does not accept the other forms of strconv.ParseFloat: hexadecimal
// numbers, "inf" and exponents. For any other text, or a number too large for a float64, it returns
// 0 and false.
func ParseAmount(text string) (float64, bool) {
	text = withoutSeparators(strings.TrimSpace(text))
	if !decimal.MatchString(text) {
		return 0, false
	}
	amount, err := strconv.ParseFloat(text, 64)
	if err != nil { // too large for a float64
		return 0, false
	}
	return amount, true
}

// ParseMoney parses an amount with a currency before it ("KES 1,785.50") or without a currency
// ("0"). It returns the amount and the currency as text, and removes commas between thousands.
// The result "ok" is false for any other text.
func ParseMoney(text string) (amount, currency string, ok bool) {
	text = strings.TrimSpace(text)
	at := strings.IndexAny(text, "-0123456789")
	if at < 0 {
		return "", "", false
	}
	m := money.FindStringSubmatch(text[:at] + withoutSeparators(text[at:]))
	if m == nil {
		return "", "", false
	}
	return m[2], m[1], true
}
