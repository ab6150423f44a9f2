package africastalking

import (
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/providers"
)

// These are the names of the settings that only this provider has.
const (
	fieldBulkMode   = "bulk_sms_mode"
	fieldEnqueue    = "enqueue"
	fieldKeyword    = "keyword"
	fieldRetryHours = "retry_duration_in_hours"
	fieldFormat     = "format"
)

// MaxRetryHours is the maximum of RetryDurationInHours. The vendor publishes no maximum, but more
// than a year is probably a typing error.
const MaxRetryHours = 365 * 24

// Options are the parameters of a message besides sender ID, text and recipients, as on the
// vendor's page. A zero field takes the account's value (Config.Options). If the account's value is
// also zero, the field takes the default given here.
type Options struct {
	// BulkSMSMode chooses who pays for a message from a short code. If BulkSMSMode is true
	// (bulkSMSMode=1), the account pays. If it is false (premium services), the subscriber pays. The
	// parameter is always sent, because it must be 1 for bulk messages. Default: true.
	BulkSMSMode *bool
	// If Enqueue is true (enqueue=1, code 102), the gateway queues the messages and sends them
	// later. If it is false (code 101), the gateway waits for the operators. The parameter is
	// always sent, because the vendor's documents disagree about its default. Default: true.
	Enqueue *bool
	// Keyword is the keyword of a premium service. Subscription services require a keyword.
	Keyword string
	// LinkID is for on-demand services. It is the Inbound.LinkID of the incoming message that this
	// message answers.
	LinkID string
	// RetryDurationInHours is the time in hours for which the gateway retries a premium message
	// that it cannot deliver, from 1 to MaxRetryHours. 0 means the gateway's default.
	RetryDurationInHours int
}

// withDefaults returns a copy of o in which each zero field has the account's value.
func (o Options) withDefaults(account Options) Options {
	if o.BulkSMSMode == nil {
		o.BulkSMSMode = account.BulkSMSMode
	}
	if o.Enqueue == nil {
		o.Enqueue = account.Enqueue
	}
	if o.Keyword == "" {
		o.Keyword = account.Keyword
	}
	if o.RetryDurationInHours == 0 {
		o.RetryDurationInHours = account.RetryDurationInHours
	}
	return o
}

// check returns the mistakes in an account's options. Each mistake is a *providers.FieldError.
func (o Options) check() error {
	var err error
	if o.LinkID != "" {
		err = providers.Mistake("link_id", "belongs to one message; pass it to SendWith")
	}
	if o.RetryDurationInHours < 0 || o.RetryDurationInHours > MaxRetryHours {
		err = errors.Join(err, providers.Mistake(fieldRetryHours, fmt.Sprintf("must be 1 to %d", MaxRetryHours)))
	}
	return err
}

// readOptions parses the options in an account's configuration.
func readOptions(s providers.Settings) (Options, error) {
	bulk, bulkErr := s.Bool(fieldBulkMode, true)
	enqueue, enqueueErr := s.Bool(fieldEnqueue, true)
	hours, hoursErr := s.Int(fieldRetryHours, 1, MaxRetryHours, 0)
	o := Options{BulkSMSMode: &bulk, Enqueue: &enqueue, Keyword: s.Options[fieldKeyword], RetryDurationInHours: hours}
	return o, errors.Join(bulkErr, enqueueErr, hoursErr)
}
