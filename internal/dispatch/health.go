package dispatch

import (
	"sync"
	"time"
)

// reportEvery is how long an account check stays valid while calls succeed. It is also the minimum
// time between two reports of successful calls. Failures are reported at once.
const reportEvery = 20 * time.Millisecond

// health counts the successful calls of an account in this worker. The worker reports them to Redis,
// and health keeps the answer of Redis to the last report.
type health struct {
	mu sync.Mutex
	// The field "calls" is the number of successful calls that were not reported yet. The field
	// "claimed" is the time at which the latest of these calls was claimed.
	calls   int
	claimed time.Time
	// reportedAt is the time of the last report of successful calls. The field "open" is true if the
	// account was open at that time. The field "free" is true if the account had no rate and no
	// cool-down at that time.
	reportedAt time.Time
	open, free bool
}

// The method "forget" deletes the last answer, so that the next successful call is reported at once.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reportedAt, h.open, h.free = time.Time{}, false, false
}

// recentlyGood returns true if the last report is less than reportEvery old, and if the account was
// open at that time, without a rate and without a cool-down.
func (h *health) recentlyGood() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open && h.free && time.Since(h.reportedAt) < reportEvery
}
