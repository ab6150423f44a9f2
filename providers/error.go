package providers

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Cause says why an answer came out as it did, in the words that holds and
// status show to people. The zero value is no particular cause.
type Cause string

// The causes that decide what the worker does next.
const (
	// CauseConnection: no connection was had; certainly not sent.
	CauseConnection Cause = "connection"
	// CauseNoAnswer: a connection was had, but no answer that can be understood
	// as one (reset, EOF, deadline, cancelled, a panic in the client).
	CauseNoAnswer Cause = "no_answer"
	// CauseGateway: the gateway or something before it answered with an error
	// (5xx, error_gw).
	CauseGateway Cause = "gateway"
	// CauseNotUnderstood: a 2xx whose body is not what the gateway documents.
	CauseNotUnderstood Cause = "not_understood"
	// CauseConfiguration: the address or the account's set-up is wrong (3xx, 404, 405, 415).
	CauseConfiguration Cause = "configuration"
	// CauseCredentials: the gateway does not know or does not allow the login.
	CauseCredentials Cause = "credentials"
	// CauseCredit: the account has no credit.
	CauseCredit Cause = "credit"
	// CauseBilling: the gateway could not debit the account just now.
	CauseBilling Cause = "billing"
	// CauseThrottled: too fast; RetryAfter says for how long, if the gateway did.
	CauseThrottled Cause = "throttled"
	// CauseRefused: the gateway refused the request itself (sender, route,
	// parameters, size).
	CauseRefused Cause = "refused"
)

// Error is the answer of a gateway, or the lack of one, that speaks for a whole
// call. It never holds a secret, a message body or a whole phone number.
type Error struct {
	// Op is what was being done: "kobo send".
	Op string
	// Outcome and Scope are the verdict. The zero verdict is Unknown.
	Outcome Outcome
	Scope   Scope
	// Cause says why, in one of the words above.
	Cause Cause
	// Code is the gateway's own word ("error_user") or "http 502"; at most 64 bytes.
	Code string
	// KeepKey says that the next try must carry the same idempotency key,
	// because the gateway may have begun on it although it says it has not sent.
	KeepKey bool
	// RetryAfter is how long the gateway asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause, if there is one below; secrets are already cut from it.
	Err error
}

// Error says, operation first, what happened.
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// NoCall is the verdict on a batch that cannot be a call: Rejected for the campaign,
// without a request.
func NoCall(op, what string) *Error {
	return &Error{Op: op, Outcome: Rejected, Scope: Campaign, Cause: CauseRefused, Err: errors.New(what)}
}

// Refusal says what makes a batch no call at all whatever the gateway: no
// recipients, or more than a call may carry. It is empty for one that may go.
func (i Info) Refusal(b Batch) string {
	switch {
	case len(b.To) == 0:
		return "no recipients"
	case len(b.To) > i.MaxRecipients:
		return fmt.Sprintf("%d recipients, at most %d are allowed", len(b.To), i.MaxRecipients)
	}
	return ""
}
