package sms

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ValidateSender checks the sender ID s against the limits of a gateway. Its error
// names the necessary change. The parameter "alphaMax" is the maximum number of
// characters of a name. The parameter "digitsMax" is the maximum number of digits of a
// number. If the gateway publishes no limit, set the parameter to 0; ValidateSender
// then uses 16.
//
// A number consists of digits, with an optional leading plus sign, which is not
// counted. A name has at least one ASCII letter. All its characters are ASCII letters,
// digits, inner spaces and . - _ &. Operators register such names, and each of these
// characters is one septet in GSM-7. An empty sender is an error, so do not call
// ValidateSender if the gateway chooses the sender ID.
func ValidateSender(s string, alphaMax, digitsMax int) error {
	if s == "" {
		return errors.New("sender is empty: use a registered name or a number")
	}
	if number := strings.TrimPrefix(s, "+"); isDigits(number) {
		return checkSenderLength(Mask(number), len(number), "digits", digitsMax)
	}
	shown := fmt.Sprintf("%.*q", 2*maxSender, s)
	for _, r := range s {
		if !allowedInSender(r) {
			return fmt.Errorf("sender %s has the character %q: use letters A to Z, digits, space and . - _ &", shown, r)
		}
	}
	switch {
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("sender %s begins or ends with a space: remove it", shown)
	case !strings.ContainsFunc(s, isASCIILetter):
		return fmt.Errorf("sender %s must be a name with at least one letter, or a number of digits only", shown)
	}
	return checkSenderLength(shown, utf8.RuneCountInString(s), "characters", alphaMax)
}

// maxSender is the length of the longest sender ID that any gateway accepts. It is
// KoboMobile's limit for numbers (its documentation: "must <= 16chars for Numerical").
const maxSender = 16

// checkSenderLength returns an error if the length of a sender ID is above the limit. The parameter
// "unit" is the unit of the length: "digits" or "characters". The parameter "shown" is the sender ID
// in the form that the error may contain.
func checkSenderLength(shown string, length int, unit string, limit int) error {
	switch {
	case limit > 0 && length > limit:
		return fmt.Errorf("sender %s has %d %s, the gateway takes at most %d", shown, length, unit, limit)
	case limit <= 0 && length > maxSender:
		return fmt.Errorf("sender %s has %d %s, no gateway takes more than %d", shown, length, unit, maxSender)
	}
	return nil
}

// allowedInSender reports whether a sender name may contain the character r.
func allowedInSender(r rune) bool {
	return isASCIILetter(r) || r >= '0' && r <= '9' || strings.ContainsRune(" .-_&", r)
}

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
