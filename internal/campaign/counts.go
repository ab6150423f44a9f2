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

// AccountCounts counts a campaign's recipients at one of its accounts. A recipient that planning
// skipped or has not reached is not counted for an account.
type AccountCounts struct {
	Account string
	Counts
}

// Usage is what was sent through one account: messages that its gateway has accepted, their segments,
// and their cost, if the gateway returns it.
type Usage struct {
	Account            string
	Messages, Segments int
	// Cost is in millionths of Currency, an ISO code. Currency is empty if the gateway does not
	// return a cost.
	Cost     int64
	Currency string
}
