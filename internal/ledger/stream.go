package ledger

import (
	"fmt"
)

// MaxLanes is how many lanes a campaign has at most; the scripts look no further.
const MaxStreams = 1024

// Lane is what batches are numbered by, and the window of batches counted by: an
// account, and the sending hours of its recipients. So a batch is open or closed as
// a whole, and one that is closed takes no place from others.
type Stream struct {
	Number       int
	Account      SnapshotAccount
	SendingHours CountryHours
}

// Lanes is how many lanes a campaign has: first one an account for recipients who
// may be sent to at any hour, then as many for each of the windows.
func (f PlanSnapshot) Streams() int { return len(f.Accounts) * (1 + len(f.SendingHours)) }

// Lane describes a lane by its number, which must be from 0 to less than Lanes.
func (f PlanSnapshot) Stream(n int) Stream {
	l := Stream{Number: n, Account: f.Accounts[n%len(f.Accounts)]}
	if w := n / len(f.Accounts); w > 0 {
		l.SendingHours = f.SendingHours[w-1]
	}
	return l
}

// Beside is the number of the lane of an account, by its number, for the same sending
// hours as a lane's.
func (f PlanSnapshot) SameHoursFor(stream, account int) int {
	return stream - stream%len(f.Accounts) + account
}

// counted is how many lanes the scripts count the recipients of, each by itself: none, where
// the campaign's own counts say it all.
func (f PlanSnapshot) countedStreams() int {
	if len(f.Accounts) < 2 {
		return 0
	}
	return f.Streams()
}

// LaneOf describes the lane of a batch.
func (f PlanSnapshot) StreamOf(batch string) (Stream, error) {
	n, err := BatchStream(batch)
	if err != nil {
		return Stream{}, err
	}
	if n >= f.Streams() {
		return Stream{}, fmt.Errorf("batch %s has lane %d of %d: %w", batch, n, f.Streams(), errRecord)
	}
	return f.Stream(n), nil
}
