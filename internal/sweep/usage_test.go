package sweep

import (
	"maps"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

func TestFairness_CountsCampaignsOfEachAccount(t *testing.T) {
	t.Parallel()
	var u accountUsage
	u.note("a", ledger.Summary{State: campaign.Sending, Accounts: []string{"kobo", "at"}, Counts: campaign.Counts{Pending: 1}})
	u.note("b", ledger.Summary{State: campaign.Sending, Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	u.note("planning", ledger.Summary{State: campaign.Planning, Spec: campaign.Spec{Via: "kobo"}})
	u.note("paused", ledger.Summary{State: campaign.Paused, PausedBy: "operator", Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	u.note("stopped", ledger.Summary{State: campaign.Cancelled, StoppedBy: "cancelled", Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	u.note("through", ledger.Summary{State: campaign.Done, Accounts: []string{"kobo"}})
	open := []ledger.IndexEntry{{ID: "a"}, {ID: "b"}, {ID: "planning"}, {ID: "paused"}, {ID: "stopped"}, {ID: "through"}}
	served := []string{"qs"}
	if got := u.count(open, served); !maps.Equal(got, map[string]int{"kobo": 3, "at": 1}) {
		t.Errorf("got counts %v, want 3 for kobo and 1 for at", got)
	}
	// A campaign that no sweep has seen yet is counted for every account.
	open = append(open, ledger.IndexEntry{ID: "new"})
	if got := u.count(open, served); !maps.Equal(got, map[string]int{"kobo": 4, "at": 2, "qs": 1}) {
		t.Errorf("with a new campaign: got counts %v, want 4 for kobo, 2 for at and 1 for qs", got)
	}
}
