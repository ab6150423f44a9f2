package sweep

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
)

func TestHeldLong_OnlyForStoppedCampaigns(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	held := accounts.Hold{Reason: "connection", Since: now.Add(-time.Hour), Until: now.Add(time.Minute)}
	bulk := held
	bulk.BulkOnly = true
	byHand := held
	byHand.Until = time.Time{}
	for name, tt := range map[string]struct {
		hold                     accounts.Hold
		marketing, transactional bool
	}{
		"open":                    {accounts.Hold{}, false, false},
		"held for everything":     {held, true, true},
		"held for bulk campaigns": {bulk, true, false},
		"held by hand":            {byHand, false, false},
	} {
		for class, want := range map[campaign.Class]bool{campaign.Marketing: tt.marketing, "": tt.marketing, campaign.Transactional: tt.transactional} {
			a := accounts.Account{Hold: tt.hold}
			if got := HeldLong(a, class, time.Minute, now); got != want {
				t.Errorf("%s, class %q: HeldLong returned %t, want %t", name, class, got, want)
			}
			if got := SkipInPlanning(a, class, time.Minute, now); got != want {
				t.Errorf("%s, class %q: SkipInPlanning returned %t, want %t", name, class, got, want)
			}
		}
	}
}
