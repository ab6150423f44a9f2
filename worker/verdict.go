package worker

import (
	"cmp"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// action is what the ledger does with a call after its answer.
type action uint8

const (
	actionDoubt   action = iota // keep the call doubtful: repeat the call unchanged or give it up (the zero value, because this is the safe default)
	actionSettle                // record an outcome for each recipient
	actionRelease               // the call was certainly not sent: free the claim, without counting an attempt
	actionSplit                 // the gateway refused the call as a whole: split it in two
)

// verdict is the meaning of an answer for the call, its account and its campaign.
type verdict struct {
	action       action
	records      []campaign.Record // for actionSettle
	settleReason campaign.SettleReason
	backOff      time.Duration
	renew        bool // for actionRelease: the next try uses a new idempotency key
	count        bool // for actionDoubt: the answer counts as an attempt of the call

	// outcome, reason and the fields after them are for the account: how the call went ("" if it
	// shows nothing), why, and how long to make no calls.
	outcome  campaign.CallOutcome
	reason   string
	code     string
	cooldown time.Duration
	// pause is the reason for which the whole campaign is paused, or "".
	pause string
}

// final reports whether the generation needs no further submission after the verdict. resend
// reports whether recipients whose outcome is unknown may be submitted once more.
func (v verdict) final(resend bool) bool {
	if v.action != actionSettle || v.settleReason == campaign.SettlePartial || v.settleReason == campaign.SettleLookup {
		return false
	}
	for _, r := range v.records {
		if r.Status == campaign.Pending || resend && r.Status == campaign.Unknown {
			return false
		}
	}
	return true
}

// situation is everything that a verdict depends on, except the answer itself.
type situation struct {
	recipients int
	doubt      bool // the gateway may have taken an earlier attempt with this key
	hasKeys    bool // the gateway has idempotency keys
	// reconcileFor is how long messages of unknown outcome can be looked up at the gateway. It is 0
	// if the gateway cannot list them.
	reconcileFor time.Duration
	tries        int
	claims       int // number of claims of this generation, including this one
	probe        bool
	maxAttempts  int
	lastAccepted time.Time // when the account last accepted a message, before this call
	first, now   time.Time // first submission with this key; this claim
}

// provenFor is how long an accepted call proves that an account works. If a call is refused within
// that time, the reason is the content of that call, not the account.
const provenFor = 10 * time.Minute

func (s situation) accountWorks() bool {
	return !s.lastAccepted.IsZero() && s.now.Sub(s.lastAccepted) < provenFor
}

// blamesCall reports whether an unknown answer counts against the call itself. That is so if other
// calls have been accepted since the call was first tried.
func (s situation) blamesCall() bool { return s.lastAccepted.After(s.first) }

// judge turns a provider's answer into a verdict. It treats an answer that it does not recognise as
// unknown.
func judge(results []providers.Result, err error, s situation) verdict {
	if err == nil && len(results) == s.recipients {
		return judgeResults(results, s)
	}
	e, ok := errors.AsType[*providers.Error](err)
	if !ok || e == nil {
		e = &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "contract"}
	}
	v := judgeError(e, s)
	v.reason, v.code = string(e.Cause), e.Code
	return v
}

func judgeError(e *providers.Error, s situation) verdict {
	switch {
	case e.Outcome == providers.Retryable && e.KeepKey:
		// KeepKey means that the gateway may have started sending, so the outcome is unknown. Some
		// gateways repeat the same error for the same key for ever. The error therefore counts
		// against the call once other calls have succeeded.
		v := unknown(e, s, s.blamesCall())
		v.outcome = campaign.CallBad
		if s.blamesCall() {
			v.outcome = "" // the account must not be held before this call is given up
		}
		return v
	case e.Outcome == providers.Retryable:
		return judgeNotSent(e)
	case e.Outcome == providers.Rejected && s.doubt:
		// A refusal of this attempt does not reveal the outcome of the earlier attempt. The gateway
		// did answer, so the circuit breaker does not count this as a failure.
		v := unknown(e, s, true)
		v.outcome = ""
		return v
	case e.Outcome == providers.Rejected && e.Scope == providers.Campaign:
		return verdict{action: actionRelease, renew: true, pause: reasonOf(e.Code, e.Cause)}
	case e.Outcome == providers.Rejected && e.Scope == providers.Account:
		return verdict{action: actionRelease, renew: true, outcome: campaign.CallHold}
	case e.Outcome == providers.Rejected:
		return judgeRefusal(e, s)
	}
	return unknown(e, s, s.blamesCall())
}

// judgeNotSent judges a call that the gateway has certainly not sent.
func judgeNotSent(e *providers.Error) verdict {
	v := verdict{action: actionRelease, renew: true, outcome: campaign.CallBad, backOff: backOff(1)}
	switch e.Cause {
	case providers.CauseConnection:
		v.renew = false // the gateway has never seen the key
	case providers.CauseConfiguration:
		v.outcome, v.renew = campaign.CallHold, false // the key can be used again, because the answer did not come from the gateway
	case providers.CauseCredentials:
		v.outcome = campaign.CallHold
	case providers.CauseCredit:
		v.outcome, v.backOff = campaign.CallHold, 0 // the hold takes the place of the back-off
	case providers.CauseThrottled:
		v.outcome, v.cooldown = "", e.RetryAfter
		if v.cooldown <= 0 {
			v.cooldown = time.Second
		}
		v.backOff = 0 // the cool-down takes the place of the back-off
	default:
	}
	return v
}

