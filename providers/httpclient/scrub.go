package httpclient

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// mask replaces a secret in a text. It is the text that a providers.Secret prints.
const mask = "[secret]"

// newScrubber returns a Replacer that masks every secret, in each of the escaped forms in which
// net/url, net/http and fmt may have written it.
func newScrubber(secrets []providers.Secret) *strings.Replacer {
	var spellings []string
	for _, s := range secrets {
		raw := s.Reveal()
		quoted := strconv.Quote(raw)
		spellings = append(spellings, raw, url.QueryEscape(raw), url.PathEscape(raw), quoted[1:len(quoted)-1])
	}
	slices.Sort(spellings)
	spellings = slices.Compact(spellings)
	// A secret may be a prefix of another secret. The longer secret must be replaced first;
	// otherwise its end would remain in the text.
	slices.SortStableFunc(spellings, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range spellings {
		if s != "" {
			pairs = append(pairs, s, mask)
		}
	}
	return strings.NewReplacer(pairs...)
}

// cutUserinfo masks the user and password of every URL in text. The address of a proxy comes from
// the environment. It may hold a login that the configuration does not list as a secret.
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

// scrubbedError is an Error.Err whose text holds no secret. errors.Is still matches the chain of
// the original error. scrubbedError has no method Unwrap, because the original error's text may
// hold the secret.
type scrubbedError struct {
	text string
	is   func(target error) bool
}

// Error returns the text without secrets.
func (e *scrubbedError) Error() string { return e.text }

// Is implements the interface of errors.Is. It reports whether target is in the chain of the original error.
func (e *scrubbedError) Is(target error) bool { return e.is(target) }
