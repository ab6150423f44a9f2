package dispatch

import (
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// openingSpread is the period over which wake-ups are spread, if their batches wait for the same
// opening.
const openingSpread = time.Second

// schedule has the times at which a batch may be sent, for one pass over the batch.
type schedule struct {
	spans []ledger.Span
	now   time.Time // the time by Redis' clock when the schedule was read
	at    time.Time // the time of this process' clock when the field "now" was read
}

// The method "open" returns the spans in which Redis grants a claim. nil means any time.
func (c *schedule) open() []ledger.Span {
	if c == nil {
		return nil
	}
	return c.spans
}

// The method "closed" reports whether Redis would refuse a claim now, by the clock of this
// process. The check saves a useless reservation. Redis decides at the claim itself.
func (c *schedule) closed() bool {
	if c == nil {
		return false
	}
	now := c.now.Add(time.Since(c.at))
	return !slices.ContainsFunc(c.spans, func(s ledger.Span) bool { return !now.Before(s.From) && now.Before(s.Until) })
}

// nextOpening returns an empty span at the time of the next opening. A claim with this span is
// always refused, and the refusal names the time of the opening.
func (c *schedule) nextOpening() ledger.Span {
	now := c.now.Add(time.Since(c.at))
	at := now
	for _, s := range c.spans {
		if now.Before(s.From) {
			at = s.From
			break
		}
	}
	return ledger.Span{From: at, Until: at}
}
