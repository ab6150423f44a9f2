package campaign

// CallOutcome is what a call or probe shows about the account.
type CallOutcome string

// The outcomes of a call.
const (
	CallOK   CallOutcome = "ok"   // the gateway accepted a message
	CallBad  CallOutcome = "bad"  // counts toward the circuit breaker
	CallHold CallOutcome = "hold" // holds the account at once
)

// SettleReason is what the outcomes of a settle are based on.
type SettleReason string

// The reasons of a settle.
const (
	// SettleAnswer: the gateway answered about these recipients.
	SettleAnswer SettleReason = "answer"
	// SettlePartial: the gateway answered, but not about all recipients. Recipients that are
	// Unknown in the records stay doubtful, and may be submitted again under the same idempotency
	// key.
	SettlePartial SettleReason = "partial"
	// SettleSpared: the gateway answered about these recipients, but refused some of them because of
	// the account or the campaign. Those are Pending in the records that settle the call, and the
	// call does not count as an attempt for them.
	SettleSpared SettleReason = "spared"
	// SettleVerdict: Tuma's own conclusion from an error or a missing answer.
	SettleVerdict SettleReason = "verdict"
	// SettleLookup: the answer of a call or a lookup in the gateway's list. Recipients that are
	// Unknown in the records stay doubtful, and are looked up in the gateway's list after retryIn.
	SettleLookup SettleReason = "looked"
	// SettleAbandon: a doubtful generation that will not be submitted again.
	SettleAbandon SettleReason = "abandon"
)
