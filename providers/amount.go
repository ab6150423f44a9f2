package providers

import (
	"regexp"
	"strconv"
	"strings"
)

// ParseAmount reads a plain decimal number, and nothing that strconv.ParseFloat
// takes beyond that (hexadecimal, "inf", an exponent). White space around it is cut.
func ParseAmount(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	for i, c := range text {
		if (c < '0' || c > '9') && c != '.' && (c != '-' || i > 0) {
			return 0, false
		}
	}
	amount, err := strconv.ParseFloat(text, 64)
	return amount, err == nil
}

var money = regexp.MustCompile(`^(?:([A-Z]{3}) ?)?(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)$`)

// ParseMoney reads an amount behind its currency ("KES 0.8000") or alone ("0"), and
// returns both as they are written.
func ParseMoney(text string) (amount, currency string, ok bool) {
	m := money.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", "", false
	}
	return m[2], m[1], true
}
