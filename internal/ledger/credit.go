package ledger

import (
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// Money reads an amount as prices ("0.80 KES") and balances ("KES 12.5", "1000")
// are written; without a currency it is in the gateway's own unit.
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

// SegmentCost is what a segment takes of a balance: the price, where that is in the
// balance's currency or the balance has none, and one where there is no price and the
// gateway counts credits. Otherwise it cannot be told.
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
