package textconnect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// supplements are the fields with "supplemental data" from a distribution list, as they are named on
// the vendor's page.
var supplements = []string{"MMName", "MMEmail", "MM1", "MM2", "MM3", "MM4", "MM5"}

// Inbound returns a handler to which the gateway forwards incoming messages (MO). The account's
// settings at the gateway choose GET or POST. These settings must also make the gateway send the secret
// in the field "auth". The parameter "auth" is this secret. A request without the secret gets a 403.
//
// The handler calls consumer for each message, from several goroutines at once. If consumer returns an
// error, the answer is a 500. The vendor's page does not state if the gateway then repeats the message,
// or if a message can arrive twice. So the function consumer must store messages under their ID.
// Inbound.Fields holds the supplemental data.
//
// Inbound returns an error if auth is empty, or if the program cannot load the time zone Europe/London.
func Inbound(auth providers.Secret, consumer func(context.Context, providers.Inbound) error) (http.Handler, error) {
	if auth == "" {
		return nil, errors.New("textconnect inbound: auth must not be empty; without it, every request would be refused")
	}
	zone, err := london(time.LoadLocation)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := httpclient.CallbackForm(w, r, http.MethodGet, http.MethodPost)
		if !ok {
			return
		}
		if !httpclient.SameSecret(auth, form.Get("auth")) {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		message, ok := parseInbound(form, zone)
		if !ok {
			http.Error(w, "not a message: id and source are required", http.StatusBadRequest)
			return
		}
		httpclient.Taken(w, consumer(r.Context(), message))
	}), nil
}

var _ providers.InboundParser = (*Provider)(nil)

// ParseInbound parses a message that the gateway forwards to a URL, by GET or POST. The secret in the
// URL protects the callback. So ParseInbound ignores the field "auth".
func (p *Provider) ParseInbound(c providers.Callback) ([]providers.Inbound, error) {
	form, err := httpclient.ParseCallback(c, http.MethodGet, http.MethodPost)
	if err != nil {
		return nil, err
	}
	m, ok := parseInbound(form, p.zone)
	if !ok {
		return nil, providers.ErrCallback
	}
	return []providers.Inbound{m}, nil
}

// parseInbound parses a forwarded message. It requires an ID, because a repeated message is
// recognised by its ID. It also requires a source, because the source gets the answer to the
// message. An invalid time is kept in Fields.
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
		m.UnreadTime, m.Fields["receivedts"] = received, received
	}
	return m, true
}
