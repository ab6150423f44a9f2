// Package providers is the contract between Tuma and an SMS gateway.
//
// A provider speaks one gateway's wire protocol and nothing else: it puts one
// batch to the gateway once, and says what the answer means. It never retries,
// never waits, starts no goroutine and keeps no state of a call. Trying again,
// rates, holds and bookkeeping are the worker's, which wraps every provider in
// the same policy.
package providers

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Provider is a gateway account that can be sent through. Implementations are
// safe for concurrent use by any number of goroutines.
type Provider interface {
	// Info tells the facts of the gateway that do not change while the
	// program runs.
	Info() Info

	// Send puts one batch to the gateway, once. A nil error comes with exactly
	// one Result per recipient, in the order of b.To. Otherwise there are no
	// results, and the error is an *Error whose Outcome and Scope speak for
	// every recipient of the batch. The context bounds the whole call; what the
	// gateway may have taken when it ends is reported as Unknown, never as not
	// sent. Send never sends the request a second time.
	Send(ctx context.Context, b Batch) ([]Result, error)
}

// Balancer is a provider that can say how much credit is left.
type Balancer interface {
	// Balance asks the gateway for the account's credit. Errors are *Error.
	// Asking costs nothing and changes nothing at the gateway.
	Balance(ctx context.Context) (Balance, error)
}

// StatusPoller is a provider that can say what became of a message it has
// accepted.
type StatusPoller interface {
	// MessageStatus asks the gateway for the delivery state of one message id
	// of its own. Errors are *Error.
	MessageStatus(ctx context.Context, messageID string) (Report, error)
}

// Info holds the facts about a gateway which do not change while the program
// runs. Workers publish it in the account card, so that producers can validate
// without gateway code.
type Info struct {
	// Name is the provider's name in configuration: "kobo".
	Name string `json:"name"`
	// Fingerprint names the login a call goes to: provider, base URL and user,
	// hashed; no secret can be read from it. An idempotency key means nothing
	// under another fingerprint.
	Fingerprint string `json:"fingerprint"`
	// MaxRecipients is how many numbers one call may carry.
	MaxRecipients int `json:"max_recipients"`
	// KeyTTL is how long the gateway remembers an idempotency key; 0 means it
	// has none, and a call that may have been taken must not be repeated.
	KeyTTL time.Duration `json:"key_ttl,omitempty"`
	// MaxChars is how many characters a body may have; 0 means no published limit.
	MaxChars int `json:"max_chars,omitempty"`
	// MaxSegments is how many segments a body may take; 0 means no published limit.
	MaxSegments int `json:"max_segments,omitempty"`
	// SenderAlphaMax and SenderDigitsMax bound an alphanumeric and a numeric
	// sender ID; 0 means no published limit.
	SenderAlphaMax  int `json:"sender_alpha_max,omitempty"`
	SenderDigitsMax int `json:"sender_digits_max,omitempty"`
	// SenderOptional says that the gateway has a default sender of its own.
	SenderOptional bool `json:"sender_optional,omitempty"`
}

// Batch is one call to a gateway: one body to at most Info.MaxRecipients numbers.
type Batch struct {
	// Key is the call's idempotency key (message_uuid), a UUID in text form.
	// Gateways without such a key ignore it.
	Key string
	// From is the sender ID; empty means the gateway's default where it has one.
	From string
	// Body is the text, UTF-8.
	Body string
	// Flash asks for a class-0 message where the gateway can do it.
	Flash bool
	// To are the recipients, distinct.
	To []sms.MSISDN
}

// Result is what the gateway said of one recipient.
type Result struct {
	// Outcome is Accepted, Rejected, Retryable (certainly not sent, may go
	// later) or Unknown.
	Outcome Outcome
	// MessageID is the gateway's id of the message, if it gave one.
	MessageID string
	// Reason is one lower-case word of Tuma's for what is not Accepted
	// ("invalid_number", "blacklisted", "not_in_reply").
	Reason string
	// Code is the gateway's own word or number for it, at most 64 bytes.
	Code string
	// Cost and Currency are what the gateway charged, where it says so.
	Cost, Currency string
}

// Balance is an account's credit at its gateway.
type Balance struct {
	// Amount is in the gateway's own unit.
	Amount float64
	// Currency is empty where the gateway counts credits.
	Currency string
}

// Report is a gateway's word on a message it accepted earlier.
type Report struct {
	// Final says that the state will not change any more.
	Final bool
	// Delivered is true when the handset has the message.
	Delivered bool
	// State is the gateway's own word for it.
	State string
}
