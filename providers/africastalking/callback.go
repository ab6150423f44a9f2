package africastalking

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// states are the words of a delivery report, in lower case [public].
var states = map[string]providers.MessageStatus{
	"sent":             {},
	"submitted":        {},
	"buffered":         {},
	"success":          {Final: true, Delivered: true},
	"rejected":         {Final: true},
	"failed":           {Final: true},
	"absentsubscriber": {Final: true},
	"expired":          {Final: true},
}

// DeliveryReports serves the gateway's "Delivery Reports" callback [public]. Each
// report is given to take, and comes again if that errs. A status that is no known
// word is handed on as one that is not final.
//
// It is POSTed to a path whose last element is the secret, which is the only guard:
// the gateway signs nothing, so the address must be https. The error says that the
// secret can be no such element (see providers.GuardPath).
func DeliveryReports(secret providers.Secret, take func(context.Context, providers.DLR) error) (http.Handler, error) {
	return callback(secret, parseReport, take)
}

// Incoming serves the gateway's "Incoming Messages" callback [public]: each message
// that somebody sent in is given to take, and comes again if that errs. LinkID goes
// back in Options for an answer to an on-demand service. The secret and the error are
// those of DeliveryReports.
func Incoming(secret providers.Secret, take func(context.Context, providers.Inbound) error) (http.Handler, error) {
	return callback(secret, parseIncoming, take)
}

// OptOuts serves the gateway's "Bulk SMS Opt Out" callback [public]: each wish is
// given to take, and comes again if that errs. The secret and the error are those of
// DeliveryReports.
func OptOuts(secret providers.Secret, take func(context.Context, providers.OptOut) error) (http.Handler, error) {
	return callback(secret, parseOptOut, take)
}

// callback serves a form that is POSTed to a path that ends in the secret. The context
// of take is the request's. The answer is 200, which every sender of
// callbacks takes for a yes; that 204 is one too the vendor documents nowhere. What
// is no form of theirs gets 400, and 500 what take has an error for.
func callback[T any](secret providers.Secret, parse func(url.Values) (T, bool), take func(context.Context, T) error) (http.Handler, error) {
	return providers.GuardPath(secret, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := providers.CallbackForm(w, r, http.MethodPost)
		if !ok {
			return
		}
		told, ok := parse(form)
		if !ok {
			http.Error(w, "not a callback of Africa's Talking", http.StatusBadRequest)
			return
		}
		if err := take(r.Context(), told); err != nil {
			providers.Taken(w, err)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
}

// parseReport reads id, status, phoneNumber, networkCode, failureReason and
// retryCount; the first two must be there. A number that cannot be read is kept
// among the fields. It has no effects.
func parseReport(form url.Values) (d providers.DLR, ok bool) {
	d.MessageID = messageID(form.Get("id"))
	state := strings.TrimSpace(form.Get("status"))
	d.Status = states[strings.ToLower(state)]
	d.Status.State, d.Reason = clip(state), clip(form.Get("failureReason"))
	for _, name := range []string{"networkCode", "retryCount"} {
		d.Fields = withField(d.Fields, name, clip(form.Get(name)))
	}
	var named bool
	if d.To, named = parseNumber(form.Get("phoneNumber")); !named {
		d.Fields = withField(d.Fields, "phoneNumber", clip(form.Get("phoneNumber")))
	}
	return d, d.MessageID != "" && state != ""
}

// parseIncoming reads date, from, id, linkId, text, to, cost and networkCode; from,
// text and an id must be there, the text may be empty. It has no effects.
func parseIncoming(form url.Values) (m providers.Inbound, ok bool) {
	m = providers.Inbound{
		ID: messageID(form.Get("id")), From: restored(form.Get("from")), To: restored(form.Get("to")),
		Text: form.Get("text"), LinkID: strings.TrimSpace(form.Get("linkId")),
	}
	for _, name := range []string{"cost", "networkCode"} {
		m.Fields = withField(m.Fields, name, clip(form.Get(name)))
	}
	m.At, m.Fields = received(clip(form.Get("date")), m.Fields)
	return m, m.ID != "" && m.From != "" && form.Has("text") && max(len(m.From), len(m.To), len(m.LinkID)) <= longestID
}

// parseOptOut reads senderId and phoneNumber. Without a sender the wish goes for all
// of them: better too few messages than one that nobody wants. It has no effects.
func parseOptOut(form url.Values) (o providers.OptOut, ok bool) {
	o.From = strings.TrimSpace(form.Get("senderId"))
	o.Number, ok = parseNumber(form.Get("phoneNumber"))
	return o, ok && len(o.From) <= longestID
}

// restored gives a number back the plus that has become a space on its way.
func restored(number string) string {
	if rest, ok := strings.CutPrefix(number, " "); ok {
		if _, ok := parseNumber(rest); ok {
			return "+" + rest
		}
	}
	return strings.TrimSpace(number)
}

// clip cuts a text that the gateway sends for information.
func clip(text string) string {
	const longest = 64
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}
