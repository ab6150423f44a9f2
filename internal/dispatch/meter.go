package dispatch

import (
	"errors"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// Meter counts what a worker does at one account. The methods of an implementation must be safe
// for concurrent use and must return at once.
type Meter interface {
	// Waited counts a call that waited for its turn. d is the length of the wait.
	Waited(d time.Duration)
	// Claimed counts a granted claim. d is how long the worker took to get the claim.
	Claimed(d time.Duration)
	// CallBegins counts a call that takes the given number of units of the account's rate.
	CallBegins(units int)
	// CallEnds counts the end of a call that took the duration d. The parameter "result" is one of CallResults. The
	// call had the given numbers of recipients and of units. traceID is the ID of a recorded trace to which the call
	// belongs, or "".
	CallEnds(d time.Duration, result string, recipients, units int, traceID string)
	// Settled counts the end of a claim after a call. d is how long the worker took to write the end.
	Settled(d time.Duration)
	// Recorded counts outcomes that the ledger has recorded.
	Recorded(records []campaign.Record)
}

// Results of a call.
const (
	ResultOK        = "ok" // at least one recipient was accepted
	ResultRejected  = "rejected"
	ResultRetryable = "retryable" // the messages were certainly not sent, and may be sent later
	ResultUnknown   = "unknown"   // the gateway may have taken the call
)

// CallResults are all results of a call.
var CallResults = []string{ResultOK, ResultRejected, ResultRetryable, ResultUnknown}

// resultOf returns the result of a call with the given number of recipients.
func resultOf(a answer, recipients int) string {
	if a.err != nil || len(a.results) != recipients {
		e, ok := errors.AsType[*providers.Error](a.err)
		switch {
		case ok && e != nil && e.Outcome == providers.Rejected:
			return ResultRejected
		case ok && e != nil && e.Outcome == providers.Retryable:
			return ResultRetryable
		}
		return ResultUnknown
	}
	seen := map[providers.Outcome]bool{}
	for _, r := range a.results {
		if r.Outcome == providers.Accepted {
			return ResultOK
		}
		seen[r.Outcome] = true
	}
	switch {
	case seen[providers.Unknown]:
		return ResultUnknown
	case seen[providers.Retryable]:
		return ResultRetryable
	}
	return ResultRejected
}

// recordedBy returns the records whose status is stored by a settle with the given reason. With the
// reasons SettlePartial and SettleLookup, unknown recipients stay doubtful, so recordedBy omits their
// records.
func recordedBy(reason campaign.SettleReason, records []campaign.Record) []campaign.Record {
	if reason != campaign.SettlePartial && reason != campaign.SettleLookup {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), func(r campaign.Record) bool { return r.Status == campaign.Unknown })
}
