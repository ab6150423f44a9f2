package providers

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/sms"
)

// DeliveryReport is a gateway's word on a message, told by itself. Reports may come
// twice, out of order, and before the answer to the call: whoever keeps them goes by
// MessageID and never back from a final state.
type DLR struct {
	// MessageID is the gateway's id of the message.
	MessageID string
	// To is the recipient; 0 if the report does not name one.
	To sms.MSISDN
	// Report is what became of it.
	Status MessageStatus
	// Reason is the gateway's own word for why it was not delivered.
	Reason string
	// Fields are what else the gateway tells, under its own names.
	Fields map[string]string
}

// OptOut is somebody's wish not to be written to any more.
type OptOut struct {
	// From is the sender ID that shall not write; empty means all.
	From string
	// Number is who does not want to be written to.
	Number sms.MSISDN
}

const (
	// maxCallback bounds what a callback says: a longest message with all its fields
	// is a few KB.
	maxCallback = 64 << 10
	// maxCallbackFields is far above what any gateway tells of one message.
	maxCallbackFields = 100
)

// CallbackForm reads the form of a callback, from the body of a POST or, if GET is
// among the methods, from the query, bounded in size (64 KB) and in fields (100). It
// answers the request itself, and returns false, if that is not possible.
//
// What people write in a message arrives however it was escaped: a sign that should
// have been escaped stands for itself, a body is read whatever it is called (but for
// multipart ones, which are refused), and names and values are valid UTF-8 without
// NUL, with U+FFFD for what is not.
func CallbackForm(w http.ResponseWriter, r *http.Request, methods ...string) (url.Values, bool) {
	if !slices.Contains(methods, r.Method) {
		for _, m := range methods {
			w.Header().Add("Allow", m)
		}
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return nil, false
	}
	text := r.URL.RawQuery
	if r.Method != http.MethodGet {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), "/")
		if err != nil || strings.EqualFold(strings.TrimSpace(kind), "multipart") {
			http.Error(w, "not a form", http.StatusBadRequest)
			return nil, false
		}
		text = string(body)
	}
	form, ok := parseForm(text)
	if !ok {
		http.Error(w, "not a form", http.StatusBadRequest)
	}
	return form, ok
}

// parseForm reads name=value&…, whatever signs stand in it. It is not ok for a form
// that is too long or has too many fields. It has no effects.
func parseForm(text string) (url.Values, bool) {
	if len(text) > maxCallback || strings.Count(text, "&") >= maxCallbackFields {
		return nil, false
	}
	form := url.Values{}
	for field := range strings.SplitSeq(text, "&") {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		form.Add(unescape(name), unescape(value))
	}
	return form, true
}

// unescape resolves + and %XX; a % that begins nothing stands for itself. What is
// not UTF-8 becomes U+FFFD, and NUL goes: there are databases that take neither.
func unescape(s string) string {
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			if n, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				c = n[0]
				i += 2
			}
		}
		if c != 0 {
			plain = append(plain, c)
		}
	}
	return strings.ToValidUTF8(string(plain), "\ufffd")
}

// GuardPath lets only requests through whose path ends in the secret as its last
// element; others get a 404. It is the guard of callbacks that gateways do not
// sign. The comparison takes the same time whatever is given. The error says that
// the secret can be no element of a path, and would let nobody through: it is empty
// or dots, or has a slash in it.
func GuardPath(secret Secret, next http.Handler) (http.Handler, error) {
	switch text := secret.Reveal(); {
	case text == "", text == ".", text == "..", strings.Contains(text, "/"):
		return nil, errors.New("the secret of a path must not be empty, . or .., and must not hold a slash: it would let nobody through")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !SameSecret(secret, path.Base(r.URL.Path)) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// SameSecret says whether given is the secret, and takes the same time whatever is
// given. An empty secret is never the same.
func SameSecret(secret Secret, given string) bool {
	want, got := sha256.Sum256([]byte(secret.Reveal())), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && secret != ""
}

// Taken answers a callback: 204 when it was taken, and 500, so that the gateway
// comes again, when that failed. What failed is not told to the gateway.
func Taken(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "not taken; try again", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
