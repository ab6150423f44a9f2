package campaign

import (
	"errors"
	"time"
)

// ErrRecord means that a stored record cannot be read. Records in Redis are binary and bounded. If
// a record is damaged, reading it returns this error, and never panics or guesses.
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
	// Resent holds further message ids. It is set if a recipient was submitted again and both
	// messages went out.
	Resent []string
	// Before is an earlier record of the recipient, with the status Unknown. After that record,
	// a retry or a resend made the recipient pending again.
	Before *Record
	// Moved means that the recipient is in another batch now, and the other fields of the record
	// are empty. Only the ledger sets Before and Moved.
	Moved bool
}
