package optout

import (
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// The package internal/inbox uses these names. If a message has an opt-in word, the script of that
// package stores the message and removes the sender's entry in one step.
const (
	// MetaKey is the Redis key of the hash with the data of all suppression lists.
	MetaKey = metaKey
	// KeywordOrigin is the number that stands for OriginKeyword in entries.
	KeywordOrigin = 3
)

// Place returns the key of the bucket that holds a number, and the number's field in it.
func Place(list string, m sms.MSISDN) (key, field string) { return place(list, m) }

// NewestAt returns the largest value that an entry of the given time can have.
func NewestAt(at time.Time) int64 { return valueOf(lastOrigin, at) }
