package main

import (
	"fmt"
	"strconv"
	"strings"
)

// amount is money in millionths: sums of it are exact, as those of decimals must be.
type amount int64

const (
	amountDigits = 6
	amountUnit   = 1_000_000
)

// parseAmount reads "0.80"; false for what is no amount of at most six decimals.
func parseAmount(s string) (amount, bool) {
	whole, part, _ := strings.Cut(s, ".")
	if len(whole) == 0 || len(whole) > 12 || len(part) > amountDigits || strings.Trim(whole+part, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", amountDigits-len(part)), 10, 64)
	return amount(n), err == nil
}

// priceOf reads an account's price of a segment: "0.80 KES".
func priceOf(price string) (each amount, currency string, ok bool) {
	m := priceForm.FindStringSubmatch(price)
	if m == nil {
		return 0, "", false
	}
	each, ok = parseAmount(m[1])
	return each, m[2], ok
}

// String writes it with two decimals, or as many as it needs, and its thousands apart.
func (a amount) String() string {
	whole, part := a/amountUnit, a%amountUnit
	digits := strconv.Itoa(int(amountUnit + part))[1:]
	digits = digits[:2] + strings.TrimRight(digits[2:], "0")
	return formatInt(int(whole)) + "." + digits
}

// MarshalText writes it for programs: "1234567.80".
func (a amount) MarshalText() ([]byte, error) { //nolint:unparam // the interface wants it
	return []byte(strings.ReplaceAll(a.String(), ",", "")), nil
}

// UnmarshalText reads what MarshalText writes.
func (a *amount) UnmarshalText(text []byte) error {
	n, ok := parseAmount(string(text))
	if !ok {
		return fmt.Errorf("%.40q is no amount", text)
	}
	*a = n
	return nil
}
