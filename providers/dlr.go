package providers

import "github.com/tuma-sms/tuma/sms"

// DLR is a delivery report. The gateway sends it by callback, about a message that it has
// accepted. A DLR may arrive twice, out of order, or before the answer to the call. A program
// that stores DLRs must use MessageID as the key and must not replace a final status.
type DLR struct {
	// MessageID is the gateway's ID of the message.
	MessageID string
	// To is the recipient. It is 0 if the DLR does not name the recipient.
	To sms.MSISDN
	// Status is the message's delivery status.
	Status MessageStatus
	// Reason is the gateway's code for the reason why the message was not delivered. It is empty if
	// the gateway gave no code.
	Reason string
	// Blacklisted is true if the gateway did not send the message, because the recipient is on the
	// gateway's list of refused numbers. In an answer to a call, ReasonBlacklisted has the same
	// meaning.
	Blacklisted bool
	// Fields holds the gateway's other fields, under the gateway's names.
	Fields map[string]string
}

// MessageStatus is the delivery status of a message that a gateway accepted earlier.
type MessageStatus struct {
	// Final reports whether the status can no longer change.
	Final bool
	// Delivered reports whether the handset received the message.
	Delivered bool
	// State is the gateway's name for the status.
	State string
}

// OptOut is a subscriber's request not to receive messages any more.
type OptOut struct {
	// From is the sender ID to which the request applies. Empty means all sender IDs.
	From string
	// Number is the subscriber's number.
	Number sms.MSISDN
}
