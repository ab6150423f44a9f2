package worker

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

// deed is what the ledger is told of a call.
type action uint8

const (
	actionDoubt   action = iota // unknown: the same again, or nothing (zero, so that forgetting is safe)
	actionSettle                // the recipients have an outcome
	actionRelease               // certainly not sent, nobody's attempt is spent
	actionSplit                 // refused as a whole: halve it
)

// verdict is what an answer means, for the call, its account and its campaign.
type verdict struct {
	action       action
	records      []ledger.Record // deedSettle
	settleReason ledger.SettleReason
	backOff      time.Duration
	renew        bool // deedRelease: the next try takes another uuid
	count        bool // deedDoubt: counts against the call itself

	// For the account: how it went ("" says nothing), why, and how long to leave
	// it alone.
	outcome  ledger.CallOutcome
	reason   string
	code     string
	cooldown time.Duration
	// pause is the word for which the whole campaign is paused, or empty.
	pause string
}

// final says that the verdict leaves nothing to submit of the generation, where
// resend says whether who is unknown may go once more.
func (v verdict) final(resend bool) bool {
	if v.action != actionSettle || v.settleReason == ledger.SettlePartial || v.settleReason == ledger.SettleLookup {
		return false
	}
	for _, r := range v.records {
		if r.Status == ledger.Pending || resend && r.Status == ledger.Unknown {
			return false
		}
	}
	return true
}

// situation is what a verdict depends on besides the answer.
type situation struct {
	recipients int
	doubt      bool // an earlier attempt under this uuid may have been taken
	hasKeys    bool // the gateway knows idempotency keys
	// reconcileFor is how long what is unknown can be looked for at the gateway; 0: it
	// cannot.
	reconcileFor time.Duration
	tries        int
	claims       int // of this generation, this one included
	probe        bool
	maxAttempts  int
	lastAccepted time.Time // of the account, before this call
	first, now   time.Time // first submission under this uuid; this claim
}

// provenFor is how long an accepted call vouches for an account: what is refused
// meanwhile is refused because of itself.
const provenFor = 10 * time.Minute

func (s situation) accountWorks() bool {
	return !s.lastAccepted.IsZero() && s.now.Sub(s.lastAccepted) < provenFor
}

// blamesCall says whether an unknown answer counts against the call itself:
// others have been accepted since it was first tried.
func (s situation) blamesCall() bool { return s.lastAccepted.After(s.first) }

// judge turns a provider's answer into a verdict. What it does not recognise is
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
		// It may have begun on it: as good as unknown. A gateway that remembers errors
		// would say the same for ever, so it counts once others have got through.
		v := unknown(e, s, s.blamesCall())
		v.outcome = ledger.CallBad
		if s.blamesCall() {
			v.outcome = "" // the account must not wait until this one is given up
		}
		return v
	case e.Outcome == providers.Retryable:
		return judgeNotSent(e)
	case e.Outcome == providers.Rejected && s.doubt:
		// A refusal now says nothing of the earlier attempt; that the gateway answers
		// at all is no reason for the breaker.
		v := unknown(e, s, true)
		v.outcome = ""
		return v
	case e.Outcome == providers.Rejected && e.Scope == providers.Campaign:
		return verdict{action: actionRelease, renew: true, pause: reasonOf(e.Code, e.Cause)}
	case e.Outcome == providers.Rejected && e.Scope == providers.Account:
		return verdict{action: actionRelease, renew: true, outcome: ledger.CallHold}
	case e.Outcome == providers.Rejected:
		return judgeRefusal(e, s)
	}
	return unknown(e, s, s.blamesCall())
}

// judgeNotSent is for calls that the gateway certainly has not taken.
func judgeNotSent(e *providers.Error) verdict {
	v := verdict{action: actionRelease, renew: true, outcome: ledger.CallBad, backOff: backOff(1)}
	switch e.Cause {
	case providers.CauseConnection:
		v.renew = false // nothing of it has ever been seen there
	case providers.CauseConfiguration:
		v.outcome, v.renew = ledger.CallHold, false // as above: whatever answered, it was not the gateway
	case providers.CauseCredentials:
		v.outcome = ledger.CallHold
	case providers.CauseCredit:
		v.outcome, v.backOff = ledger.CallHold, 0 // the hold is the back-off
	case providers.CauseThrottled:
		v.outcome, v.cooldown = "", e.RetryAfter
		if v.cooldown <= 0 {
			v.cooldown = time.Second
		}
		v.backOff = 0 // the cool-down is the back-off
	default:
	}
	return v
}

