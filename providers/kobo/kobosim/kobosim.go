// Package kobosim simulates the gateway KoboMobile, according to the vendor's documentation page.
// The simulator shares no code with the client in package kobo.
package kobosim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Simulator simulates KoboMobile as its page describes it. Only the server calls the method Reset.
// All other methods are safe for concurrent use.
type Simulator struct {
	state *simulator.State
	ids   simulator.IDs
	seed  maphash.Seed

	// The server's lock guards the fields below.
	repeat        simulator.Repeat
	report        string                   // the delivery status of a message that is delivered
	deliveries    simulator.Deliveries     // decides which messages are delivered, and when
	invalidReply  string                   // the reply for an invalid number
	minUUID       int                      // the shortest message_uuid, in characters
	acceptedCalls []*acceptedCall          // by sequence number
	byKey         map[string]*acceptedCall // the key is user, NUL and message_uuid
	errors        map[string]string        // maps a key to an error code; only used with simulator.RepeatAll
}

// acceptedCall is an accepted call. Its fields are enough to build its reply again.
type acceptedCall struct {
	seq     uint64
	content uint64
	numbers []uint64
	ids     bool
	at      time.Time // when the call was accepted
}

// request is a parsed form.
type request struct {
	user, pass, from, to, msg, kind, uuid, callback string
	ids                                             bool
}

// New returns the simulator of KoboMobile. The function has the type simulator.NewVendor.
func New(state *simulator.State) simulator.Vendor {
	return &Simulator{state: state, seed: maphash.MakeSeed(), ids: simulator.NewIDs(state.Seed())}
}

// Of returns the simulator of KoboMobile in a server. It panics if the server does not have this simulator.
func Of(server *simulator.Server) *Simulator { return server.Gateway("kobo").Vendor().(*Simulator) }

// Reset implements simulator.Vendor.
func (k *Simulator) Reset() {
	k.repeat, k.report, k.invalidReply = simulator.RepeatAccepts, "DELIVRD", "error_limit"
	k.minUUID, k.deliveries = 1, simulator.Deliveries{}
	k.byKey, k.errors, k.acceptedCalls = map[string]*acceptedCall{}, map[string]string{}, nil
}

// ReplyScope returns ScopeCall for Reject: KoboMobile refuses the whole call and does not name the number.
func (k *Simulator) ReplyScope(w simulator.Reply) simulator.ReplyScope {
	if w == simulator.Reject {
		return simulator.ScopeCall
	}
	return simulator.ScopeNone
}

// Endpoints implements simulator.Vendor.
func (k *Simulator) Endpoints() map[string]simulator.Endpoint {
	return map[string]simulator.Endpoint{
		"/api/send/":   {Send: true, Answer: k.send, Refuse: k.refuse, FaultReplies: faultReplies},
		"/api/credit/": {Answer: k.balance, Refuse: k.refuse},
		"/api/report/": {Answer: k.status, Refuse: k.refuse},
	}
}

var faultReplies = map[string]string{simulator.FaultLater: "error_gw", simulator.FaultCampaign: "error_restricted_senderid", simulator.FaultCredit: "error_credit", simulator.FaultText: "error_param"}

// readForm parses the fields of a request. The examples on the vendor's page are POST requests with the
// fields in the URL's query. A form in the body is URL-encoded, or multipart, which some public
// programs send. If the body and the query have the same field, the value in the body counts.
func readForm(r *http.Request, body []byte) (url.Values, bool) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(body) == 0 {
		return form, err == nil && len(form) > 0
	}
	var fields url.Values
	switch mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType {
	case "application/x-www-form-urlencoded":
		fields, err = url.ParseQuery(string(body))
	case "multipart/form-data":
		var parts *multipart.Form
		if parts, err = multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20); err == nil {
			fields = parts.Value
		}
	default:
		return nil, false
	}
	maps.Copy(form, fields)
	return form, err == nil
}

func readRequest(r *http.Request, body []byte) (q request, ok bool) {
	form, ok := readForm(r, body)
	q = request{
		user: form.Get("user"), pass: form.Get("pass"), from: form.Get("from"), to: form.Get("to"), msg: form.Get("msg"),
		kind: form.Get("type"), uuid: form.Get("message_uuid"), ids: form.Get("enable_msg_id") == "1", callback: form.Get("callback_url"),
	}
	return q, ok
}

// complete reports whether every required field is set and within its limits.
func (q request) complete() bool {
	longest := 11
	if strings.Trim(q.from, "0123456789") == "" {
		longest = 16
	}
	return q.user != "" && q.pass != "" && q.from != "" && q.to != "" && q.msg != "" &&
		len(q.from) <= longest && utf8.RuneCountInString(q.msg) <= 905 &&
		(q.kind == "" || q.kind == "0" || q.kind == "1" || q.kind == "2")
}

