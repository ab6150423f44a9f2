package ledger

import (
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// countFields returns the ledger fields that accountCounts needs for each stream of a campaign with
// several accounts.
func countFields(streams int) []string {
	out := []string{fieldStreams, fieldStop}
	for a := range streams {
		out = append(out, assignedField(a))
		for _, count := range []string{fieldAccepted, fieldDelivered, fieldUndelivered, fieldRejected, fieldUnknown, fieldInFlight} {
			out = append(out, countField(count, a))
		}
	}
	return out
}

// accountCounts computes the counts of each account from the fields that countFields names. It
// returns nil if planning has not kept separate counts.
func accountCounts(names []string, streams int, v []any) []campaign.AccountCounts {
	if script.Int(v[0]) != streams {
		return nil
	}
	stopped := script.Text(v[1]) != ""
	out := make([]campaign.AccountCounts, len(names))
	for a := range streams {
		n := func(i int) int { return script.Int(v[2+7*a+i]) }
		c := &out[a%len(names)]
		c.Account = names[a%len(names)]
		ended := n(1) + n(2) + n(3) + n(4) + n(5)
		pending, skipped := n(0)-ended, 0
		if stopped {
			// When the campaign was stopped, the recipients that were not in flight were skipped. A
			// stream has no counter of skipped recipients, so the counts are computed here.
			pending, skipped = n(6), pending-n(6)
		}
		for to, by := range map[*int]int{&c.Total: n(0), &c.Accepted: n(1), &c.Delivered: n(2), &c.Undelivered: n(3), &c.Rejected: n(4),
			&c.Unknown: n(5), &c.Pending: pending, &c.Skipped: skipped} {
			*to += by
		}
	}
	return out
}

// onlyAccount returns the counts of a campaign with a single account.
func (s *Summary) onlyAccount() []campaign.AccountCounts {
	stopped := s.Reasons[campaign.ReasonCancelled] + s.Reasons[campaign.ReasonExpired]
	c := s.Counts
	c.Total, c.Skipped = s.Total-s.Skipped+stopped, stopped
	return []campaign.AccountCounts{{Account: s.Accounts[0], Counts: c}}
}
