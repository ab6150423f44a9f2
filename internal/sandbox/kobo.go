package sandbox

import (
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Repeat is the reply to a repeated idempotency key. KoboMobile documents only that the second request is not
// executed.
type Repeat string

// The replies to a repeated key.
const (
	// RepeatAccepts repeats the reply to an accepted call. Errors are not remembered.
	RepeatAccepts Repeat = ""
	// RepeatAll repeats every reply, also an error, except error_param and error_user.
	RepeatAll Repeat = "all"
	// RepeatError replies error_msgid if the call with this key was accepted.
	RepeatError Repeat = "error_msgid"
)

// kobo simulates KoboMobile as its page describes it.
type kobo struct {
	*Gateway
	ids  idMaker
	seed maphash.Seed

	// The server's lock guards the fields below.
	repeat        Repeat
	report        string
	invalidReply  string               // the reply for an invalid number
	acceptedCalls []*koboCall          // by sequence number
	byKey         map[string]*koboCall // by user, NUL and message_uuid
	errors        map[string]string    // error code by key; only used with RepeatAll
}

var _ = register("kobo", newKobo)

// koboCall is an accepted call. Its fields are enough to build its reply again.
type koboCall struct {
	seq     uint64
	content uint64
	numbers []uint64
	ids     bool
}

// koboRequest is a parsed form.
type koboRequest struct {
	user, pass, from, to, msg, kind, uuid string
	ids                                   bool
}

func newKobo(d *Gateway) vendorAPI {
	return &kobo{Gateway: d, seed: maphash.MakeSeed(), ids: newIDMaker(d.s.options.Seed)}
}

func (k *kobo) reset() {
	k.repeat, k.report, k.invalidReply = k.s.options.Repeat, "DELIVRD", "error_limit"
	k.byKey, k.errors, k.acceptedCalls = map[string]*koboCall{}, map[string]string{}, nil
}

// replyScope returns ScopeCall for Reject: KoboMobile refuses the whole call and does not name the number.
func (k *kobo) replyScope(w Reply) ReplyScope {
	if w == Reject {
		return ScopeCall
	}
	return ScopeNone
}

func (k *kobo) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/api/send/":   {send: true, answer: k.send, refuse: k.refuse, faultReplies: koboFaultReplies},
		"/api/credit/": {answer: k.balance, refuse: k.refuse},
		"/api/report/": {answer: k.status, refuse: k.refuse},
	}
}

var koboFaultReplies = map[string]string{faultLater: "error_gw", faultCampaign: "error_restricted_senderid", faultCredit: "error_credit"}

func textAnswer(w string) answer { return answer{body: []byte(w)} }

// koboForm parses the form in the body. It ignores the query, because credentials do not belong in a URL.
func koboForm(r *http.Request, body []byte) (url.Values, bool) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	return form, err == nil
}

func readKobo(r *http.Request, body []byte) (q koboRequest, ok bool) {
	form, ok := koboForm(r, body)
	q = koboRequest{
		user: form.Get("user"), pass: form.Get("pass"), from: form.Get("from"), to: form.Get("to"), msg: form.Get("msg"),
		kind: form.Get("type"), uuid: form.Get("message_uuid"), ids: form.Get("enable_msg_id") == "1",
	}
	return q, ok
}

// complete reports whether every required field is set and within its limits.
func (q koboRequest) complete() bool {
	longest := 11
	if strings.Trim(q.from, "0123456789") == "" {
		longest = 16
	}
	return q.user != "" && q.pass != "" && q.from != "" && q.to != "" && q.msg != "" &&
		len(q.from) <= longest && utf8.RuneCountInString(q.msg) <= 905 &&
		(q.kind == "" || q.kind == "0" || q.kind == "1" || q.kind == "2")
}

func (q koboRequest) key() string {
	if q.uuid == "" {
		return ""
	}
	return q.user + "\x00" + q.uuid
}

func (k *kobo) send(r *http.Request, body []byte) answer {
	q, ok := readKobo(r, body)
	numbers, wellFormed := koboNumbers(q.to)
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, part := range []string{q.to, q.msg, q.from, q.kind} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	call, refusal := k.acceptOrReplay(q, ok, numbers, wellFormed, h.Sum64())
	if refusal != "" {
		return textAnswer(refusal)
	}
	a := answer{body: k.accepted(call), accepted: true}
	if call.ids {
		text := a.body
		a.rows = func() ([]row, func([]row) []byte) { return koboRows(string(text), call.numbers), koboJoin }
	}
	return a
}

func koboRows(text string, numbers []uint64) []row {
	var rows []row
	for part := range strings.SplitSeq(text, "~") {
		_, id, _ := strings.Cut(part, ",")
		rows = append(rows, row{numbers[len(rows)], id})
	}
	return rows
}

func koboJoin(rows []row) []byte {
	var parts []string
	for _, r := range rows {
		parts = append(parts, strconv.FormatUint(r.number, 10)+","+r.text)
	}
	return []byte(strings.Join(parts, "~"))
}

