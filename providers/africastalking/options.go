package africastalking

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/providers"
)

// The names of an account's own fields in the configuration.
const (
	fieldBulkMode   = "bulk_sms_mode"
	fieldEnqueue    = "enqueue"
	fieldKeyword    = "keyword"
	fieldRetryHours = "retry_duration_in_hours"
	fieldFormat     = "format"
)

// MaxRetryHours bounds RetryDurationInHours. The vendor publishes no bound: more
// than a year is taken for a slip of the hand.
const MaxRetryHours = 365 * 24

// Options are the parameters of a message besides sender, text and numbers [page].
// The zero value leaves everything as the account has it, and at the vendor's bulk
// messages where the account says nothing.
type Options struct {
	// BulkSMSMode says who pays for a message from a short code: the account (true,
	// bulkSMSMode=1) or the subscriber (false, premium services). It is always sent:
	// it must be 1 for bulk messages. Default: true.
	BulkSMSMode *bool
	// Enqueue lets the gateway take the messages in and send them later (true,
	// enqueue=1, code 102) instead of waiting for the operators (false, code 101). It
	// is always sent, since its default differs between the vendor's documents.
	// Default: true.
	Enqueue *bool
	// Keyword is the keyword of a premium service; subscriptions need it.
	Keyword string
	// LinkID answers one message that came in (Inbound.LinkID) to an on-demand service.
	LinkID string
	// RetryDurationInHours is how long a premium message is tried again while it
	// cannot be delivered, 1 to MaxRetryHours; 0 leaves it to the gateway.
	RetryDurationInHours int
}

// or returns o with what it leaves out taken from the account.
func (o Options) or(account Options) Options {
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

// check tells the mistakes in an account's options.
func (o Options) check() error {
	var err error
	if o.LinkID != "" {
		err = providers.Mistake("link_id", "belongs to one message; give it to SendWith")
	}
	if o.RetryDurationInHours < 0 || o.RetryDurationInHours > MaxRetryHours {
		err = errors.Join(err, providers.Mistake(fieldRetryHours, fmt.Sprintf("must be 1 to %d", MaxRetryHours)))
	}
	return err
}

// readOptions reads the account's options from its configuration.
func readOptions(s providers.Settings) (Options, error) {
	bulk, bulkErr := s.Bool(fieldBulkMode, true)
	enqueue, enqueueErr := s.Bool(fieldEnqueue, true)
	hours, hoursErr := s.Int(fieldRetryHours, 1, MaxRetryHours, 0)
	o := Options{BulkSMSMode: &bulk, Enqueue: &enqueue, Keyword: s.Options[fieldKeyword], RetryDurationInHours: hours}
	return o, errors.Join(bulkErr, enqueueErr, hoursErr)
}

// sendForm builds the form of a send in one buffer of its own: the transport may
// read it after the call has returned, so it is never used again.
func sendForm(user string, b providers.Batch, o Options) []byte {
	const names = len("username=&to=&message=&from=&bulkSMSMode=1&enqueue=1&keyword=&linkId=&retryDurationInHours=8760")
	form := make([]byte, 0, providers.FormSize(names, b.To, user, b.Body, b.From, o.Keyword, o.LinkID))
	form = providers.AppendField(form, "username", user)
	form = providers.AppendNumbers(form, "to", "+", b.To)
	form = providers.AppendField(form, "message", b.Body)
	if b.From != "" {
		form = providers.AppendField(form, "from", b.From)
	}
	form = providers.AppendField(form, "bulkSMSMode", flag(o.BulkSMSMode))
	form = providers.AppendField(form, "enqueue", flag(o.Enqueue))
	if o.Keyword != "" {
		form = providers.AppendField(form, "keyword", o.Keyword)
	}
	if o.LinkID != "" {
		form = providers.AppendField(form, "linkId", o.LinkID)
	}
	if o.RetryDurationInHours > 0 {
		form = providers.AppendField(form, "retryDurationInHours", strconv.Itoa(o.RetryDurationInHours))
	}
	return form
}

// flag writes a switch that is on unless it is switched off.
func flag(on *bool) string {
	if on != nil && !*on {
		return "0"
	}
	return "1"
}
