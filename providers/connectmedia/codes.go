package connectmedia

import "github.com/tuma-sms/tuma/providers"

// sendCodes returns the codes of answers to a send.
func sendCodes() []providers.GatewayCode {
	return append([]providers.GatewayCode{
		{Code: codeSent, Outcome: providers.Accepted},
		{Code: codeInvalidNumber, Outcome: providers.Rejected, Reason: "invalid_number"},
	}, providers.CodesOf(refusals)...)
}
