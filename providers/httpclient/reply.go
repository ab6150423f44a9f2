package httpclient

import "github.com/tuma-sms/tuma/providers"

// Results returns what Send must return for a parsed reply. results and verdict are what the parser
// returned. verdict is an error for the whole call; if it is not nil, Results sets its Op to op and
// returns it. If both are nil, the reply is not understood and Results returns r.NotUnderstood(op).
func (r *Reply) Results(op string, results []providers.Result, verdict *providers.Error) ([]providers.Result, error) {
	if verdict != nil || results == nil {
		return nil, r.Refused(op, verdict)
	}
	return results, nil
}

// Refused returns the error for a reply that does not hold the requested data: verdict with its Op
// set to op, or r.NotUnderstood(op) if verdict is nil.
func (r *Reply) Refused(op string, verdict *providers.Error) *providers.Error {
	if verdict == nil {
		return r.NotUnderstood(op)
	}
	verdict.Op = op
	return verdict
}
