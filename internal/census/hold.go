package census

import (
	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/providers"
)

// Kinds of holds.
const (
	HeldCredit        = "credit"
	HeldCredentials   = "credentials"
	HeldConfiguration = "configuration"
	HeldBreaker       = "breaker" // too many calls failed, or no message was accepted
	HeldByHand        = "hand"
)

// HoldKinds are all kinds of holds.
var HoldKinds = []string{HeldCredit, HeldCredentials, HeldConfiguration, HeldBreaker, HeldByHand}

// kindOf returns the kind of a hold, or "" if the account is not held.
func kindOf(h accounts.Hold) string {
	switch {
	case !h.Held():
		return ""
	case h.Until.IsZero():
		return HeldByHand
	}
	switch providers.Cause(h.Reason) {
	case providers.CauseCredit, providers.CauseBilling:
		return HeldCredit
	case providers.CauseCredentials:
		return HeldCredentials
	case providers.CauseConfiguration:
		return HeldConfiguration
	default:
		return HeldBreaker
	}
}
