package providers

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

// withoutSeparators cuts the commas between thousands ("-1,785.50"). A text in which
// commas do anything else is returned as it is.
func withoutSeparators(amount string) string {
	if thousands.MatchString(amount) {
		return strings.ReplaceAll(amount, ",", "")
	}
	return amount
}

// ParseAmount reads a decimal number, perhaps with commas between thousands, and
// nothing that strconv.ParseFloat takes beyond that (hexadecimal, "inf", an
// exponent). White space around it is cut. What is no such number, or one too large for a
// float64, is 0 and false.
func ParseAmount(text string) (float64, bool) {
	text = withoutSeparators(strings.TrimSpace(text))
	if !decimal.MatchString(text) {
		return 0, false
	}
	amount, err := strconv.ParseFloat(text, 64)
	if err != nil { // of more digits than there is money
		return 0, false
	}
	return amount, true
}

// ParseMoney reads an amount behind its currency ("KES 1,785.50") or alone ("0"), and
// returns both as they are written, but for the commas between thousands.
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
