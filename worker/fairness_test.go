package worker

import (
	"maps"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

func TestAWindowIsShared(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ window, campaigns, want int }{{32, 0, 32}, {32, 1, 32}, {32, 2, 16}, {32, 10, 4}, {32, 32, 1}, {4, 100, 1}} {
		if got := shared(x.window, x.campaigns); got != x.want {
			t.Errorf("%d campaigns share a limit of %d: got %d each, want %d", x.campaigns, x.window, got, x.want)
		}
	}
}

func TestCampaignsOfAnAccountAreCounted(t *testing.T) {
	t.Parallel()
	var s sweeper
	s.note("a", ledger.Summary{State: campaign.Sending, Accounts: []string{"kobo", "at"}, Counts: campaign.Counts{Pending: 1}})
	s.note("b", ledger.Summary{State: campaign.Sending, Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	s.note("planning", ledger.Summary{State: campaign.Planning, Spec: campaign.Spec{Via: "kobo"}})
	s.note("paused", ledger.Summary{State: campaign.Paused, PausedBy: "operator", Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	s.note("stopped", ledger.Summary{State: campaign.Cancelled, StoppedBy: "cancelled", Accounts: []string{"kobo"}, Counts: campaign.Counts{Pending: 1}})
	s.note("through", ledger.Summary{State: campaign.Done, Accounts: []string{"kobo"}})
	open := []ledger.IndexEntry{{ID: "a"}, {ID: "b"}, {ID: "planning"}, {ID: "paused"}, {ID: "stopped"}, {ID: "through"}}
	own := map[string]*account{"qs": nil}
	if got := s.flows.count(open, own); !maps.Equal(got, map[string]int{"kobo": 3, "at": 1}) {
		t.Errorf("unexpected counts: %v", got)
	}
	// A campaign that no sweep has seen yet counts for every account.
	open = append(open, ledger.IndexEntry{ID: "new"})
	if got := s.flows.count(open, own); !maps.Equal(got, map[string]int{"kobo": 4, "at": 2, "qs": 1}) {
		t.Errorf("unexpected counts with a new campaign: %v", got)
	}
}
