package accounts

import (
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

func TestSegmentCost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		balance, price string
		want           float64
		ok             bool
	}{
		"credits":                   {"10000", "", 1, true},
		"credits at a price":        {"10000", "0.80 KES", 0.8, true},
		"money at a price":          {"KES 12.5", "0.80 KES", 0.8, true},
		"money without a price":     {"KES 12.5", "", 0, false},
		"money of another currency": {"USD 12.5", "0.80 KES", 0, false},
		"a free account":            {"10", "0 KES", 0, true},
		"a debt":                    {"KES -3", "1 KES", 1, true},
	} {
		balance, ok := Money(tt.balance)
		if !ok {
			t.Errorf("%s: %q was not parsed as an amount", name, tt.balance)
		}
		if got, ok := SegmentCost(balance, tt.price); got != tt.want || ok != tt.ok {
			t.Errorf("%s: SegmentCost returned %v, %t, want the cost and ok of this case", name, got, ok)
		}
	}
	for _, s := range []string{"", "KES", "1 2 3", "KES x"} {
		if got, ok := Money(s); ok || got != (providers.Balance{}) {
			t.Errorf("%q was parsed as %+v, want no amount", s, got)
		}
	}
}
