package accounts

import "regexp"

var (
	// accountNamePattern matches account names, which are part of Redis keys and of queue names.
	accountNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	// holdReasonPattern matches the reasons that a person may give for a hold.
	holdReasonPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)
)

// ValidName reports whether a text may be the name of an account. A name has 1 to 64 characters
// out of A-Z a-z 0-9 _ -
func ValidName(name string) bool { return accountNamePattern.MatchString(name) }

// ValidHoldReason reports whether a text may be the reason of a hold. A reason has 1 to 40
// characters out of A-Z a-z 0-9 _ . -
func ValidHoldReason(reason string) bool { return holdReasonPattern.MatchString(reason) }
