package httpclient

import "github.com/tuma-sms/tuma/providers"

// Results returns the results of Send for a reply with any status. The provider's parser has read the
// reply's body. The parameter "results" has its results for all recipients, or the parameter "verdict"
// has its error for the whole call. Both are nil if the body is not a documented answer.
//
// A documented body decides the results of the call. This also holds under a status 4xx or 5xx,
// because some gateways document such a status for an answer about recipients. If the body is not
// documented, the status decides the results (StatusVerdict). A 2xx reply with an undocumented body is
// NotUnderstood. Results sets the Op of the error to the parameter "op".
//
// A reply can contradict itself: its status is an error, but its body accepts recipients without
// naming them. If the body names no recipients, the provider sets the parameter "named" to false. Then
// the outcome of a call with such a reply is Unknown.
func (r *Reply) Results(op string, results []providers.Result, verdict *providers.Error, named bool) ([]providers.Result, error) {
	status := r.statusVerdict(op)
	switch {
	case status == nil && (verdict != nil || results == nil):
		return nil, r.Refused(op, verdict)
	case status == nil:
		return results, nil
	case r.Status < 400: // a redirect, or a status that no body follows
		return nil, status
	case verdict != nil && verdict.Cause != providers.CauseNotUnderstood:
		verdict.Op = op
		verdict.RetryAfter = max(verdict.RetryAfter, status.RetryAfter)
		return nil, verdict
	case results == nil:
		return nil, status
	case !named && accepts(results):
		return nil, &providers.Error{Op: op, Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: status.Code, RetryAfter: status.RetryAfter}
	}
	return results, nil
}

// accepts reports whether any result is Accepted.
func accepts(results []providers.Result) bool {
	for _, r := range results {
		if r.Outcome == providers.Accepted {
			return true
		}
	}
	return false
}

func (r *Reply) statusVerdict(op string) *providers.Error {
	return StatusVerdict(op, r.Status, r.RetryAfter, r.errorsInBody)
}

// Refused returns the error for a 2xx reply that does not hold the requested data. If the parameter "verdict"
// is nil, Refused returns r.NotUnderstood(op). Otherwise it returns the verdict, with the field Op set to the
// parameter "op".
func (r *Reply) Refused(op string, verdict *providers.Error) *providers.Error {
	if verdict == nil {
		return r.NotUnderstood(op)
	}
	verdict.Op = op
	return verdict
}