func (q request) key() string {
	if q.uuid == "" {
		return ""
	}
	return q.user + "\x00" + q.uuid
}

func (k *Simulator) send(r *http.Request, body []byte) simulator.Answer {
	q, ok := readRequest(r, body)
	numbers, wellFormed := simulator.ParseNumbers(q.to)
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, part := range []string{q.to, q.msg, q.from, q.kind} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	call, isNew, refusal := k.acceptOrReplay(q, ok, numbers, wellFormed, h.Sum64())
	if refusal != "" {
		return simulator.TextAnswer(refusal)
	}
	if isNew && q.callback != "" {
		k.state.ReportDelivery(k.reported(call, q.callback))
	}
	a := simulator.Answer{Body: k.accepted(call), Accepted: true}
	if call.ids {
		text := a.Body
		a.Rows = func() ([]simulator.Row, func([]simulator.Row) []byte) {
			return splitReply(string(text), call.numbers), joinReply
		}
	}
	return a
}

func splitReply(text string, numbers []uint64) []simulator.Row {
	var rows []simulator.Row
	for part := range strings.SplitSeq(text, "~") {
		_, id, _ := strings.Cut(part, ",")
		rows = append(rows, simulator.Row{Number: numbers[len(rows)], Text: id})
	}
	return rows
}

func joinReply(rows []simulator.Row) []byte {
	var parts []string
	for _, r := range rows {
		parts = append(parts, strconv.FormatUint(r.Number, 10)+","+r.Text)
	}
	return []byte(strings.Join(parts, "~"))
}

// acceptOrReplay accepts a call, returns the earlier call with the same key, or returns the error code of a refusal.
// The result "isNew" is true if the call was accepted now.
func (k *Simulator) acceptOrReplay(q request, ok bool, numbers []uint64, wellFormed bool, content uint64) (call *acceptedCall, isNew bool, refusal string) {
	k.state.Lock()
	defer k.state.Unlock()
	if !ok || !q.complete() {
		return nil, false, k.reject("", "error_param")
	}
	if !k.state.ValidLogin(q.user, q.pass) {
		return nil, false, k.reject("", "error_user")
	}
	key := q.key()
	if call := k.byKey[key]; call != nil {
		k.state.CountReplay(call.content != content)
		if k.repeat == simulator.RepeatError {
			return nil, false, k.reject("", "error_msgid")
		}
		return call, false, ""
	}
	if again := k.errors[key]; again != "" {
		return nil, false, k.reject("", again)
	}
	switch {
	case len(q.uuid) > 64, q.uuid != "" && len(q.uuid) < k.minUUID:
		return nil, false, k.reject(key, "error_msgid")
	case len(numbers) > 500:
		return nil, false, k.reject(key, "error_limit")
	case !wellFormed || k.hasInvalid(numbers):
		return nil, false, k.reject(key, k.invalidReply)
	case !k.state.HasCredit(len(numbers)):
		return nil, false, k.reject(key, "error_credit")
	}
	k.state.Accept(simulator.AcceptedCall{Numbers: numbers, From: q.from, Body: q.msg, Key: q.uuid, Fields: map[string]string{"type": q.kind}})
	call = &acceptedCall{seq: uint64(len(k.acceptedCalls)), content: content, numbers: numbers, ids: q.ids, at: time.Now()}
	k.acceptedCalls = append(k.acceptedCalls, call)
	if key != "" {
		k.byKey[key] = call
	}
	return call, true, ""
}

// reject counts a refused call and returns its error code. With simulator.RepeatAll, reject also stores the code
// under the parameter "key".
func (k *Simulator) reject(key, w string) string {
	k.state.CountRejected()
	k.remember(key, w)
	return w
}

func (k *Simulator) remember(key, w string) {
	if key != "" && k.repeat == simulator.RepeatAll {
		k.errors[key] = w
	}
}

// refuse returns the reply for an injected error, and accepts nothing. If a call with the same key was accepted
// earlier, later calls with that key still get the reply of the accepted call.
func (k *Simulator) refuse(r *http.Request, body []byte, w string) simulator.Answer {
	if q, ok := readRequest(r, body); ok {
		k.state.Lock()
		defer k.state.Unlock()
		k.remember(q.key(), w)
	}
	return simulator.TextAnswer(w)
}

func (k *Simulator) hasInvalid(numbers []uint64) bool {
	if !k.state.AnyReply() {
		return false
	}
	for _, n := range numbers {
		if k.state.ReplyTo(n) == simulator.Reject {
			return true
		}
	}
	return false
}

