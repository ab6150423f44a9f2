package campaign

import (
	"errors"
	"time"
)

// ErrRecord means that a stored record cannot be read. Records in Redis are binary and bounded, and
// a damaged one is an error, never a panic or a guess.
var ErrRecord = errors.New("record cannot be read")

// Record is the outcome of one recipient of a call. In Redis it is [status][length of the
// rest][generation, two bytes][tagged fields].
type Record struct {
	Status     Status
	Generation int
	MessageID  string
	Reason     string
	Code       string
	Cost       string
	Currency   string
	// RetryIn is how long a Pending recipient of a settle must wait, if it must wait longer than
	// the settle's other Pending recipients. It is not stored.
	RetryIn time.Duration
	// Resent holds the further message ids of a recipient that was submitted again and whose
	// messages both went out.
	Resent []string
	// Before is the recipient's record with the status Unknown, from before a retry or a resend
	// made the recipient pending again.
	Before *Record
	// Moved means that the recipient is in another batch now, and the rest of the record is empty.
	// Only the ledger sets Before and Moved.
	Moved bool
}
