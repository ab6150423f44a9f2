// Package verdict decides what the answer of a gateway means for the call, its account and its
// campaign. Its functions are pure: they read no clock and reach no Redis. Only back-offs are
// random.
package verdict

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// Action is what the ledger does with a call after its answer.
type Action uint8

// The actions.
const (
	// Doubt keeps the call doubtful: the call is repeated unchanged or given up. Doubt is the zero value of Action,
	// because it is the safe default.
	Doubt   Action = iota
	Settle         // record a status for each recipient, and close the generation
	Release        // the call was certainly not sent: free the claim, without counting an attempt
	Split          // the gateway refused the call as a whole: split it into parts
)

// String returns the name of the action, for logs.
func (a Action) String() string {
	switch a {
	case Settle:
		return "settle"
	case Release:
		return "release"
	case Split:
		return "split"
	}
	return "doubt"
}

// Verdict is the meaning of an answer for the call, its account and its campaign.
type Verdict struct {
	Action       Action
	Records      []campaign.Record // for Settle, one record for each recipient
	SettleReason campaign.SettleReason
	BackOff      time.Duration // the minimum time until the next try
	Renew        bool          // for Release, true if the next try uses a new idempotency key
	Count        bool          // for Doubt, true if the answer counts as an attempt of the call

	// Outcome, Reason, Code and Cooldown are for the account. Outcome is the outcome of the call, or ""
	// if the call shows nothing about the account. During Cooldown, no call is made at the account.
	Outcome  campaign.CallOutcome
	Reason   string
	Code     string
	Cooldown time.Duration
	// Pause is the reason for which the whole campaign is paused, or "".
	Pause string
	// Refusals is the number of recipients that the verdict rejects at an account that is not proven to
	// work. At an account that works, Refusals is 0. The caller may reject only as many of these
	// recipients as the account grants. See Grant.
	Refusals int
}

// Final reports whether the generation needs no further submission after the verdict. The parameter
// "resend" is true if recipients whose outcome is unknown may be submitted once more.
func (v Verdict) Final(resend bool) bool {
	if v.Action != Settle || v.SettleReason == campaign.SettlePartial || v.SettleReason == campaign.SettleLookup {
		return false
	}
	for _, r := range v.Records {
		if r.Status == campaign.Pending || resend && r.Status == campaign.Unknown {
			return false
		}
	}
	return true
}

// Situation has all values on which a verdict depends, except the answer itself.
type Situation struct {
	Recipients int
	// Personal is true if the campaign has merge fields. Then the text of the call is not the text
	// of the whole campaign.
	Personal bool
	Doubt    bool // true if the gateway may have taken an earlier attempt with this key
	HasKeys  bool // true if the gateway has idempotency keys
	// ReconcileFor is how long messages of unknown outcome can be looked up at the gateway. It is 0
	// if the gateway cannot list messages.
	ReconcileFor time.Duration
	Tries        int
	Claims       int // number of claims of this generation, including this one
	MaxAttempts  int
	LastAccepted time.Time // when the account last accepted a message, before this call
	First, Now   time.Time // the times of the first submission with this key, and of this claim
}

// ProvenFor is how long an accepted call proves that an account works. If a call is refused within
// that time, the content of the call is the cause of the refusal, and not the account.
const ProvenFor = 10 * time.Minute

func (s Situation) accountWorks() bool {
	return !s.LastAccepted.IsZero() && s.Now.Sub(s.LastAccepted) < ProvenFor
}

// blamesCall reports whether an unknown answer counts as an attempt of the call itself. The answer
// counts if the account has accepted a message since the call was first tried.
func (s Situation) blamesCall() bool { return s.LastAccepted.After(s.First) }

// Judge turns a provider's answer into a verdict. It treats an answer that it does not recognise as
// unknown.
func Judge(results []providers.Result, err error, s Situation) Verdict {
	if err == nil && len(results) == s.Recipients {
		return judgeResults(results, s)
	}
	e, ok := errors.AsType[*providers.Error](err)
	if !ok || e == nil {
		e = &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "contract"}
	}
	v := judgeError(e, s)
	v.Reason, v.Code = string(e.Cause), e.Code
	return v
}

// widenedScope returns the effective scope of an answer about a text. It is the campaign if all
// recipients get this text, and otherwise the call. It returns any other scope unchanged.
func (s Situation) widenedScope(scope providers.Scope) providers.Scope {
	switch {
	case scope != providers.Text:
		return scope
	case s.Personal:
		return providers.Call
	}
	return providers.Campaign
}

