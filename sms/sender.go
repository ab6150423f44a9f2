package sms

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ValidateSender checks a sender ID against a gateway's limits: how many
// characters it takes in a name and how many digits in a number. A limit of 0
// means that none is published; then 16 is the most.
//
// A name has ASCII letters, digits, spaces within and . - _ &, and one letter
// at least: what operators register, all of it in GSM-7 without an escape. A
// number is digits only, with or without a plus sign in front, which does not
// count. The error says what to change; nil means the sender will do. An empty
// sender is an error: where the gateway has a sender of its own, do not ask.
func ValidateSender(s string, alphaMax, digitsMax int) error {
	if s == "" {
		return errors.New("sender is empty")
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
		return fmt.Errorf("sender %s is neither a name nor a number: use a letter or digits only", shown)
	}
	return checkSenderLength(shown, utf8.RuneCountInString(s), "characters", alphaMax)
}

// maxSender is the longest sender any of the gateways takes: KoboMobile's
// 16 digits (its page: "must <= 16chars for Numerical").
const maxSender = 16

func checkSenderLength(shown string, have int, unit string, limit int) error {
	switch {
	case limit > 0 && have > limit:
		return fmt.Errorf("sender %s has %d %s, the gateway takes %d", shown, have, unit, limit)
	case limit <= 0 && have > maxSender:
		return fmt.Errorf("sender %s has %d %s, no gateway takes more than %d", shown, have, unit, maxSender)
	}
	return nil
}

func allowedInSender(r rune) bool {
	return isASCIILetter(r) || r >= '0' && r <= '9' || strings.ContainsRune(" .-_&", r)
}

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
