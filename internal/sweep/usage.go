package sweep

import (
	"context"
	"maps"
	"slices"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// accountUsage maps each open campaign to the accounts that it used at the last sweep.
type accountUsage map[string][]string

// accountsInUse returns the accounts that a campaign wants to send through right now.
func accountsInUse(sum ledger.Summary) []string {
	switch {
	case sum.PausedBy != "", sum.StoppedBy != "":
		return nil
	case len(sum.Accounts) == 0 && sum.State == campaign.Planning && sum.Spec.Via != "":
		return []string{sum.Spec.Via}
	case sum.Pending == 0 && sum.State != campaign.Planning:
		return nil
	}
	return sum.Accounts
}

// The method "note" records which accounts the campaign with this ID uses, according to the current sweep.
func (u *accountUsage) note(id string, sum ledger.Summary) {
	if *u == nil {
		*u = accountUsage{}
	}
	(*u)[id] = accountsInUse(sum)
}

// The method "count" returns how many campaigns share each account. If no sweep has seen a campaign yet, the campaign
// is counted for every account.
func (u accountUsage) count(open []ledger.IndexEntry, served []string) map[string]int {
	n, unseen := map[string]int{}, 0
	for _, e := range open {
		accounts, known := u[e.ID]
		if !known {
			unseen++
		}
		for _, a := range accounts {
			n[a]++
		}
	}
	if unseen == 0 {
		return n
	}
	everywhere := map[string]int{}
	for _, a := range slices.Concat(served, slices.Collect(maps.Keys(n))) {
		everywhere[a] = n[a] + unseen
	}
	return everywhere
}

// publishCampaignCounts stores in Redis, for all workers, how many campaigns share each account.
func (s *Sweeper) publishCampaignCounts(ctx context.Context, open []ledger.IndexEntry) error {
	now := s.inUse.count(open, s.Served)
	for a := range s.publishedCounts {
		if _, ok := now[a]; !ok {
			now[a] = 0
		}
	}
	for a, n := range now {
		if n == 0 && s.publishedCounts[a] == 0 {
			delete(now, a)
			continue
		}
		if err := s.Accounts.SetCampaigns(ctx, a, n); err != nil {
			return err
		}
		s.Shares.Forget(a)
	}
	s.publishedCounts = now
	ids := make(map[string]bool, len(open))
	for _, e := range open {
		ids[e.ID] = true
	}
	maps.DeleteFunc(s.inUse, func(id string, _ []string) bool { return !ids[id] })
	return nil
}
