package campaign

// CallOutcome is what a call or a probe shows about the account.
type CallOutcome string

// The outcomes of a call.
const (
	CallOK   CallOutcome = "ok"   // the gateway accepted a message
	CallBad  CallOutcome = "bad"  // the circuit breaker counts this failure
	CallHold CallOutcome = "hold" // one call with this outcome holds the account
)

// SettleReason says where the outcomes of a settle come from.
type SettleReason string

// The reasons of a settle.
const (
	// SettleAnswer: the gateway answered about these recipients.
	SettleAnswer SettleReason = "answer"
	// SettlePartial: the gateway answered, but not about all recipients. If a recipient is
	// Unknown in the records, it stays doubtful, and may be submitted again under the same
	// idempotency key.
	SettlePartial SettleReason = "partial"
	// SettleSpared: the gateway answered about these recipients, but refused some of them because
	// of the account or the campaign. The refused recipients are Pending in the settle's records,
	// and the call does not count as an attempt for them.
	SettleSpared SettleReason = "spared"
	// SettleVerdict: Tuma concluded the outcomes from an error or a missing answer.
	SettleVerdict SettleReason = "verdict"
	// SettleLookup: the outcomes come from the answer of a call, or from a lookup in the gateway's
	// list of messages. If a recipient is Unknown in the records, it stays doubtful, and Tuma
	// looks it up in that list after the settle's back-off.
	SettleLookup SettleReason = "looked"
	// SettleAbandon: the generation is doubtful and will not be submitted again.
	SettleAbandon SettleReason = "abandon"
)
