package accounts

import (
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// Money parses a price ("0.80 KES") or a balance ("KES 12.5", "1000"). An amount without a
// currency is in the gateway's own unit. ok is false if s is not an amount.
func Money(s string) (b providers.Balance, ok bool) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > 2 {
		return b, false
	}
	for i, w := range words {
		amount, err := strconv.ParseFloat(w, 64)
		if err != nil {
			continue
		}
		if len(words) == 2 {
			b.Currency = words[1-i]
		}
		b.Amount = amount
		return b, true
	}
	return b, false
}

// SegmentCost returns the cost of one segment in the unit of the balance. If the price has the
// same currency as the balance, or if the balance has no currency, the result is the price. If the
// price is not known and the balance has no currency, the result is 1, because the gateway then
// counts credits. In all other cases the cost is not known, and ok is false.
func SegmentCost(balance providers.Balance, price string) (cost float64, ok bool) {
	p, priced := Money(price)
	switch {
	case !priced && balance.Currency == "":
		return 1, true
	case !priced:
		return 0, false
	case balance.Currency == "", balance.Currency == p.Currency:
		return p.Amount, true
	}
	return 0, false
}
