package textconnect

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tuma-sms/tuma/providers"
)

// sendCodes returns the codes that an answer to a send may contain. It leaves out the codes of other
// actions.
func sendCodes() []providers.GatewayCode {
	var out []providers.GatewayCode
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(codes))) {
		if c := codes[n]; !c.elsewhere {
			out = append(out, providers.GatewayCode{Code: strconv.Itoa(n), Text: c.text, Outcome: c.outcome, Scope: c.scope, Cause: c.cause, Reason: c.reason})
		}
	}
	return out
}
