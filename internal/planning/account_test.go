package planning_test

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/providers"
)

func TestAccount_BatchIsAMinuteOfTheRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		unit      string
		rate      float64
		most      int
		segments  int
		recipient int
	}{
		{campaign.UnitMessages, 0, 500, 1, 500},
		{campaign.UnitMessages, 1000, 500, 1, 500},
		{campaign.UnitMessages, 0, 1, 1, 50},
		{campaign.UnitMessages, 0, 9, 1, 450},
		{campaign.UnitMessages, 2, 500, 1, 120},
		{campaign.UnitMessages, 2, 50, 1, 100},
		{campaign.UnitMessages, 0.001, 500, 1, 1},
		{campaign.UnitMessages, 0, 30, 1, 480},
		{campaign.UnitRequests, 1, 500, 1, 500},
		{campaign.UnitRequests, 0.01, 50, 1, 30},
		{campaign.UnitSegments, 4, 500, 2, 120},
	} {
		card := campaign.Card{Unit: tt.unit, Rate: tt.rate, Info: providers.Info{MaxRecipients: tt.most}}
		if got := planning.Account(card, campaign.Spec{Body: strings.Repeat("x", 150*tt.segments)}, 0, 0).BatchSize; got != tt.recipient {
			t.Errorf("%+v: the batch size is %d; want %d", tt, got, tt.recipient)
		}
	}
}

func TestAccount_LargeCampaignHasMoreCalls(t *testing.T) {
	t.Parallel()
	for recipients, want := range map[int]int{0: 50, 200: 50, 10_000: 50, 20_000: 100, 100_000: 250, 1_000_000: 250} {
		card := campaign.Card{Unit: campaign.UnitMessages, Info: providers.Info{MaxRecipients: 1}}
		if got := planning.Account(card, campaign.Spec{Body: "x"}, recipients, 0).BatchSize; got != want {
			t.Errorf("%d recipients: batches of %d calls, want %d", recipients, got, want)
		}
		if got := planning.Account(card, campaign.Spec{Body: "x {{name}}", Fields: []string{"name"}}, recipients, 0).Calls; got != want {
			t.Errorf("%d personalized recipients: batches of %d calls, want %d", recipients, got, want)
		}
	}
}

// A small campaign is cut into enough batches to give each slot a batch, whatever the number of
// workers. A large campaign has larger batches, because each batch costs a task.
func TestAccount_SmallCampaignUsesAllSlots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ recipients, most, slots, want int }{
		{1, 1, 8, 1}, {16, 1, 8, 1}, {20, 1, 8, 2}, {60, 1, 8, 4}, {500, 1, 8, 32}, {4000, 1, 8, 50},
		{60, 1, 16, 2}, {500, 1, 16, 16}, {1_000_000, 1, 8, 250}, {1000, 200, 8, 200}, {5000, 500, 8, 500}, {60, 1, 0, 50}, {0, 1, 8, 50},
	} {
		card := campaign.Card{Unit: campaign.UnitMessages, Info: providers.Info{MaxRecipients: tt.most}}
		if got := planning.Account(card, campaign.Spec{Body: "x"}, tt.recipients, tt.slots).BatchSize; got != tt.want {
			t.Errorf("%+v: batches of %d recipients, want %d", tt, got, tt.want)
		}
		if tt.most > 1 {
			continue
		}
		if got := planning.Account(card, campaign.Spec{Body: "x {{name}}", Fields: []string{"name"}}, tt.recipients, tt.slots).Calls; got != tt.want {
			t.Errorf("%+v, personalized: batches of %d calls, want %d", tt, got, tt.want)
		}
	}
}
