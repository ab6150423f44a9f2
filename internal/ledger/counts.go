package ledger

import "strconv"

// AccountCounts counts the recipients of a campaign that are sent through one of its accounts, by
// status. Recipients that planning skipped, or has not planned yet, belong to no account.
type AccountCounts struct {
	Account     string `json:"account"`
	Total       int    `json:"total"`
	Pending     int    `json:"pending"`
	Accepted    int    `json:"accepted"`
	Delivered   int    `json:"delivered"`
	Undelivered int    `json:"undelivered"`
	Rejected    int    `json:"rejected"`
	Unknown     int    `json:"unknown"`
	Skipped     int    `json:"skipped"`
}

// countFields returns the ledger fields that accountCounts needs for each stream of a campaign with
// several accounts.
func countFields(streams int) []string {
	out := []string{"per", "stop"}
	for a := range streams {
		for _, f := range []string{"to:", "accepted:", "delivered:", "undelivered:", "rejected:", "unknown:", "fly:"} {
			out = append(out, f+strconv.Itoa(a))
		}
	}
	return out
}

// accountCounts computes the counts from those fields. It returns nil if planning kept no separate
// counts.
func accountCounts(names []string, streams int, v []any) []AccountCounts {
	if fieldInt(v[0]) != streams {
		return nil
	}
	stopped := fieldString(v[1]) != ""
	out := make([]AccountCounts, len(names))
	for a := range streams {
		n := func(i int) int { return fieldInt(v[2+7*a+i]) }
		c := &out[a%len(names)]
		c.Account = names[a%len(names)]
		ended := n(1) + n(2) + n(3) + n(4) + n(5)
		pending, skipped := n(0)-ended, 0
		if stopped {
			// Recipients that were not in flight at the stop were skipped by changing the counters
			// only.
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
func (s *Summary) onlyAccount() []AccountCounts {
	stopped := s.Reasons[ReasonCancelled] + s.Reasons[ReasonExpired]
	return []AccountCounts{{Account: s.Accounts[0], Total: s.Total - s.Skipped + stopped, Pending: s.Pending, Accepted: s.Accepted, Delivered: s.Delivered,
		Undelivered: s.Undelivered, Rejected: s.Rejected, Unknown: s.Unknown, Skipped: stopped}}
}
