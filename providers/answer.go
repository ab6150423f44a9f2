package providers

// Results is how a Send ends whose reply a parser has read: with the results; with
// its verdict on the whole call, which gets the operation's name; or, if the parser
// made neither of it, with the verdict that the reply is not understood.
func (r *Reply) Results(op string, results []Result, verdict *Error) ([]Result, error) {
	if verdict != nil || results == nil {
		return nil, r.Refused(op, verdict)
	}
	return results, nil
}

// Refused is the error of a reply that is not what was asked for: a parser's verdict
// with the operation's name, or, if that is nil, that the reply is not understood.
func (r *Reply) Refused(op string, verdict *Error) *Error {
	if verdict == nil {
		return r.NotUnderstood(op)
	}
	verdict.Op = op
	return verdict
}
