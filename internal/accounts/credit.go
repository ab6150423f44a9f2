package accounts

import (
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// Money parses an amount as prices ("0.80 KES") and balances ("KES 12.5", "1000") are written.
// Without a currency the amount is in the gateway's own unit. ok is false if s is not an amount.
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

// SegmentCost returns the cost of one segment in the unit of the balance. It is the price, if the
// price is in the balance's currency or the balance has none. It is 1 if there is no price and the
// balance has no currency, because the gateway then counts credits. Otherwise ok is false.
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