// acceptOrReplay accepts a call, returns the earlier call with the same key, or returns the error code of a refusal.
func (k *kobo) acceptOrReplay(q koboRequest, ok bool, numbers []uint64, wellFormed bool, content uint64) (*koboCall, string) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if !ok || !q.complete() {
		return nil, k.reject("", "error_param")
	}
	if !k.s.validLogin(q.user, q.pass) {
		return nil, k.reject("", "error_user")
	}
	key := q.key()
	if call := k.byKey[key]; call != nil {
		k.countReplay(call.content != content)
		if k.repeat == RepeatError {
			return nil, k.reject("", "error_msgid")
		}
		return call, ""
	}
	if again := k.errors[key]; again != "" {
		return nil, k.reject("", again)
	}
	switch {
	case len(q.uuid) > 64, q.uuid != "" && len(q.uuid) < 24:
		return nil, k.reject(key, "error_msgid")
	case len(numbers) > 500:
		return nil, k.reject(key, "error_limit")
	case !wellFormed || k.hasInvalid(numbers):
		return nil, k.reject(key, k.invalidReply)
	case !k.hasCredit(len(numbers)):
		return nil, k.reject(key, "error_credit")
	}
	k.accept(AcceptedCall{Numbers: numbers, From: q.from, Body: q.msg, Key: q.uuid, Fields: map[string]string{"type": q.kind}})
	call := &koboCall{seq: uint64(len(k.acceptedCalls)), content: content, numbers: numbers, ids: q.ids}
	k.acceptedCalls = append(k.acceptedCalls, call)
	if key != "" {
		k.byKey[key] = call
	}
	return call, ""
}

// reject counts a refused call and returns its error code. With RepeatAll it stores the code under key.
func (k *kobo) reject(key, w string) string {
	k.countRejected()
	k.remember(key, w)
	return w
}

func (k *kobo) remember(key, w string) {
	if key != "" && k.repeat == RepeatAll {
		k.errors[key] = w
	}
}

// refuse returns the reply for an injected error, and accepts nothing. If a call with the same key was accepted
// earlier, later calls with that key still get the reply of the accepted call.
func (k *kobo) refuse(r *http.Request, body []byte, w string) answer {
	if q, ok := readKobo(r, body); ok {
		k.s.mu.Lock()
		defer k.s.mu.Unlock()
		k.remember(q.key(), w)
	}
	return textAnswer(w)
}

func (k *kobo) hasInvalid(numbers []uint64) bool {
	if len(k.replies) == 0 {
		return false
	}
	for _, n := range numbers {
		if k.replyTo(n) == Reject {
			return true
		}
	}
	return false
}

// accepted returns the reply to an accepted call. It needs no lock, because a koboCall never changes.
func (k *kobo) accepted(call *koboCall) []byte {
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
		out = k.ids.append(out, call.seq, uint64(i))
	}
	return out
}

// koboNumbers parses the list of recipients: international format, digits only.
func koboNumbers(to string) (numbers []uint64, wellFormed bool) {
	numbers = make([]uint64, 0, strings.Count(to, ",")+1)
	wellFormed = true
	for part := range strings.SplitSeq(to, ",") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil || len(part) < 10 || len(part) > 15 || part[0] == '0' {
			wellFormed = false
		}
		numbers = append(numbers, n)
	}
	return numbers, wellFormed
}

func (k *kobo) balance(r *http.Request, body []byte) answer {
	q, _ := readKobo(r, body)
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	switch {
	case q.user == "" || q.pass == "":
		return textAnswer("error_param")
	case !k.s.validLogin(q.user, q.pass):
		return textAnswer("error_user")
	}
	return textAnswer(strconv.FormatFloat(k.credit, 'f', -1, 64))
}

func (k *kobo) status(r *http.Request, body []byte) answer {
	form, _ := koboForm(r, body)
	user, pass, id := form.Get("user"), form.Get("pass"), form.Get("msgid")
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	switch {
	case user == "" || pass == "" || id == "":
		return textAnswer("error_param")
	case !k.s.validLogin(user, pass):
		return textAnswer("error_user")
	case !k.knows(id):
		return textAnswer("error_msgid")
	}
	return textAnswer(k.report)
}

// knows reports whether id is the ID of an accepted message. The caller holds the server's lock.
func (k *kobo) knows(id string) bool {
	seq, i, ok := k.ids.parse(id)
	if !ok || seq >= uint64(len(k.acceptedCalls)) || i >= uint64(len(k.acceptedCalls[seq].numbers)) || !k.acceptedCalls[seq].ids {
		return false
	}
	return string(k.ids.append(nil, seq, i)) == id
}

// KoboInvalid makes KoboMobile refuse every call that has one of these numbers, with the error code word. If word
// is empty, the code does not change; it is "error_limit" at first. It is safe for concurrent use.
func (s *Server) KoboInvalid(word string, numbers ...uint64) {
	d := s.Gateway("kobo")
	_ = d.SetReply(Reject, numbers...) // cannot fail: KoboMobile has a reply for it
	s.mu.Lock()
	defer s.mu.Unlock()
	if word != "" {
		d.vendor.(*kobo).invalidReply = word
	}
}

// KoboReport sets the delivery status that KoboMobile reports for every message. The default is "DELIVRD".
func (s *Server) KoboReport(state string) {
	d := s.Gateway("kobo")
	s.mu.Lock()
	defer s.mu.Unlock()
	d.vendor.(*kobo).report = state
}
