package dispatch

import (
	"sync"
	"time"
)

// reportEvery is how long an account check stays valid while calls succeed. It is also the minimum
// time between two reports of successful calls. Failures are reported at once.
const reportEvery = 20 * time.Millisecond

// health counts the successful calls of an account in this worker, and keeps what Redis answered
// when they were last reported.
type health struct {
	mu sync.Mutex
	// calls is the number of successful calls that were not reported yet. claimed is when the
	// latest of these calls was claimed.
	calls   int
	claimed time.Time
	// reportedAt is when the slot last reported successful calls. open is true if the account was
	// open at that time. free is true if the account had neither a rate nor a cool-down at that
	// time.
	reportedAt time.Time
	open, free bool
}

// forget drops what health knows, so that the next successful call is reported at once.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reportedAt, h.open, h.free = time.Time{}, false, false
}

// recentlyGood reports whether the last report is at most reportEvery old, and found the account
// open, without a rate and without a cool-down.
func (h *health) recentlyGood() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open && h.free && time.Since(h.reportedAt) < reportEvery
}
