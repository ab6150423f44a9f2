package providers

import "fmt"

// Outcome is what Tuma knows about a message when the call has ended. A call ends with an answer or
// without an answer.
type Outcome uint8

// These are the outcomes. Unknown is the zero value, because Unknown is the safe outcome. Without
// an idempotency key, Tuma sends a message of unknown outcome again only if the campaign or a user
// allows it.
const (
	// Unknown: the gateway may have taken the message.
	Unknown Outcome = iota
	// Accepted: the gateway has taken the message.
	Accepted
	// Rejected: the gateway has not taken the message and would refuse the same message again.
	Rejected
	// Retryable: the message was certainly not sent and may be sent later.
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

// Scope is the range of messages to which an answer applies.
type Scope uint8

// These are the scopes, from the narrowest to the widest.
const (
	// Recipient: the answer applies only to this recipient's message. Only answers with this scope
	// use up an attempt of the message.
	Recipient Scope = iota
	// Call: the answer applies to this HTTP request. Other calls of the campaign may succeed.
	Call
	// Text: every call with this text would get this answer, e.g. if the gateway refuses the text
	// as invalid. In a plain campaign all calls have this text. In a campaign with merge fields
	// other calls have other texts, so they may succeed.
	Text
	// Campaign: every call of the campaign would get this answer, e.g. for a refused sender ID or a
	// malformed request.
	Campaign
	// Account: every call of the account would get this answer, e.g. for wrong credentials, missing
	// credit, throttling or no connection.
	Account
)

var scopeNames = [...]string{"recipient", "call", "text", "campaign", "account"}

// String returns the scope's lower-case name.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}
