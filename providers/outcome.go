package providers

import "fmt"

// Outcome is what is known about a submission after an answer, or the lack of one.
type Outcome uint8

// The outcomes. Unknown is the zero value, so that forgetting to decide is safe:
// what is unknown is never sent again blindly and never called failed.
const (
	// Unknown: the gateway may have taken the message.
	Unknown Outcome = iota
	// Accepted: the gateway has taken the message.
	Accepted
	// Rejected: the gateway has not taken it, and the same again would get the
	// same answer.
	Rejected
	// Retryable: certainly not sent, and may be sent later.
	Retryable
)

var outcomeNames = [...]string{"unknown", "accepted", "rejected", "retryable"}

// String returns the outcome's lower-case name.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Scope is whom an answer speaks for.
type Scope uint8

// The scopes, from the narrowest to the widest.
const (
	// Recipient: the message itself. Only such answers count against its attempts.
	Recipient Scope = iota
	// Call: this request; other requests of the campaign may fare better.
	Call
	// Campaign: every call of the campaign would get this answer (a refused
	// sender ID, a malformed request).
	Campaign
	// Account: every call of the account would get this answer (credentials,
	// credit, throttling, no connection).
	Account
)

var scopeNames = [...]string{"recipient", "call", "campaign", "account"}

// String returns the scope's lower-case name.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}
