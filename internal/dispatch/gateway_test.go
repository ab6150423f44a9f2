package dispatch

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/wake"
)

// If the account's default sender ID changes, a slot keeps its sender ID, because the keys of its calls are computed
// from it. The next slot has the new sender ID. If a campaign names a sender ID, that sender ID is always used.
func TestSlot_SenderStaysTheSame(t *testing.T) {
	t.Parallel()
	acc := &Account{}
	acc.SetGateway(Gateway{Sender: "OLD"})
	before := newSlot(acc, "c", &wake.Campaign{}, nil)
	acc.SetGateway(Gateway{Sender: "NEW"})
	after := newSlot(acc, "c", &wake.Campaign{}, nil)
	named := newSlot(acc, "c", &wake.Campaign{Spec: campaign.Spec{From: "ACME"}}, nil)
	if got := [3]string{before.sender(), after.sender(), named.sender()}; got != [3]string{"OLD", "NEW", "ACME"} {
		t.Errorf("the slots send as %v, want OLD, NEW and ACME", got)
	}
}
