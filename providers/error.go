package providers

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Cause is the reason for an answer. The hold of an account and the output of tuma status show the
// text of the cause. The zero value means that the cause is not given.
type Cause string

// These are the causes. The worker chooses its next step by the cause.
const (
	// CauseConnection: the request was not written, in most cases because there was no connection.
	// Nothing was sent.
	CauseConnection Cause = "connection"
	// CauseNoAnswer: the request may have been written, but the client got no usable answer (reset,
	// EOF, deadline, cancellation, a panic in the client).
	CauseNoAnswer Cause = "no_answer"
	// CauseGateway: the gateway, or a server in front of it, answered with an error (HTTP 5xx, or
	// error_gw of kobo).
	CauseGateway Cause = "gateway"
	// CauseNotUnderstood: the answer is an HTTP 2xx whose body differs from the gateway's
	// documentation.
	CauseNotUnderstood Cause = "not_understood"
	// CauseConfiguration: the base URL or another setting of the account is wrong (HTTP 3xx, 404,
	// 405, 415).
	CauseConfiguration Cause = "configuration"
	// CauseCredentials: the gateway refused the login.
	CauseCredentials Cause = "credentials"
	// CauseCredit: the account has no credit.
	CauseCredit Cause = "credit"
	// CauseBilling: the gateway could not debit the account; the error is temporary.
	CauseBilling Cause = "billing"
	// CauseThrottled: the account sends too fast. If the gateway requested a wait, Error.RetryAfter
	// holds it.
	CauseThrottled Cause = "throttled"
	// CauseRefused: the gateway refused the request itself (sender ID, route, parameters, size).
	CauseRefused Cause = "refused"
)

// Error describes the failure of a whole call: the gateway answered with an error, or gave no
// usable answer. An Error never holds a secret, a message body or a complete phone number.
type Error struct {
	// Op is the operation that failed, e.g. "kobo send".
	Op string
	// Outcome is what is known about the messages of the call. The zero Outcome is Unknown. Scope
	// is what the answer applies to.
	Outcome Outcome
	Scope   Scope
	// Cause is the reason, one of the Cause constants.
	Cause Cause
	// Code is the gateway's own code, e.g. "error_user", or the HTTP status, e.g. "http 502". Code
	// has at most 64 bytes.
	Code string
	// KeepKey reports whether the next attempt must carry the same idempotency key. KeepKey is true
	// if the gateway reports an error but may have started to send.
	KeepKey bool
	// RetryAfter is the wait that the gateway requested. It is 0 if the gateway requested no wait.
	RetryAfter time.Duration
	// Err is the underlying error, without secrets. It may be nil.
	Err error
}

// Error returns the operation, the outcome, the cause, the code and the underlying error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	b.WriteString(e.Outcome.String())
	if e.Cause != "" {
		b.WriteString(", ")
		b.WriteString(string(e.Cause))
	}
	if e.Code != "" {
		b.WriteString(" (")
		b.WriteString(e.Code)
		b.WriteString(")")
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// NoCall returns the error for a batch that cannot be sent. The caller has made no HTTP request for
// the batch. The error is Rejected, with Scope Campaign. The parameter "reason" is the text of the
// error.
func NoCall(op, reason string) *Error {
	return &Error{Op: op, Outcome: Rejected, Scope: Campaign, Cause: CauseRefused, Err: errors.New(reason)}
}

// Refusal returns the reason why a batch cannot be sent through a gateway with this Info. A batch
// cannot be sent if it has no recipients, or more than MaxRecipients. For all other batches,
// Refusal returns "".
func (i Info) Refusal(b Batch) string {
	switch {
	case len(b.To) == 0:
		return "no recipients"
	case len(b.To) > i.MaxRecipients:
		return fmt.Sprintf("%d recipients, at most %d are allowed", len(b.To), i.MaxRecipients)
	}
	return ""
}
