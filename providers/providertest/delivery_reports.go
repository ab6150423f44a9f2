package providertest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

var deliveryChecks = []check{
	{"variants of a callback with a delivery report", deliveryForms},
	{"a report about a message on the way, and a report about a failure", deliveryOutcomes},
	{"a callback that is empty, too large or not a form", hugeCallbacks},
	{"the statuses of a span of time", spanStatuses},
	{"a strange list of statuses", strangeLists},
	{"a read whose reply never ends", endlessReplies},
}

// knownCallback is a callback with a delivery report as the gateway's simulator posts it.
type knownCallback struct {
	form   url.Values
	parse  func(providers.Callback) ([]providers.DLR, error)
	id     string // the message ID that Send returned
	number string // the recipient's digits
}

// known returns a callback about a message that the provider has sent. The parameter "word" has the same meaning as in
// simulator.Reporter. The result "ok" is false if the gateway posts no delivery reports.
func (x *exam) known(word string) (k knownCallback, ok bool) {
	g := x.gateway()
	p := x.open(g.url)
	parser, parses := p.(providers.DeliveryParser)
	reporter, posts := g.Vendor().(simulator.Reporter)
	if parses != posts {
		x.Errorf("the provider parses delivery reports: %t; its simulator posts them: %t; want true for both or false for both", parses, posts)
	}
	if !parses || !posts {
		return k, false
	}
	b := x.newBatch(p, 1)
	a := x.send(p, b)
	if len(a.results) != 1 || a.results[0].MessageID == "" {
		x.Errorf("got %v, want a message ID", a)
		return k, false
	}
	k = knownCallback{parse: parser.ParseDelivery, id: a.results[0].MessageID, number: b.To[0].String()}
	k.form = reporter.ReportForm(simulator.ReportedMessage{ID: k.id, Number: uint64(b.To[0])}, word)
	return k, true
}

// The method "post" parses a callback with this body, and returns the report in the callback.
func (k knownCallback) post(body string) (d providers.DLR, n int, err error) {
	all, err := k.parse(providers.Callback{Method: http.MethodPost, ContentType: "application/x-www-form-urlencoded", Body: []byte(body)})
	if len(all) > 0 {
		d = all[0]
	}
	return d, len(all), err
}

// The method "field" returns the name of the form's field that has the given value, or "".
func (k knownCallback) field(value string) string {
	for name := range k.form {
		if strings.EqualFold(k.form.Get(name), value) {
			return name
		}
	}
	return ""
}

// The method "with" returns a copy of the form in which one field has another value.
func (k knownCallback) with(name, value string) string {
	form := url.Values{}
	for n, values := range k.form {
		form[n] = values
	}
	form.Set(name, value)
	return form.Encode()
}

// deliveryForms checks that the report about a message has the ID that Send returned. It also checks that the report
// from a variant of the callback never contains more than the callback itself.
func deliveryForms(x *exam) {
	k, ok := x.known("")
	if !ok {
		return
	}
	d, n, err := k.post(k.form.Encode())
	if err != nil || n != 1 || d.MessageID != k.id || !d.Status.Final || !d.Status.Delivered || d.To != 0 && d.To.String() != k.number {
		x.Fatalf("a delivered message: got %+v as the first of %d reports, and the error %v; want one delivered report with the ID %s", d, n, err, k.id)
	}
	same := func(what, body string) {
		x.Helper()
		got, _, err := k.post(body)
		if err != nil || got.MessageID != d.MessageID || got.To != d.To || got.Status != d.Status {
			x.Errorf("%s: got %+v and the error %v, want %+v", what, got, err, d)
		}
	}
	body := k.form.Encode()
	same("a plus sign that is not escaped", strings.ReplaceAll(body, "%2B", "+"))
	same("the report twice in one body", body+"&"+body)
	state, id := k.field(d.Status.State), k.field(k.id)
	if state == "" || id == "" {
		x.Fatalf("the form %v has no field with the status %q, or with the ID %q", k.form, d.Status.State, k.id)
	}
	other := k.with(id, "another-"+k.id)
	same("the report, followed by the report of another message", body+"&"+other)
	for _, word := range []string{"Quux", "delivered?", "SUCCESS!", "DELIVRDX", strings.Repeat("x", 500)} {
		if got, _, err := k.post(k.with(state, word)); err == nil && got.Status.Final {
			x.Errorf("the unknown status %.20q: got %+v, want no final status", word, got)
		}
	}
	for _, name := range []string{state, id} {
		for _, value := range []string{"", " ", "\x00"} {
			if got, n, err := k.post(k.with(name, value)); !errors.Is(err, providers.ErrCallback) {
				x.Errorf("the value %q in the field %s: got %+v as the first of %d reports, and the error %v; want ErrCallback", value, name, got, n, err)
			}
		}
	}
	// The callback now has the ID in another case, or with other leading zeros. The parser must return either the
	// original ID or the changed ID. Both are allowed, because gateways differ.
	for _, changed := range []string{strings.ToUpper(k.id), strings.ToLower(k.id), "00" + k.id, strings.TrimLeft(k.id, "0")} {
		if got, _, err := k.post(k.with(id, changed)); err == nil && got.MessageID != k.id && got.MessageID != changed && changed != "" {
			x.Errorf("a callback with the changed ID %s: got the ID %s, want the changed ID or the original ID %s", changed, got.MessageID, k.id)
		}
	}
	got, err := k.parse(providers.Callback{Method: http.MethodGet, Query: body})
	if err == nil && (len(got) != 1 || got[0].MessageID != d.MessageID || got[0].Status != d.Status) || err != nil && !errors.Is(err, providers.ErrCallbackMethod) {
		x.Errorf("the report as a GET request: got %+v and the error %v, want the same report or ErrCallbackMethod", got, err)
	}
}

