package providers

import (
	"cmp"
	"slices"
)

// GatewayCode is a code of a gateway, with its meaning for Tuma. docs/reasons.md lists the codes of all
// gateways.
type GatewayCode struct {
	// Code is the code as the results show it. Text is the gateway's own text for the code, if known.
	Code, Text string
	// Outcome, Scope and Cause are the fields of the Error or Result that the provider returns for this
	// code.
	Outcome Outcome
	Scope   Scope
	Cause   Cause
	// Reason is the reason of a recipient with this code. It is empty if the code is about more than
	// one recipient.
	Reason string
}

// CodesOf returns the codes of a table of errors, sorted by code.
func CodesOf(table map[string]Error) []GatewayCode {
	out := make([]GatewayCode, 0, len(table))
	for code, e := range table {
		out = append(out, GatewayCode{Code: code, Outcome: e.Outcome, Scope: e.Scope, Cause: e.Cause})
	}
	slices.SortFunc(out, func(a, b GatewayCode) int { return cmp.Compare(a.Code, b.Code) })
	return out
}
