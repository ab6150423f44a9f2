package providers

import (
	"errors"
	"fmt"
	"regexp"
)

const (
	// maxCallSize is the largest Info.MaxRecipients that is accepted. It is the largest call that
	// the rate limiter of an account grants.
	maxCallSize = 100_000
	// maxMessageSegments is the largest Info.MaxSegments that is accepted. The SMS standard (3GPP TS
	// 23.040) allows up to 255 parts.
	maxMessageSegments = 255
)

var (
	// infoName matches names of providers, which are part of messages and metrics.
	infoName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	// infoFingerprint matches fingerprints. A fingerprint is one word, which Redis keys contain as a
	// hash tag.
	infoFingerprint = regexp.MustCompile(`^[!-z|~]{1,128}$`)
)

// Check returns nil, or an error that joins all mistakes in the Info i, each with the name of its
// field. Without a valid Info a worker would fail later, at a claim or at a call.
func (i Info) Check() error {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if !infoName.MatchString(i.Name) {
		wrong("name %.70q: must be 1 to 64 characters from A-Z a-z 0-9 . _ -", i.Name)
	}
	switch {
	case i.Fingerprint == "":
		wrong("fingerprint is empty: set it to a hash of provider, base URL and user")
	case !infoFingerprint.MatchString(i.Fingerprint):
		wrong("fingerprint %.40q: must be 1 to 128 printable ASCII characters other than space, { and }", i.Fingerprint)
	}
	if i.MaxRecipients < 1 || i.MaxRecipients > maxCallSize {
		wrong("max recipients %d: must be from 1 to %d", i.MaxRecipients, maxCallSize)
	}
	if i.KeyTTL < 0 {
		wrong("key TTL %s: must not be negative; 0 means no idempotency keys", i.KeyTTL)
	}
	if i.MaxSegments > maxMessageSegments {
		wrong("max segments %d: must be at most %d", i.MaxSegments, maxMessageSegments)
	}
	for _, limit := range []struct {
		name  string
		value int
	}{{"max chars", i.MaxChars}, {"max segments", i.MaxSegments}, {"sender alpha max", i.SenderAlphaMax}, {"sender digits max", i.SenderDigitsMax}} {
		if limit.value < 0 {
			wrong("%s %d: must not be negative; 0 means no published limit", limit.name, limit.value)
		}
	}
	return errors.Join(mistakes...)
}
