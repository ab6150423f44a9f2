package providertest

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/providers"
)

var callbackChecks = []check{
	{"a callback with any content is parsed or refused", hostileCallbacks},
	{"a callback with another method is refused", callbackMethods},
}

// callbackFields are the names of callback fields from the documentation of gateways. A parser first
// checks that no field is missing, so a hostile callback must have all fields.
var callbackFields = []string{
	"id", "status", "phoneNumber", "failureReason", "networkCode", "from", "to", "text", "date", "linkId", "senderId", "source", "dest", "msg", "receivedts",
	"auth", "msgid", "msg_id", "message_id", "mobile", "dlr", "dlr_code", "state",
}

// hostileValues returns values for a field of a callback: invalid, very long and misleading texts.
func hostileValues() []string {
	return []string{
		"", " ", "\x00", "\xff\xfe", "%", "%zz", "+", "+254712000001", " 254712000001", "254712000001", "0", "-1", "9999999999999999999999", "null", "None",
		"Success", "STOP", strings.Repeat("9", 500), strings.Repeat("é", 40_000), "\r\nX: y", "{\"a\":[", "<xml/>", marker + " says hello", "2026-11-28T25:61:00Z",
		"\u202e\u200b", "'; DROP TABLE--", "../../etc/passwd",
	}
}

// hostileBodies returns bodies of callbacks. There are three kinds: one hostile value in all fields, one hostile
// value in one field beside ordinary values, and texts that are not a form.
func hostileBodies() (bodies []string) {
	ordinary := func(name, value string) string {
		form := url.Values{}
		for _, f := range callbackFields {
			form.Set(f, "254712000001")
		}
		form.Set("status", "Success")
		if name != "" {
			form.Set(name, value)
		}
		return form.Encode()
	}
	bodies = append(bodies, ordinary("", ""), ordinary("", "")+"&"+ordinary("", ""))
	for _, value := range hostileValues() {
		form := url.Values{}
		for _, name := range callbackFields {
			form.Set(name, value)
			bodies = append(bodies, ordinary(name, value))
		}
		bodies = append(bodies, form.Encode(), value, "id="+value+"&status="+value)
	}
	return append(bodies, strings.Repeat("a=b&", 5000), strings.Repeat("x", 1<<20), strings.Repeat("&", 1<<16), "=&=&=", "id", "id[]=1&id[]=2", `{"id":"1"}`)
}

// hostileCallbacks checks that a parser returns well-formed items or an error for any content, and that it does not
// change the content.
func hostileCallbacks(x *exam) {
	p := x.open("http://127.0.0.1:1")
	for _, body := range hostileBodies() {
		for _, kind := range []string{"application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x", "application/json"} {
			x.parseAll(p, providers.Callback{Method: http.MethodPost, ContentType: kind, Body: []byte(body)})
		}
		x.parseAll(p, providers.Callback{Method: http.MethodGet, Query: body})
	}
}

// callbackMethods checks that a callback is refused if its HTTP method is one that no gateway uses.
func callbackMethods(x *exam) {
	p := x.open("http://127.0.0.1:1")
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, "", "post", "GET\x00"} {
		for name, err := range x.parseAll(p, providers.Callback{Method: method, Query: "id=1", Body: []byte("id=1&status=Success&from=254712000001&text=a")}) {
			if !errors.Is(err, providers.ErrCallbackMethod) {
				x.Errorf("%s of a callback with the method %q: error %v; want ErrCallbackMethod", name, method, err)
			}
		}
	}
}

// parseAll parses a callback with every parser of the provider, and checks the results. It returns the errors by
// the name of the parser.
func (x *exam) parseAll(p providers.Provider, c providers.Callback) map[string]error {
	x.Helper()
	errs := map[string]error{}
	if parser, ok := p.(providers.DeliveryParser); ok {
		errs["ParseDelivery"] = parseTwice(x, "ParseDelivery", c, parser.ParseDelivery, func(d providers.DLR) bool {
			return (d.MessageID != "" || d.To != 0) && readable(d.MessageID, d.Status.State, d.Reason) && (d.Status.Final || !d.Status.Delivered)
		})
	}
	if parser, ok := p.(providers.InboundParser); ok {
		errs["ParseInbound"] = parseTwice(x, "ParseInbound", c, parser.ParseInbound, func(m providers.Inbound) bool {
			return m.From != "" && (m.ID != "" || m.Text != "") && readable(m.ID, m.From, m.To, m.Text, m.LinkID)
		})
	}
	if parser, ok := p.(providers.OptOutParser); ok {
		errs["ParseOptOut"] = parseTwice(x, "ParseOptOut", c, parser.ParseOptOut, func(o providers.OptOut) bool {
			return o.Number != 0 && readable(o.From)
		})
	}
	return errs
}

// parseTwice parses a callback twice and checks that both results are equal and valid.
func parseTwice[T any](x *exam, name string, c providers.Callback, parse func(providers.Callback) ([]T, error), valid func(T) bool) error {
	x.Helper()
	before := string(c.Body)
	items, err := parse(c)
	again, errAgain := parse(c)
	shown := strings.ToValidUTF8(before+c.Query, "?")
	shown = shown[:min(len(shown), 80)]
	switch {
	case string(c.Body) != before:
		x.Errorf("%s changes the body of the callback %q, want it unchanged", name, shown)
	case !reflect.DeepEqual(items, again) || (err == nil) != (errAgain == nil):
		x.Errorf("%s parsed the callback %q twice: got first %v, then %v; want equal results", name, shown, items, again)
	case err != nil && !errors.Is(err, providers.ErrCallback) && !errors.Is(err, providers.ErrCallbackMethod):
		x.Errorf("%s of %q: error %v; want ErrCallback or ErrCallbackMethod", name, shown, err)
	case err != nil && len(items) > 0, err == nil && len(items) == 0:
		x.Errorf("%s of %q returns %d items and the error %v; want items or an error", name, shown, len(items), err)
	}
	if err != nil {
		x.noteError(err)
	}
	for _, item := range items {
		if !valid(item) {
			x.Errorf("%s of %q: got %+v, want an item with all required fields in valid UTF-8", name, shown, item)
		}
	}
	return err
}

// readable reports whether all texts are valid UTF-8 without NUL.
func readable(texts ...string) bool {
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.Contains(t, "\x00") {
			return false
		}
	}
	return true
}
