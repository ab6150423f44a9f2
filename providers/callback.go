package providers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"path"
	"slices"

	"github.com/tuma-sms/tuma/sms"
)

// DeliveryReport is a gateway's word on a message, told by itself. Reports may come
// twice, out of order, and before the answer to the call: whoever keeps them goes by
// MessageID and never back from a final state.
type DeliveryReport struct {
	// MessageID is the gateway's id of the message.
	MessageID string
	// To is the recipient; 0 if the report does not name one.
	To sms.MSISDN
	// Report is what became of it.
	Report Report
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

// maxCallback bounds the body of a callback; a longest message with all its fields
// is a few KB.
const maxCallback = 64 << 10

// CallbackForm reads the form of a callback, from the body of a POST or, if GET is
// among the methods, from the query, bounded in size. It answers the request
// itself, and returns false, if that is not possible.
func CallbackForm(w http.ResponseWriter, r *http.Request, methods ...string) (url.Values, bool) {
	if !slices.Contains(methods, r.Method) {
		for _, m := range methods {
			w.Header().Add("Allow", m)
		}
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return nil, false
	}
	if r.Method == http.MethodGet {
		form, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			http.Error(w, "not a form", http.StatusBadRequest)
		}
		return form, err == nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCallback)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return nil, false
	}
	return r.PostForm, true
}

// GuardPath lets only requests through whose path ends in the secret as its last
// element; others get a 404. It is the guard of callbacks that gateways do not
// sign. An empty secret lets nobody through. The comparison takes the same time
// whatever is given.
func GuardPath(secret Secret, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !SameSecret(secret, path.Base(r.URL.Path)) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
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