// judgeRefusal judges a call that was refused as a whole and not sent. It splits the call, to find
// the recipient that causes the refusal. If the call has only one recipient and the account
// otherwise works, the recipient is rejected.
func judgeRefusal(e *providers.Error, s situation) verdict {
	if s.recipients > 1 {
		v := verdict{action: actionSplit}
		if !s.accountWorks() && !s.probe {
			// The account may refuse every call. But splitting a probe is progress, because at most
			// nine splits lead to a call with one recipient. So a split probe must not lengthen the
			// hold.
			v.outcome = campaign.CallBad
		}
		return v
	}
	if !s.accountWorks() {
		return verdict{action: actionRelease, renew: true, backOff: backOff(2), outcome: campaign.CallBad}
	}
	return verdict{action: actionSettle, settleReason: campaign.SettleVerdict,
		records: []campaign.Record{{Status: campaign.Rejected, Reason: string(providers.CauseRefused), Code: e.Code}}}
}

// unknown returns a verdict that keeps the call doubtful, if the gateway has idempotency keys or
// can list the messages it has taken. Otherwise its verdict settles the call as unknown.
func unknown(e *providers.Error, s situation, count bool) verdict {
	v := verdict{action: actionDoubt, count: count, backOff: backOff(max(1, s.claims)), outcome: campaign.CallBad}
	if e.Scope == providers.Account {
		v.outcome = campaign.CallHold
	}
	switch {
	case s.hasKeys:
	case s.reconcileFor > 0:
		v.count, v.backOff = false, lookupDelay(s.reconcileFor, 0)
	default:
		v.action, v.settleReason = actionSettle, campaign.SettleVerdict
		v.records = fill(s.recipients, campaign.Record{Status: campaign.Unknown, Reason: string(e.Cause), Code: e.Code})
	}
	return v
}

// judgeResults judges the gateway's answers for each recipient. An answer about the account holds
// the account, and an answer about the campaign pauses the campaign. Neither counts as an attempt
// of the recipient.
func judgeResults(results []providers.Result, s situation) verdict {
	v := verdict{action: actionSettle, settleReason: campaign.SettleAnswer, records: make([]campaign.Record, len(results)), backOff: backOff(s.tries + 2)}
	accepted, unnamed := 0, 0
	for _, r := range results {
		if r.Outcome == providers.Accepted {
			accepted++
		}
	}
	var accountAnswer *providers.Result
	for i, r := range results {
		if accepted > 0 && r.Scope == providers.Campaign {
			// Other recipients were accepted with the same sender and body, so the refusal concerns
			// this recipient only. For example, one network may not know the sender. The campaign
			// continues.
			r.Scope = providers.Recipient
		}
		v.records[i] = campaign.Record{Status: s.statusOf(r), MessageID: r.MessageID, Reason: r.Reason, Code: r.Code, Cost: r.Cost, Currency: r.Currency}
		switch {
		case r.Outcome == providers.Accepted:
		case r.Outcome == providers.Unknown || r.Outcome > providers.Retryable:
			unnamed++
		case r.Scope == providers.Campaign:
			v.pause = reasonOf(r.Code, r.Cause)
		case r.Scope == providers.Account:
			accountAnswer = &results[i]
		}
		if r.Outcome == providers.Retryable && r.Scope != providers.Account {
			v.records[i].RetryIn = r.RetryAfter
		}
	}
	switch {
	case accountAnswer != nil:
		why := judgeNotSent(&providers.Error{Cause: accountAnswer.Cause, RetryAfter: accountAnswer.RetryAfter})
		v.outcome, v.cooldown, v.reason, v.code = why.outcome, why.cooldown, string(accountAnswer.Cause), accountAnswer.Code
	case accepted > 0:
		v.outcome = campaign.CallOK
	case unnamed == len(results):
		v.outcome, v.reason = campaign.CallBad, string(providers.CauseNotUnderstood)
	}
	switch {
	case unnamed > 0 && !s.hasKeys && s.reconcileFor > 0:
		v.settleReason, v.backOff = campaign.SettleLookup, lookupDelay(s.reconcileFor, 0)
	case unnamed > 0 && s.hasKeys && !s.doubt:
		// Repeating the call under the same key may bring the missing answers.
		v.settleReason = campaign.SettlePartial
	case accountAnswer != nil || v.pause != "":
		v.settleReason = campaign.SettleSpared
	}
	return v
}

// statusOf returns the status of a recipient after the answer r.
func (s situation) statusOf(r providers.Result) campaign.Status {
	accountAnswer := r.Scope == providers.Campaign || r.Scope == providers.Account
	switch {
	case r.Outcome == providers.Accepted:
		return campaign.Accepted
	case r.Outcome == providers.Rejected && !accountAnswer:
		return campaign.Rejected
	case r.Outcome != providers.Rejected && r.Outcome != providers.Retryable, s.doubt:
		return campaign.Unknown
	case !accountAnswer && s.tries+1 >= s.maxAttempts:
		return campaign.Rejected
	}
	return campaign.Pending
}

// reasonOf returns the reason for a refusal of the whole campaign. That is the gateway's code, or
// the cause if there is no code.
func reasonOf(code string, cause providers.Cause) string { return cmp.Or(code, string(cause)) }
