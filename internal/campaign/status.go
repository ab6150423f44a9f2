package campaign

import (
	"fmt"
)

// Status is the status of a recipient.
type Status uint8

// The statuses, with the numbers that settle.lua uses.
const (
	Pending Status = iota
	Unknown
	Rejected
	Accepted
	Delivered
	Undelivered
	Skipped
)

var statusNames = [...]string{"pending", "unknown", "rejected", "accepted", "delivered", "undelivered", "skipped"}

// String returns the status word that users see.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus reverses Status.String. ok is false for an unknown word.
func ParseStatus(s string) (Status, bool) {
	for i, n := range statusNames {
		if n == s {
			return Status(i), true
		}
	}
	return 0, false
}

// State is the state of a campaign.
type State string

// The states, in the words that users see. Done means that no recipient is pending.
const (
	Uploading State = "uploading"
	Scheduled State = "scheduled"
	Planning  State = "planning"
	Sending   State = "sending"
	Paused    State = "paused"
	Cancelled State = "cancelled"
	Done      State = "done"
)
