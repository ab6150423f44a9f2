package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/config"
)

// amount is an amount of money in millionths of its currency, so that sums are exact.
type amount int64

const (
	amountDigits = 6
	amountUnit   = 1_000_000
)

// parseAmount parses an amount such as "0.80". It returns false unless s is a number with at
// most 12 digits before the point and six after it.
func parseAmount(s string) (amount, bool) {
	whole, part, _ := strings.Cut(s, ".")
	if len(whole) == 0 || len(whole) > 12 || len(part) > amountDigits || strings.Trim(whole+part, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", amountDigits-len(part)), 10, 64)
	return amount(n), err == nil
}

// priceOf parses an account's price of a segment, such as "0.80 KES".
func priceOf(price string) (each amount, currency string, ok bool) {
	text, currency, ok := config.SplitPrice(price)
	if !ok {
		return 0, "", false
	}
	each, ok = parseAmount(text)
	return each, currency, ok
}

// String formats the amount with thousands separators and at least two decimals.
func (a amount) String() string {
	whole, part := a/amountUnit, a%amountUnit
	digits := strconv.Itoa(int(amountUnit + part))[1:]
	digits = digits[:2] + strings.TrimRight(digits[2:], "0")
	return formatInt(int(whole)) + "." + digits
}

// MarshalText formats the amount for programs, without thousands separators: "1234567.80".
func (a amount) MarshalText() ([]byte, error) { //nolint:unparam // encoding.TextMarshaler requires the error
	return []byte(strings.ReplaceAll(a.String(), ",", "")), nil
}

// UnmarshalText parses the output of MarshalText.
func (a *amount) UnmarshalText(text []byte) error {
	n, ok := parseAmount(string(text))
	if !ok {
		return fmt.Errorf("amount %.40q must be a number such as 0.80", text)
	}
	*a = n
	return nil
}
