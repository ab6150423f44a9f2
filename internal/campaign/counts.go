package campaign

// Counts counts recipients by status. After the commit of a campaign, Total is always the sum of
// the other seven counts.
type Counts struct {
	Total       int
	Pending     int
	Accepted    int
	Delivered   int
	Undelivered int
	Rejected    int
	Unknown     int
	Skipped     int
}

// AccountCounts counts a campaign's recipients at one of its accounts. Recipients that planning
// skipped or has not reached belong to no account.
type AccountCounts struct {
	Account string
	Counts
}