// deliveryOutcomes checks that the report about a message on the way is not final, and that the report about a failure
// has the gateway's reason.
func deliveryOutcomes(x *exam) {
	k, ok := x.known("")
	if !ok {
		return
	}
	d, _, _ := k.post(k.form.Encode())
	state := k.field(d.Status.State)
	if sent, ok := x.known("sent"); ok {
		if got, _, err := sent.post(sent.form.Encode()); err != nil || got.Status.Final {
			x.Errorf("a report about a message on the way: got %+v and the error %v, want no final status", got, err)
		}
	}
	for _, word := range []string{"0", "1", "2", "3"} {
		failed, ok := x.known(word)
		if !ok || failed.form.Get(state) == k.form.Get(state) {
			continue // the simulator chooses the status of each message
		}
		if got, _, err := failed.post(failed.form.Encode()); err != nil || !got.Status.Final || got.Status.Delivered || got.Reason == "" {
			x.Errorf("a message that was not delivered: got %+v and the error %v, want a final status with a reason", got, err)
		}
	}
}

// hugeCallbacks checks that every parser refuses a callback that is empty, is not a form, or is larger than the
// callbacks of all gateways. A callback that is too large must be refused even though it has known fields.
func hugeCallbacks(x *exam) {
	p := x.open("http://127.0.0.1:1")
	form := url.Values{}
	for _, name := range callbackFields {
		form.Set(name, "254712000001")
	}
	for what, body := range map[string]string{
		"empty": "", "of 2 MB": form.Encode() + "&filler=" + strings.Repeat("x", 2<<20), "of 10,000 fields": form.Encode() + strings.Repeat("&a=b", 10_000),
		"that is a file": "\x89PNG\r\n\x1a\n", "of JSON": `{"id":"1","status":"Success","msg_id":"1"}`,
	} {
		for name, err := range x.parseAll(p, providers.Callback{Method: http.MethodPost, ContentType: "application/x-www-form-urlencoded", Body: []byte(body)}) {
			if !errors.Is(err, providers.ErrCallback) {
				x.Errorf("%s of a callback %s: error %v; want ErrCallback", name, what, err)
			}
		}
	}
}

// spanStatuses checks that a list of statuses has every message of its span of time. For a span without messages, the
// list must be empty.
func spanStatuses(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	lister, can := p.(providers.SpanPoller)
	if !can {
		return
	}
	b := x.newBatch(p, 20)
	a := x.send(p, b)
	before := len(g.exchanges())
	list, err := lister.MessageStatuses(x.Context(), time.Now().Add(-time.Minute), time.Now().Add(time.Minute))
	x.wantSeen(int64(len(g.exchanges())-before), 1, "a list of statuses")
	if err != nil {
		x.Errorf("the list of statuses for a span of two minutes: got the error %v, want no error", x.checkError(err))
	}
	for i, r := range a.results {
		at := slices.IndexFunc(list, func(s providers.ListedStatus) bool { return s.ID == r.MessageID })
		if at < 0 || list[at].To != b.To[i] || list[at].Status.State == "" || list[at].Status.Delivered && !list[at].Status.Final || list[at].At.After(time.Now().Add(time.Second)) {
			x.Errorf("recipient %d: the entry %d (-1: missing) in the list of %d statuses is wrong; want the recipient's ID and number, a state, and a time that is not in the future", i, at, len(list))
		}
	}
	for _, span := range [][2]time.Duration{{-48 * time.Hour, -47 * time.Hour}, {47 * time.Hour, 48 * time.Hour}} {
		list, err := lister.MessageStatuses(x.Context(), time.Now().Add(span[0]), time.Now().Add(span[1]))
		if err != nil || len(list) > 0 {
			x.Errorf("a span of time without messages: got %d statuses and the error %v, want an empty list and no error", len(list), err)
		}
	}
}

