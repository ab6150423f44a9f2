package console

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is an amount of money in millionths of its currency, so that sums are exact.
type Amount int64

const (
	amountDigits = 6
	amountUnit   = 1_000_000
)

// ParseAmount parses an amount such as "0.80". It returns false unless s is a number with at
// most 12 digits before the point and at most six digits after the point.
func ParseAmount(s string) (Amount, bool) {
	whole, part, _ := strings.Cut(s, ".")
	if len(whole) == 0 || len(whole) > 12 || len(part) > amountDigits || strings.Trim(whole+part, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", amountDigits-len(part)), 10, 64)
	return Amount(n), err == nil
}

// String formats the amount with thousands separators and at least two decimals.
func (a Amount) String() string {
	whole, part := a/amountUnit, a%amountUnit
	digits := strconv.Itoa(int(amountUnit + part))[1:]
	digits = digits[:2] + strings.TrimRight(digits[2:], "0")
	return FormatInt(int(whole)) + "." + digits
}

// MarshalText formats the amount for programs, without thousands separators: "1234567.80".
func (a Amount) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(a.String(), ",", "")), nil
}

// UnmarshalText parses the output of MarshalText.
func (a *Amount) UnmarshalText(text []byte) error {
	n, ok := ParseAmount(string(text))
	if !ok {
		return fmt.Errorf("amount %.40q must be a number such as 0.80", text)
	}
	*a = n
	return nil
}
