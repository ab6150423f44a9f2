package dispatch

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

func TestCredit_AffordableRecipientsFollowTheBalance(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		amount, before  float64
		currency, price string
		refused         int
		segments        int
		want            int
	}{
		"nothing is left":                             {0, 0, "", "", 500, 1, 0},
		"a debt that shrank":                          {-3, -10, "", "", 500, 1, 0},
		"as many as the balance pays for":             {200, 200, "", "", 500, 1, 200},
		"two segments each":                           {200, 200, "", "", 1000, 2, 100},
		"as many as the balance pays for, at a price": {200, 200, "KES", "0.80 KES", 500, 1, 250},
		"less than one segment":                       {0.5, 0.5, "KES", "0.80 KES", 500, 1, 0},
		"half, if the price is unknown":               {200, 200, "KES", "", 500, 1, 250},
		"half, if the price was wrong":                {800, 800, "", "", 500, 1, 250},
		"the balance was read after a topup":          {1e6, 1e6, "", "", 200, 1, 100},
		"not even one":                                {200, 200, "KES", "", 1, 1, 0},
		"nothing was refused":                         {200, 200, "KES", "", 0, 1, 0},
		"the balance rose":                            {1e6, 200, "", "", 1, 1, 1e6},
		"the balance rose, but not enough for all":    {300, 200, "", "", 500, 1, 300},
		"the balance rose, at an unknown price":       {300, 200, "KES", "", 500, 1, anySize},
	} {
		acc := &Account{}
		acc.SetGateway(Gateway{Price: tt.price})
		b := &batch{slot: &slot{acc: acc, segments: tt.segments}}
		before := accounts.Check{BalanceBefore: balance.Text(tt.before), Refused: tt.refused}
		if got := affordableRecipients(b, providers.Balance{Amount: tt.amount, Currency: tt.currency}, before, &ledger.Generation{}); got != tt.want {
			t.Errorf("%s: got %d recipients, want %d", name, got, tt.want)
		}
	}
}

func TestCredit_CallDespiteTheBalanceIsTriedRarely(t *testing.T) {
	t.Parallel()
	begun := time.Date(2025, 11, 1, 8, 0, 0, 0, time.UTC)
	look, tries := accounts.Check{RefusedAt: begun}, 0
	for now := begun; now.Sub(begun) < 24*time.Hour; now = now.Add(20 * time.Second) {
		if look.Until = now; mayTryDespiteBalance(look, accounts.Hold{Since: begun}, true) {
			tries++
			if tries == 1 && now.Sub(begun) > 2*time.Minute {
				t.Errorf("first try after %s, want at most 2 min", now.Sub(begun))
			}
			look.RefusedAt = now
		}
	}
	if tries < 24 || tries > 110 {
		t.Errorf("got %d calls in a day without credit, want 24 to 110", tries)
	}
	if look.Until = begun.Add(2 * time.Minute); !mayTryDespiteBalance(look, accounts.Hold{Since: begun}, false) {
		t.Error("another hold waits longer than callProbeAfter")
	}
}