// judgeRefusal is for a call that was refused as a whole and not sent: halved to
// find out who is to blame. A single recipient is, if the account works otherwise.
func judgeRefusal(e *providers.Error, s situation) verdict {
	if s.recipients > 1 {
		v := verdict{action: actionSplit}
		if !s.accountWorks() && !s.probe {
			// Perhaps it refuses everything. But a probe that is halved is a step further, of nine
			// at most, and must not make the hold longer each time.
			v.outcome = ledger.CallBad
		}
		return v
	}
	if !s.accountWorks() {
		return verdict{action: actionRelease, renew: true, backOff: backOff(2), outcome: ledger.CallBad}
	}
	return verdict{action: actionSettle, settleReason: ledger.SettleVerdict,
		records: []ledger.Record{{Status: ledger.Rejected, Reason: string(providers.CauseRefused), Code: e.Code}}}
}

// unknown keeps a call doubtful where the gateway has a key, or can be asked what it has
// taken, and settles it as unknown where neither is so.
func unknown(e *providers.Error, s situation, count bool) verdict {
	v := verdict{action: actionDoubt, count: count, backOff: backOff(max(1, s.claims)), outcome: ledger.CallBad}
	if e.Scope == providers.Account {
		v.outcome = ledger.CallHold
	}
	switch {
	case s.hasKeys:
	case s.reconcileFor > 0:
		v.count, v.backOff = false, lookupDelay(s.reconcileFor, 0)
	default:
		v.action, v.settleReason = actionSettle, ledger.SettleVerdict
		v.records = fill(s.recipients, ledger.Record{Status: ledger.Unknown, Reason: string(e.Cause), Code: e.Code})
	}
	return v
}

// judgeResults takes the gateway's word for each recipient. What it says of a
// recipient because of the account or the campaign stops these, and costs the
// recipient nothing.
func judgeResults(results []providers.Result, s situation) verdict {
	v := verdict{action: actionSettle, settleReason: ledger.SettleAnswer, records: make([]ledger.Record, len(results)), backOff: backOff(s.tries + 2)}
	accepted, unnamed := 0, 0
	for _, r := range results {
		if r.Outcome == providers.Accepted {
			accepted++
		}
	}
	var accountAnswer *providers.Result
	for i, r := range results {
		if accepted > 0 && r.Scope == providers.Campaign {
			// Others have been taken with the same sender and text: it is this recipient's (a
			// sender that one network does not know), and the campaign goes on.
			r.Scope = providers.Recipient
		}
		v.records[i] = ledger.Record{Status: s.statusOf(r), MessageID: r.MessageID, Reason: r.Reason, Code: r.Code, Cost: r.Cost, Currency: r.Currency}
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
		v.outcome = ledger.CallOK
	case unnamed == len(results):
		v.outcome, v.reason = ledger.CallBad, string(providers.CauseNotUnderstood)
	}
	switch {
	case unnamed > 0 && !s.hasKeys && s.reconcileFor > 0:
		v.settleReason, v.backOff = ledger.SettleLookup, lookupDelay(s.reconcileFor, 0)
	case unnamed > 0 && s.hasKeys && !s.doubt:
		// Asking once more under the same key may tell of those it did not name.
		v.settleReason = ledger.SettlePartial
	case accountAnswer != nil || v.pause != "":
		v.settleReason = ledger.SettleSpared
	}
	return v
}

// statusOf is what an answer makes of its recipient.
func (s situation) statusOf(r providers.Result) ledger.Status {
	accountAnswer := r.Scope == providers.Campaign || r.Scope == providers.Account
	switch {
	case r.Outcome == providers.Accepted:
		return ledger.Accepted
	case r.Outcome == providers.Rejected && !accountAnswer:
		return ledger.Rejected
	case r.Outcome != providers.Rejected && r.Outcome != providers.Retryable, s.doubt:
		return ledger.Unknown
	case !accountAnswer && s.tries+1 >= s.maxAttempts:
		return ledger.Rejected
	}
	return ledger.Pending
}

// wordOf is one word for a campaign-wide refusal.
func reasonOf(code string, cause providers.Cause) string { return cmp.Or(code, string(cause)) }

// backOff is how long to leave a call alone at its n-th try: doubling from a
// second to a minute, with full jitter above half of it.
func backOff(n int) time.Duration {
	d := time.Minute
	if n < 7 {
		d = time.Second << max(0, n-1)
	}
	return d/2 + rand.N(d/2)
}
