package worker

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

func TestWhatIsLeftMayDoForASmallerCall(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		amount, before  float64
		currency, price string
		refused         int
		segments        int
		want            int
	}{
		"nothing is left":                    {0, 0, "", "", 500, 1, 0},
		"a debt that became smaller":         {-3, -10, "", "", 500, 1, 0},
		"as many as it pays for":             {200, 200, "", "", 500, 1, 200},
		"of two segments":                    {200, 200, "", "", 1000, 2, 100},
		"as many as it pays for, at a price": {200, 200, "KES", "0.80 KES", 500, 1, 250},
		"it pays for no segment":             {0.5, 0.5, "KES", "0.80 KES", 500, 1, 0},
		"half, where nobody knows the price": {200, 200, "KES", "", 500, 1, 250},
		"half, where the price was wrong":    {800, 800, "", "", 500, 1, 250},
		"the balance was read after a topup": {1e6, 1e6, "", "", 200, 1, 100},
		"not even one":                       {200, 200, "KES", "", 1, 1, 0},
		"nothing was refused":                {200, 200, "KES", "", 0, 1, 0},
		"it has risen":                       {1e6, 200, "", "", 1, 1, 1e6},
		"it has risen, but not for all":      {300, 200, "", "", 500, 1, 300},
		"it has risen, at an unknown price":  {300, 200, "KES", "", 500, 1, anySize},
	} {
		s := &batchSender{acc: &account{Account: Account{Price: tt.price}}, segments: tt.segments}
		before := ledger.AccountCheck{BalanceBefore: amountText(tt.before), Refused: tt.refused}
		if got := s.affordableRecipients(providers.Balance{Amount: tt.amount, Currency: tt.currency}, before, &ledger.Generation{}); got != tt.want {
			t.Errorf("%s: a call of %d, want %d", name, got, tt.want)
		}
	}
}

func TestACallAgainstTheBalanceIsTriedSeldom(t *testing.T) {
	t.Parallel()
	begun := time.Date(2025, 11, 1, 8, 0, 0, 0, time.UTC)
	look, tries := ledger.AccountCheck{RefusedAt: begun}, 0
	for now := begun; now.Sub(begun) < 24*time.Hour; now = now.Add(20 * time.Second) {
		if look.Until = now; mayTryDespiteBalance(look, ledger.Hold{Since: begun}, true) {
			tries++
			if tries == 1 && now.Sub(begun) > 2*time.Minute {
				t.Errorf("first after %s", now.Sub(begun))
			}
			look.RefusedAt = now
		}
	}
	if tries < 24 || tries > 110 {
		t.Errorf("%d calls in a day without credit", tries)
	}
	if look.Until = begun.Add(2 * time.Minute); !mayTryDespiteBalance(look, ledger.Hold{Since: begun}, false) {
		t.Error("another hold waits longer than it did")
	}
}
