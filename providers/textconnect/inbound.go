package textconnect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// supplements are what the page calls supplemental data from a distribution list.
var supplements = []string{"MMName", "MMEmail", "MM1", "MM2", "MM3", "MM4", "MM5"}

// Inbound returns the handler that the gateway forwards incoming messages to, by GET
// or POST, as it is set up there. Auth is what it was told to pass as auth; who does
// not know it gets a 403 and nothing else. Take is called for each message, at once
// by several goroutines if they come so; an error of it is answered with a 500. The
// page does not say whether a message comes again then, or whether it can come
// twice: keep them by their ID. Supplemental data are in the message's Fields.
//
// The error says that auth is empty, which would let nobody in, or that this program
// knows no time zones.
func Inbound(auth providers.Secret, take func(context.Context, providers.Inbound) error) (http.Handler, error) {
	if auth == "" {
		return nil, errors.New("textconnect inbound: an empty auth would let nobody in")
	}
	zone, err := london(time.LoadLocation)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := providers.CallbackForm(w, r, http.MethodGet, http.MethodPost)
		if !ok {
			return
		}
		if !providers.SameSecret(auth, form.Get("auth")) {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		message, ok := parseInbound(form, zone)
		if !ok {
			http.Error(w, "no message", http.StatusBadRequest)
			return
		}
		providers.Taken(w, take(r.Context(), message))
	}), nil
}

// parseInbound reads a message that was forwarded. One without an id cannot be told
// from its double, and one without a source cannot be answered; a time that cannot
// be read costs only the time, and stays among the fields. It has no effects.
func parseInbound(form url.Values, zone *time.Location) (providers.Inbound, bool) {
	m := providers.Inbound{ID: form.Get("id"), From: form.Get("source"), To: form.Get("dest"), Text: form.Get("msg"), Fields: map[string]string{}}
	if m.ID == "" || m.From == "" {
		return providers.Inbound{}, false
	}
	for _, name := range supplements {
		if form.Has(name) {
			m.Fields[name] = form.Get(name)
		}
	}
	received := form.Get("receivedts")
	at, err := time.ParseInLocation(time.DateTime, received, zone)
	switch {
	case err == nil:
		m.At = at
	case received != "":
		m.Fields["receivedts"] = received
	}
	return m, true
}
