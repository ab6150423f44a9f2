package dispatch

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/wake"
)

// The sender ID of a slot stays the same if the account's default changes, because the key of a call in the slot is made
// from the sender ID. The next slot has the new sender ID. A campaign that names a sender ID keeps it.
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
