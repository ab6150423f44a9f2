package africastalking

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tuma-sms/tuma/providers"
)

// sendCodes returns the codes that a recipient may have in an answer to a send.
func sendCodes() []providers.GatewayCode {
	var out []providers.GatewayCode
	for _, n := range slices.Sorted(maps.Keys(codes)) {
		w := codes[n]
		out = append(out, providers.GatewayCode{Code: strconv.Itoa(n), Text: w.name, Outcome: w.Outcome, Scope: w.Scope, Cause: w.Cause, Reason: w.Reason})
	}
	return append(out, providers.GatewayCode{Code: wordNotSent, Outcome: providers.Rejected, Reason: words["could not send"].Reason})
}