func judgeError(e *providers.Error, s Situation) Verdict {
	switch {
	case e.Outcome == providers.Retryable && e.KeepKey:
		// KeepKey means that the gateway may have started sending, so the outcome is unknown. Some
		// gateways repeat the same error for the same key for ever. So the error counts
		// against the call as soon as other calls have succeeded.
		v := unknown(e, s, s.blamesCall())
		v.Outcome = campaign.CallBad
		if s.blamesCall() {
			v.Outcome = "" // the account must not be held before this call is given up
		}
		return v
	case e.Outcome == providers.Retryable:
		return judgeNotSent(e)
	case e.Outcome == providers.Rejected && s.Doubt:
		// A refusal of this attempt does not reveal the outcome of the earlier attempt. The gateway
		// did answer, so the circuit breaker does not count this as a failure.
		v := unknown(e, s, true)
		v.Outcome = ""
		return v
	case e.Outcome == providers.Rejected && s.widenedScope(e.Scope) == providers.Campaign:
		return Verdict{Action: Release, Renew: true, Pause: reasonOf(e.Code, e.Cause)}
	case e.Outcome == providers.Rejected && e.Scope == providers.Account:
		return Verdict{Action: Release, Renew: true, Outcome: campaign.CallHold}
	case e.Outcome == providers.Rejected:
		return judgeRefusal(e, s)
	}
	return unknown(e, s, s.blamesCall())
}

// judgeNotSent judges a call that the gateway has certainly not sent.
func judgeNotSent(e *providers.Error) Verdict {
	v := Verdict{Action: Release, Renew: true, Outcome: campaign.CallBad, BackOff: BackOff(1)}
	switch e.Cause {
	case providers.CauseConnection:
		v.Renew = false // the gateway has never seen the key
	case providers.CauseConfiguration:
		v.Outcome, v.Renew = campaign.CallHold, false // the key can be used again, because the answer did not come from the gateway
	case providers.CauseCredentials:
		v.Outcome = campaign.CallHold
	case providers.CauseCredit:
		v.Outcome, v.BackOff = campaign.CallHold, 0 // the hold replaces the back-off
	case providers.CauseThrottled:
		v.Outcome, v.Cooldown = "", e.RetryAfter
		if v.Cooldown <= 0 {
			v.Cooldown = time.Second
		}
		v.BackOff = 0 // the cool-down replaces the back-off
	default:
	}
	return v
}

// judgeRefusal judges a call that was refused as a whole and not sent. It splits the call, to find
// the recipient that causes the refusal. If the call has only one recipient, the recipient is
// rejected. The circuit breaker counts neither the split nor the rejection, because the recipients
// may be dead numbers. If the account accepts nothing, Verdict.Refusals limits how many recipients
// are rejected in this way.
func judgeRefusal(e *providers.Error, s Situation) Verdict {
	if s.Recipients > 1 {
		return Verdict{Action: Split}
	}
	return s.refused(Verdict{Action: Settle, SettleReason: campaign.SettleVerdict,
		Records: []campaign.Record{{Status: campaign.Rejected, Reason: string(providers.CauseRefused), Code: e.Code}}})
}

// The method "refused" gets a verdict that accepts no recipient. If the account is not proven to
// work, it sets Refusals to the number of recipients that the verdict rejects. Otherwise it returns
// the verdict unchanged.
func (s Situation) refused(v Verdict) Verdict {
	if s.accountWorks() {
		return v
	}
	for _, r := range v.Records {
		if r.Status == campaign.Rejected {
			v.Refusals++
		}
	}
	return v
}

// Grant returns a verdict that rejects at most "granted" of the v.Refusals refused recipients, in the order of
// the call. Certainly no message was sent to the other refused recipients. They stay pending, and the call does
// not count as one of their attempts. The parameter "doubt" is true if the
// gateway may have taken an earlier attempt. If "doubt" is true and "granted" is less than v.Refusals, the
// whole call stays doubtful.
func (v Verdict) Grant(granted int, doubt bool) Verdict {
	switch {
	case granted >= v.Refusals:
		return v
	case doubt:
		return Verdict{Action: Doubt, BackOff: BackOff(2), Reason: v.Reason, Code: v.Code}
	case granted <= 0 && v.Refusals == len(v.Records):
		return Verdict{Action: Release, Renew: true, BackOff: BackOff(2), Reason: v.Reason, Code: v.Code}
	}
	v.Records, v.Refusals = slices.Clone(v.Records), granted
	for i, r := range v.Records {
		if r.Status != campaign.Rejected {
			continue
		}
		if granted > 0 {
			granted--
			continue
		}
		v.Records[i] = campaign.Record{Status: campaign.Pending, Reason: r.Reason, Code: r.Code}
	}
	if v.SettleReason == campaign.SettleAnswer {
		v.SettleReason = campaign.SettleSpared
	}
	return v
}

// The function "unknown" returns a verdict. If the gateway has idempotency keys, or can list the
// messages that it has taken, the verdict keeps the call doubtful. Otherwise the verdict settles
// the call as unknown.
func unknown(e *providers.Error, s Situation, count bool) Verdict {
	v := Verdict{Action: Doubt, Count: count, BackOff: BackOff(max(1, s.Claims)), Outcome: campaign.CallBad}
	if e.Scope == providers.Account {
		v.Outcome = campaign.CallHold
	}
	switch {
	case s.HasKeys:
	case s.ReconcileFor > 0:
		v.Count, v.BackOff = false, LookupDelay(s.ReconcileFor, 0)
	default:
		v.Action, v.SettleReason = Settle, campaign.SettleVerdict
		v.Records = SameForAll(s.Recipients, campaign.Record{Status: campaign.Unknown, Reason: string(e.Cause), Code: e.Code})
	}
	return v
}

