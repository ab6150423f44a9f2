package textconnectsim

import (
	"strconv"
	"time"
)

// failures are the states of undelivered messages on the vendor's page.
var failures = []string{"FAILED", "UNDELIVERABLE", "EXPIRED", "COMMAND_REJECTED", "COMMAND_FAILED"}

// stateOf returns the delivery status of the message to number i of a call. The result "done" is
// the time of the final status. It is zero if the status is not final.
func (g *Simulator) stateOf(call acceptedCall, i int) (state string, done time.Time) {
	start := call.sent
	if !call.scheduled.IsZero() {
		start = call.scheduled
	}
	if start.After(time.Now()) {
		return "Pending", time.Time{}
	}
	id := strconv.FormatUint(call.first+uint64(i)*call.parts, 10)
	switch d := g.deliveries.Of(g.state.Seed(), id, time.Since(start)); {
	case d.Delivered:
		return g.messageState, start.Add(d.After)
	case d.Final:
		return failures[d.Reason%len(failures)], start.Add(d.After)
	default:
		return "Sent", time.Time{}
	}
}