// strangeLists checks how a provider reads a list of statuses. The server answers with changed
// copies of the gateway's own list.
func strangeLists(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	lister, can := p.(providers.SpanPoller)
	if !can {
		return
	}
	a := x.send(p, x.newBatch(p, 3))
	ask := func(l providers.SpanPoller) ([]providers.ListedStatus, error) {
		return l.MessageStatuses(x.Context(), time.Now().Add(-time.Minute), time.Now().Add(time.Minute))
	}
	real, err := ask(lister)
	if err != nil || len(real) < 3 {
		x.Fatalf("the list for three sent messages: got %d statuses and the error %v, want 3", len(real), err)
	}
	tape := g.exchanges()
	e := tape[len(tape)-1]
	s := x.canned()
	other := x.open(s.url).(providers.SpanPoller)
	answered := func(body string) ([]providers.ListedStatus, error) {
		s.answer(e.raw([]byte(body)))
		return ask(other)
	}
	reply, state := string(e.reply), real[0].Status.State
	if list, err := answered(strings.ReplaceAll(reply, state, "Quux")); err != nil || len(list) != len(real) || slices.ContainsFunc(list, func(l providers.ListedStatus) bool { return l.Status.Final }) {
		x.Errorf("an unknown status: got %+v and the error %v, want no final status and no error", list, err)
	}
	_, rows, _ := strings.Cut(reply, "\n")
	if list, err := answered(strings.TrimRight(reply, "\r\n") + "\r\n" + rows); err != nil || len(list) != 2*len(real) {
		x.Errorf("a list with every message twice: got %d statuses and the error %v, want a status for each row", len(list), err)
	}
	foreign := strings.ReplaceAll(reply, a.results[0].MessageID, "999999999999")
	if list, err := answered(foreign); err != nil || slices.ContainsFunc(list, func(l providers.ListedStatus) bool { return l.ID == a.results[0].MessageID }) {
		x.Errorf("a list in which one ID is replaced: got %+v and the error %v, want only the IDs of this list", list, err)
	}
	for _, cut := range []int{1, len(reply) / 3, len(reply) - 4} {
		if list, err := answered(reply[:cut]); err == nil {
			x.Errorf("a list that ends after %d of %d bytes: got %+v, want an error", cut, len(reply), list)
		} else {
			_ = x.checkError(err)
		}
	}
	for _, body := range []string{"", "{}", "[]", "Delivered", "<html></html>", "\"MessageID\",\"Status\"\r\n\"1\",\"Delivered\"\r\n"} {
		if list, err := answered(body); err == nil {
			x.Errorf("the reply %q: got %+v, want an error", body, list)
		} else {
			_ = x.checkError(err)
		}
	}
}

// endlessReplies checks that a provider stops reading a reply that never ends. If the reply is a list of statuses,
// the error must be ErrReplyTooLong, so that the caller requests a shorter span.
func endlessReplies(x *exam) {
	s := x.serve(func(c *conn) {
		if _, ok := c.request(); ok {
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
			_, _ = io.Copy(c, endless{})
		}
	})
	p := x.open(s.url)
	for _, q := range questions(p) {
		if said, e := x.ask(x.Context(), q); e == nil || said {
			x.Errorf("%s: got no error for a reply that never ends, want an error", q.name)
		}
	}
	if lister, can := p.(providers.SpanPoller); can {
		if _, err := lister.MessageStatuses(x.Context(), time.Now().Add(-time.Minute), time.Now()); !errors.Is(err, providers.ErrReplyTooLong) {
			x.Errorf("a list that never ends: got the error %v, want ErrReplyTooLong", err)
		}
	}
}

// endless is a reader whose text never ends.
type endless struct{}

// Read fills p.
func (endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte("1,2\n"), len(p)/4+1))
	return len(p), nil
}
