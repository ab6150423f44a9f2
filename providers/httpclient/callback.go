package httpclient

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

	"github.com/tuma-sms/tuma/providers"
)

const (
	// maxCallback is the maximum size of a callback's form in bytes. The form of the longest
	// message needs only a few KB.
	maxCallback = 64 << 10
	// maxCallbackFields is the maximum number of fields in a callback's form, far more than any
	// gateway sends.
	maxCallbackFields = 100
)

// CallbackForm parses the form of a gateway's callback. It reads the query of a GET request and the
// body of a request with another method. The parameter "methods" lists the allowed methods. A form
// may have at most 64 KB and 100 fields. If the form cannot be read, CallbackForm writes the error
// response (400 or 405) to w and returns false. The handler must then return.
//
// The parser is lenient, so that no text of a subscriber is lost if a gateway escapes the text
// wrongly. The parser keeps a character that should have been escaped. The Content-Type of a body
// is ignored, but multipart bodies are refused. Invalid UTF-8 becomes U+FFFD and NUL is removed, in
// names and in values.
func CallbackForm(w http.ResponseWriter, r *http.Request, methods ...string) (url.Values, bool) {
	if !slices.Contains(methods, r.Method) {
		for _, m := range methods {
			w.Header().Add("Allow", m)
		}
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return nil, false
	}
	c := providers.Callback{Method: r.Method, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type")}
	var err error
	if r.Method != http.MethodGet {
		c.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	}
	form, ok := callbackForm(c)
	if err != nil || !ok {
		http.Error(w, "not a form", http.StatusBadRequest)
		return nil, false
	}
	return form, true
}

// ParseCallback parses the form of a gateway's callback, with the limits and the lenience of
// CallbackForm. The parameter "methods" lists the allowed methods. The error is
// providers.ErrCallback or providers.ErrCallbackMethod.
func ParseCallback(c providers.Callback, methods ...string) (url.Values, error) {
	if !slices.Contains(methods, c.Method) {
		return nil, providers.ErrCallbackMethod
	}
	form, ok := callbackForm(c)
	if !ok {
		return nil, providers.ErrCallback
	}
	return form, nil
}

// callbackForm parses the query of a GET request, or the body of a request with another method. It
// returns false for a multipart body and for a form that is too large.
func callbackForm(c providers.Callback) (url.Values, bool) {
	if c.Method == http.MethodGet {
		return parseForm(c.Query)
	}
	kind, _, _ := strings.Cut(c.ContentType, "/")
	if strings.EqualFold(strings.TrimSpace(kind), "multipart") {
		return nil, false
	}
	return parseForm(string(c.Body))
}

// parseForm parses a text of the form name=value&…, with any characters in the names and values. It
// returns false for a form that is too long or has too many fields.
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

// unescape decodes + and %XX. It keeps a % that does not begin an escape. It replaces invalid UTF-8
// by U+FFFD and removes NUL, because some databases accept neither.
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

// GuardPath returns a handler that passes a request to the handler "next" only if the last element
// of its path is the secret. Other requests get a 404. Use GuardPath to protect callbacks that the
// gateway does not sign. The comparison takes constant time. GuardPath returns an error if no path
// element can equal the secret. Such a secret is empty, "." or "..", or contains a slash.
func GuardPath(secret providers.Secret, next http.Handler) (http.Handler, error) {
	switch text := secret.Reveal(); {
	case text == "", text == ".", text == "..", strings.Contains(text, "/"):
		return nil, errors.New("guard path: the secret is empty, is \".\" or \"..\", or contains a slash, so that no path could match it: choose another secret")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !SameSecret(secret, path.Base(r.URL.Path)) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// SameSecret reports whether the parameter "candidate" equals the secret. It takes constant time.
// It returns false for an empty secret.
func SameSecret(secret providers.Secret, candidate string) bool {
	want, got := sha256.Sum256([]byte(secret.Reveal())), sha256.Sum256([]byte(candidate))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && secret != ""
}

// Taken writes the response to a callback: status 204 if err is nil, and otherwise 500, so that the
// gateway repeats the callback. The response does not contain err.
func Taken(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "not stored; try again", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
