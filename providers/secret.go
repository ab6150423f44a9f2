package providers

import (
	"fmt"
	"io"
)

// mask is the text that is printed instead of a secret.
const mask = "[secret]"

// Secret is a password, token or key. In prints, logs and JSON it appears as "[secret]". Only
// Reveal returns the text. A Secret unmarshals from YAML and JSON like any string. Its methods
// are safe for concurrent use. An unexported struct field must be a *Secret, because fmt does not
// call the methods of values in unexported fields and would print the text.
type Secret string

// Reveal returns the secret text. Call it only where the secret is written into a request.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (Secret) String() string { return mask }

// GoString returns "[secret]", so that %#v of a struct that holds a secret is safe.
func (Secret) GoString() string { return mask }

// Format writes "[secret]" for every verb, including %x and %q.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalText returns "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalJSON returns "[secret]" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// MarshalYAML returns "[secret]".
func (Secret) MarshalYAML() (any, error) { return mask, nil }
