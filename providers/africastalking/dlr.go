package africastalking

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// states maps the statuses of a DLR, in lower case, to their meaning. The statuses are from public
// sources.
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

// DeliveryReports returns a handler for the gateway's "Delivery Reports" callback (from public
// sources). The handler calls consumer for each DLR, from several goroutines at once. If consumer
// returns an error, the answer is a 500, so that the gateway repeats the callback. If a DLR has
// an unknown status, the handler passes the DLR to consumer with Final set to false.
//
// The gateway must POST to a path whose last element is the secret. The secret is the only
// protection, because the gateway signs nothing. So the callback's address must be https.
// DeliveryReports returns an error if the secret cannot be a path element (see
// httpclient.GuardPath).
func DeliveryReports(secret providers.Secret, consumer func(context.Context, providers.DLR) error) (http.Handler, error) {
	return callback(secret, parseReport, consumer)
}

// Incoming returns a handler for the gateway's "Incoming Messages" callback (from public sources).
// The handler calls consumer for each incoming message (MO). To answer a message to an on-demand
// service, pass the message's LinkID in Options. The rules of DeliveryReports also apply here: for
// the secret, for errors, and for the calls of consumer.
func Incoming(secret providers.Secret, consumer func(context.Context, providers.Inbound) error) (http.Handler, error) {
	return callback(secret, parseIncoming, consumer)
}

// OptOuts returns a handler for the gateway's "Bulk SMS Opt Out" callback (from public sources).
// The handler calls consumer for each opt-out. The rules of DeliveryReports also apply here: for
// the secret, for errors, and for the calls of consumer.
func OptOuts(secret providers.Secret, consumer func(context.Context, providers.OptOut) error) (http.Handler, error) {
	return callback(secret, parseOptOut, consumer)
}

// callback returns a handler for a form that a client POSTs to a path ending in the secret. The
// handler parses the form and passes the result and the request's context to consumer. The handler
// answers 400 to an invalid form, and 500 to an error of consumer. After success the handler
// answers 200, because the vendor does not document whether the gateway accepts a 204.
func callback[T any](secret providers.Secret, parse func(url.Values) (T, bool), consumer func(context.Context, T) error) (http.Handler, error) {
	return httpclient.GuardPath(secret, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := httpclient.CallbackForm(w, r, http.MethodPost)
		if !ok {
			return
		}
		told, ok := parse(form)
		if !ok {
			http.Error(w, "not a callback of Africa's Talking", http.StatusBadRequest)
			return
		}
		if err := consumer(r.Context(), told); err != nil {
			httpclient.Taken(w, err)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
}

// parseReport parses a DLR with the fields id, status, phoneNumber, networkCode, failureReason and
// retryCount. The fields id and status are required. In a call with enqueue=1, the gateway accepts a
// blacklisted number. Then only the DLR shows the refusal, with the failureReason UserInBlackList. An
// invalid phoneNumber is kept in Fields.
func parseReport(form url.Values) (d providers.DLR, ok bool) {
	d.MessageID = messageID(form.Get("id"))
	state := strings.TrimSpace(form.Get("status"))
	d.Status = states[strings.ToLower(state)]
	d.Status.State, d.Reason = clip(state), clip(form.Get("failureReason"))
	d.Blacklisted = d.Status.Final && !d.Status.Delivered && strings.EqualFold(d.Reason, "UserInBlackList")
	for _, name := range []string{"networkCode", "retryCount"} {
		d.Fields = withField(d.Fields, name, clip(form.Get(name)))
	}
	var named bool
	if d.To, named = parseNumber(form.Get("phoneNumber")); !named {
		d.Fields = withField(d.Fields, "phoneNumber", clip(form.Get("phoneNumber")))
	}
	return d, d.MessageID != "" && state != ""
}

// parseIncoming parses a message with the fields date, from, id, linkId, text, to, cost and
// networkCode. The fields from, text and id are required, but text may be empty.
func parseIncoming(form url.Values) (m providers.Inbound, ok bool) {
	m = providers.Inbound{
		ID: messageID(form.Get("id")), From: restored(form.Get("from")), To: restored(form.Get("to")),
		Text: form.Get("text"), LinkID: strings.TrimSpace(form.Get("linkId")),
	}
	for _, name := range []string{"cost", "networkCode"} {
		m.Fields = withField(m.Fields, name, clip(form.Get(name)))
	}
	date := clip(form.Get("date"))
	if m.At, m.Fields = received(date, m.Fields); m.At.IsZero() {
		m.UnreadTime = strings.TrimSpace(date)
	}
	return m, m.ID != "" && m.From != "" && form.Has("text") && max(len(m.From), len(m.To), len(m.LinkID)) <= longestID
}

// parseOptOut parses an opt-out with the fields senderId and phoneNumber. If the senderId is
// missing, the opt-out applies to all sender IDs, because an unwanted message is worse than a
// missing message.
func parseOptOut(form url.Values) (o providers.OptOut, ok bool) {
	o.From = strings.TrimSpace(form.Get("senderId"))
	o.Number, ok = parseNumber(form.Get("phoneNumber"))
	return o, ok && len(o.From) <= longestID
}

// The function "restored" replaces the leading space of a number by a plus, because an unescaped plus in a form is
// read as a space.
func restored(number string) string {
	if rest, ok := strings.CutPrefix(number, " "); ok {
		if _, ok := parseNumber(rest); ok {
			return "+" + rest
		}
	}
	return strings.TrimSpace(number)
}

// clip removes white space around a text and cuts the text to 64 bytes. Use clip only for texts
// that the program does not evaluate.
func clip(text string) string {
	const longest = 64
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}
