package server

import (
	"crypto/subtle"
	"fmt"

	"github.com/tuma-sms/tuma/providers"
)

const (
	// MaxSecrets is the maximum number of secrets that an account may have at once.
	MaxSecrets = 2
	// maxSecret is the maximum length of a secret in bytes. providers.CheckPathSecret refuses
	// longer secrets.
	maxSecret = providers.MaxPathSecret
)

// padded holds a secret or a candidate. A candidate is the text in a callback's path that is
// compared with the secret. All padded values have the same size, so every comparison takes the
// same time.
type padded [maxSecret + 2]byte

// The function "pad" returns the padded form of a text. Two texts of at most maxSecret bytes have the same form only
// if they are equal. The form of a longer text differs from that of every secret.
func pad(text string) (p padded) {
	copy(p[:maxSecret], text)
	p[maxSecret] = byte(min(len(text), maxSecret+1))
	return p
}

// secretSet holds the secrets of an account. The zero value matches no candidate.
type secretSet struct {
	secrets [MaxSecrets]padded
	// The field "set" has a 1 for each secret that is set, and otherwise a 0.
	set [MaxSecrets]int
}

// newSecretSet returns the set of the given secrets.
func newSecretSet(secrets []providers.Secret) (s secretSet, err error) {
	if len(secrets) > MaxSecrets {
		return s, fmt.Errorf("an account may have %d callback secrets at most", MaxSecrets)
	}
	for i, secret := range secrets {
		if err := providers.CheckPathSecret(secret); err != nil {
			return s, fmt.Errorf("callback secret: %w", err)
		}
		s.secrets[i], s.set[i] = pad(secret.Reveal()), 1
	}
	return s, nil
}

// The method "match" reports whether the candidate is one of the secrets. It takes the same time for all candidates
// and secrets.
func (s *secretSet) match(candidate string) bool {
	p, found := pad(candidate), 0
	for i := range s.secrets {
		found |= subtle.ConstantTimeCompare(p[:], s.secrets[i][:]) & s.set[i]
	}
	return found == 1
}