// judgeResults judges the gateway's answers for each recipient. An answer about the account holds
// the account, and an answer about the campaign pauses the campaign. Neither of these answers
// counts as an attempt of the recipient.
func judgeResults(results []providers.Result, s Situation) Verdict {
	v := Verdict{Action: Settle, SettleReason: campaign.SettleAnswer, Records: make([]campaign.Record, len(results)), BackOff: BackOff(s.Tries + 2)}
	accepted, unnamed := 0, 0
	for _, r := range results {
		if r.Outcome == providers.Accepted {
			accepted++
		}
	}
	var accountAnswer *providers.Result
	blacklistsAll := blacklistsAll(results)
	for i, r := range results {
		if blacklistsAll {
			r.Scope, r.Cause, r.Code = providers.Campaign, providers.CauseRefused, providers.ReasonBlacklisted
		}
		if r.Scope = s.widenedScope(r.Scope); r.Scope == providers.Call {
			r.Scope = providers.Recipient
		}
		if accepted > 0 && r.Scope == providers.Campaign {
			// Other recipients were accepted with the same sender and body, so the refusal concerns
			// this recipient only. For example, one network may not know the sender. The campaign
			// continues.
			r.Scope = providers.Recipient
		}
		v.Records[i] = campaign.Record{Status: s.statusOf(r), MessageID: r.MessageID, Reason: r.Reason, Code: r.Code, Cost: r.Cost, Currency: r.Currency}
		switch {
		case r.Outcome == providers.Accepted:
		case r.Outcome == providers.Unknown || r.Outcome > providers.Retryable:
			unnamed++
		case r.Scope == providers.Campaign:
			v.Pause = reasonOf(r.Code, r.Cause)
		case r.Scope == providers.Account:
			accountAnswer = &results[i]
		}
		if r.Outcome == providers.Retryable && r.Scope != providers.Account {
			v.Records[i].RetryIn = r.RetryAfter
		}
	}
	switch {
	case accountAnswer != nil:
		why := judgeNotSent(&providers.Error{Cause: accountAnswer.Cause, RetryAfter: accountAnswer.RetryAfter})
		v.Outcome, v.Cooldown, v.Reason, v.Code = why.Outcome, why.Cooldown, string(accountAnswer.Cause), accountAnswer.Code
	case accepted > 0:
		v.Outcome = campaign.CallOK
	case unnamed == len(results):
		v.Outcome, v.Reason = campaign.CallBad, string(providers.CauseNotUnderstood)
	}
	switch {
	case unnamed > 0 && !s.HasKeys && s.ReconcileFor > 0:
		v.SettleReason, v.BackOff = campaign.SettleLookup, LookupDelay(s.ReconcileFor, 0)
	case unnamed > 0 && s.HasKeys && s.Claims < maxReplies:
		// A repeated call under the same key may return the missing answers.
		v.SettleReason = campaign.SettlePartial
	case accountAnswer != nil || v.Pause != "":
		v.SettleReason = campaign.SettleSpared
	}
	if accepted > 0 {
		return v
	}
	return s.refused(v)
}

// maxReplies is how many times a worker claims a call at a gateway with idempotency keys before it
// accepts a reply that leaves out recipients. Until then it repeats the call under its key. One
// repetition would be too few: earlier claims may have had no reply at all.
const maxReplies = 4

// massBlacklist is a number of recipients. If a call has at least this many recipients and the
// gateway answers "blacklisted" for all of them, Tuma does not treat the recipients as the cause
// (blacklistsAll).
const massBlacklist = 10

// blacklistsAll reports whether a gateway answers "blacklisted" for every recipient of a large call.
// Then the cause is the sender ID or the account, and not the recipients.
func blacklistsAll(results []providers.Result) bool {
	for _, r := range results {
		if r.Outcome != providers.Rejected || r.Reason != providers.ReasonBlacklisted {
			return false
		}
	}
	return len(results) >= massBlacklist
}

// statusOf returns the status of a recipient after the answer r.
func (s Situation) statusOf(r providers.Result) campaign.Status {
	accountAnswer := r.Scope == providers.Campaign || r.Scope == providers.Account
	switch {
	case r.Outcome == providers.Accepted:
		return campaign.Accepted
	case r.Outcome == providers.Rejected && !accountAnswer:
		return campaign.Rejected
	case r.Outcome != providers.Rejected && r.Outcome != providers.Retryable, s.Doubt:
		return campaign.Unknown
	case !accountAnswer && s.Tries+1 >= s.MaxAttempts:
		return campaign.Rejected
	}
	return campaign.Pending
}

// reasonOf returns the reason for a refusal of the whole campaign. It is the gateway's code or, if
// the code is empty, the cause.
func reasonOf(code string, cause providers.Cause) string { return cmp.Or(code, string(cause)) }

// RefusalCode returns the gateway's code of the first rejected recipient, or "".
func (v Verdict) RefusalCode() string {
	i := slices.IndexFunc(v.Records, func(r campaign.Record) bool { return r.Status == campaign.Rejected })
	if i < 0 {
		return ""
	}
	return v.Records[i].Code
}