// The method "accepted" returns the reply to an accepted call. It needs no lock, because an accepted call never
// changes.
func (k *Simulator) accepted(call *acceptedCall) []byte {
	if !call.ids {
		return []byte("sent")
	}
	const entry = len("2348030000000,24137cf8-eccc-469c-80af-109538857e53~")
	out := make([]byte, 0, len(call.numbers)*entry)
	for i, n := range call.numbers {
		if i > 0 {
			out = append(out, '~')
		}
		out = strconv.AppendUint(out, n, 10)
		out = append(out, ',')
		out = k.ids.Append(out, call.seq, uint64(i))
	}
	return out
}

func (k *Simulator) balance(r *http.Request, body []byte) simulator.Answer {
	q, _ := readRequest(r, body)
	k.state.Lock()
	defer k.state.Unlock()
	switch {
	case q.user == "" || q.pass == "":
		return simulator.TextAnswer("error_param")
	case !k.state.ValidLogin(q.user, q.pass):
		return simulator.TextAnswer("error_user")
	}
	return simulator.TextAnswer(strconv.FormatFloat(k.state.Credit(), 'f', -1, 64))
}

func (k *Simulator) status(r *http.Request, body []byte) simulator.Answer {
	form, _ := readForm(r, body)
	user, pass, id := form.Get("user"), form.Get("pass"), form.Get("msgid")
	k.state.Lock()
	defer k.state.Unlock()
	switch {
	case user == "" || pass == "" || id == "":
		return simulator.TextAnswer("error_param")
	case !k.state.ValidLogin(user, pass):
		return simulator.TextAnswer("error_user")
	case !k.knows(id):
		return simulator.TextAnswer("error_msgid")
	}
	return simulator.TextAnswer(k.deliveryState(id))
}

// pageIDs are the message IDs in the examples on the vendor's page.
var pageIDs = []string{"24137cf8-eccc-469c-80af-109538857e53", "42138969-09f9-434d-a3c6-db5733fba736", "974790b3-e598-41a8-939b-772d16860fb4"}

// knows reports whether id is the ID of an accepted message, or of an example on the vendor's page. The
// caller holds the server's lock.
func (k *Simulator) knows(id string) bool {
	if slices.Contains(pageIDs, id) {
		return true
	}
	seq, i, ok := k.ids.Parse(id)
	if !ok || seq >= uint64(len(k.acceptedCalls)) || i >= uint64(len(k.acceptedCalls[seq].numbers)) || !k.acceptedCalls[seq].ids {
		return false
	}
	return string(k.ids.Append(nil, seq, i)) == id
}

// SetOption sets an option:
//
//   - "repeat" is the reply to a repeated key: "", "all" or "error_msgid".
//   - "invalid" lists the numbers that KoboMobile refuses, separated by commas.
//   - "invalid_word" is the error code for such a number.
//   - "report" is the delivery status of every message that is delivered.
//   - "report_delay", "report_fail" and "report_lost" set the fields of simulator.Deliveries.
//   - "min_uuid" is the length of the shortest message_uuid. It is 1 on the vendor's page, and 24 at
//     the product behind KoboMobile.
func (k *Simulator) SetOption(name, value string) (known bool, err error) {
	switch name {
	case "repeat":
		switch repeat := simulator.Repeat(value); repeat {
		case simulator.RepeatAccepts, simulator.RepeatAll, simulator.RepeatError:
			k.SetRepeat(repeat)
		default:
			return true, fmt.Errorf("repeat: %q must be empty, all or error_msgid", value)
		}
	case "invalid":
		numbers, ok := simulator.ParseNumbers(value)
		if !ok {
			return true, errors.New("invalid: must be a comma-separated list of numbers in international format")
		}
		k.SetInvalid("", numbers...)
	case "invalid_word":
		k.SetInvalid(value)
	case "report":
		k.SetReport(value)
	case "min_uuid":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 64 {
			return true, fmt.Errorf("min_uuid: %q must be a whole number from 1 to 64", value)
		}
		k.state.Lock()
		defer k.state.Unlock()
		k.minUUID = n
	default:
		k.state.Lock()
		defer k.state.Unlock()
		return k.deliveries.SetOption(name, value)
	}
	return true, nil
}

// SetRepeat sets the reply to a repeated idempotency key. The default is RepeatAccepts.
func (k *Simulator) SetRepeat(repeat simulator.Repeat) {
	k.state.Lock()
	defer k.state.Unlock()
	k.repeat = repeat
}

// SetInvalid makes KoboMobile refuse every call that has one of these numbers. The parameter "word"
// is the error code of the refusal. If it is empty, the code does not change. The default code is
// "error_limit".
func (k *Simulator) SetInvalid(word string, numbers ...uint64) {
	k.state.Lock()
	defer k.state.Unlock()
	k.state.SetReply(simulator.Reject, numbers...)
	if word != "" {
		k.invalidReply = word
	}
}

// SetReport sets the delivery status that KoboMobile reports for every message that is delivered. The default is "DELIVRD".
func (k *Simulator) SetReport(state string) {
	k.state.Lock()
	defer k.state.Unlock()
	k.report = state
}
