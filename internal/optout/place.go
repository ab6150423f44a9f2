package optout

import (
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// These names are for the package internal/inbox. Its script stores a message with an opt-in
// word, and removes the entry of the sender in the same step.
const (
	// MetaKey is the Redis key of the hash with the data of all suppression lists.
	MetaKey = metaKey
	// KeywordOrigin is the number of OriginKeyword in entries.
	KeywordOrigin = 3
)

// Place returns the key of the bucket that holds a number, and the number's field in it.
func Place(list string, m sms.MSISDN) (key, field string) { return place(list, m) }

// NewestAt returns the largest value that an entry of the given time can have.
func NewestAt(at time.Time) int64 { return valueOf(lastOrigin, at) }
