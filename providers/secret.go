package providers

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// mask is what stands for a secret wherever something prints.
const mask = "[secret]"

// Secret is a password, token or key. However it is printed, logged or marshalled
// it shows as "[secret]"; only Reveal gives the text itself. It reads from YAML,
// JSON and flags like any string. Printing is safe for concurrent use. In a field
// that is not exported it must stand behind a pointer: there fmt does not ask its
// methods.
type Secret string

// Reveal returns the secret itself, for the one place that puts it into a request.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (Secret) String() string { return mask }

// GoString returns "[secret]", so that %#v of a struct that holds a secret is safe.
func (Secret) GoString() string { return mask }

// Format writes "[secret]" for every verb, %x and %q included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalText returns "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalJSON returns "[secret]" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// MarshalYAML returns "[secret]".
func (Secret) MarshalYAML() (any, error) { return mask, nil }

// newScrubber returns what replaces every secret in a text, in each of the
// spellings in which net/url, net/http and fmt may have written it.
func newScrubber(secrets []Secret) *strings.Replacer {
	var spellings []string
	for _, s := range secrets {
		raw := s.Reveal()
		quoted := strconv.Quote(raw)
		spellings = append(spellings, raw, url.QueryEscape(raw), url.PathEscape(raw), quoted[1:len(quoted)-1])
	}
	slices.Sort(spellings)
	spellings = slices.Compact(spellings)
	// A secret may begin another one: the longer must go first, or its tail stays.
	slices.SortStableFunc(spellings, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range spellings {
		if s != "" {
			pairs = append(pairs, s, mask)
		}
	}
	return strings.NewReplacer(pairs...)
}

// cutUserinfo replaces the user and password of every URL in text: a proxy's
// address from the environment may hold a login that no configuration names.
func cutUserinfo(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		authority := after
		if end := strings.IndexAny(after, "/?# \t\n\"'"); end >= 0 {
			authority = after[:end]
		}
		if at := strings.LastIndexByte(authority, '@'); at >= 0 {
			b.WriteString(mask)
			after = after[at:]
		}
		text = after
	}
}

// scrubbedError is an error below an *Error: its text is safe to print, and
// errors.Is still finds what it was. It does not unwrap, since the error
// underneath may say what has been cut here.
type scrubbedError struct {
	text string
	is   func(target error) bool
}

// Error returns the text without secrets.
func (e *scrubbedError) Error() string { return e.text }

// Is says whether target is in the chain of the error that was scrubbed.
func (e *scrubbedError) Is(target error) bool { return e.is(target) }
