package sandbox

import (
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// textConnect simulates TextConnect as the vendor's page describes it. Where the page gives no details, it behaves
// like FastSMS, the product that TextConnect sells under another name. It has some contacts, the groups "Staff" and
// "Empty", and the lists "Members" (3 numbers), "Everyone" (250 numbers) and "Vacant" (no numbers).
type textConnect struct {
	*Gateway
	zone *time.Location

	// The server's lock guards the fields below.
	acceptedCalls []textConnectCall // in the order of their IDs
	nextID        uint64
	state         string
	refusals      map[uint64]string // the refusal code of a number, if it is not -401
	sends         []textConnectSend // the background sends, in the order of their IDs
	lists         map[string][]uint64
	groups        map[string]bool
	contacts      []textConnectContact
	users         map[string]float64 // child users, with their credits
}

var _ = register("textconnect", newTextConnect)

// textConnectCall is an accepted call. Each message has parts segments, and each segment has an ID. The IDs of the
// call are consecutive and start at first.
type textConnectCall struct {
	first, parts uint64
	numbers      []uint64
	from         string
	sent         time.Time
	scheduled    time.Time
}

// textConnectSend is a background send to at most 200 numbers of a list or group.
type textConnectSend struct {
	asked bool // a client has asked for its messages
	call  int  // index in acceptedCalls, or -1 if every number was refused
	from  int  // index of its first number in the call
	count int  // how many numbers it has
}

func newTextConnect(d *Gateway) vendorAPI {
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		zone = time.UTC // its dates are then one hour wrong in summer
	}
	return &textConnect{Gateway: d, zone: zone}
}

func (g *textConnect) reset() {
	g.acceptedCalls, g.sends, g.nextID, g.state = nil, nil, 3509592+mix(g.s.options.Seed)%1_000_000, "Delivered"
	g.refusals = map[uint64]string{}
	g.addSampleData()
}

// replyScope returns ScopeNumber: the reply has an ID or a code for each number.
func (g *textConnect) replyScope(w Reply) ReplyScope {
	if w == Reject || w == Later {
		return ScopeNumber
	}
	return ScopeNone
}

func (g *textConnect) endpoints() map[string]endpoint {
	return map[string]endpoint{"/api": {
		get: true, answer: g.answer, refuse: g.refuse, faultReplies: map[string]string{faultLater: "-511", faultCampaign: "-518", faultCredit: "-100"},
		isSend: func(r *http.Request, body []byte) bool {
			form, ok := textConnectForm(r, body)
			return ok && strings.EqualFold(form.Get("Action"), "Send")
		},
	}}
}

// textConnectForm parses the parameters from the body of a POST or the query of a GET.
func textConnectForm(r *http.Request, body []byte) (url.Values, bool) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			return nil, false
		}
		text = string(body)
	}
	form, err := url.ParseQuery(text)
	return form, err == nil
}

func (g *textConnect) answer(r *http.Request, body []byte) answer {
	form, _ := textConnectForm(r, body)
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	action := strings.ToLower(form.Get("Action"))
	if !g.s.hasPassword(form.Get("Token")) {
		if action == "send" {
			g.countRejected()
		}
		return textConnectCode(form, "-501")
	}
	do, ok := map[string]func(url.Values) answer{
		"checkcredits": g.credits, "checkmessagestatus": g.status, "send": g.send, "report": g.report, "getbgmessages": g.background,
		"createuser": g.createUser, "updatecredits": g.updateCredits, "importcontactscsv": g.importContacts,
		"deleteallcontacts": g.deleteAllContacts, "deleteallgroups": g.deleteAllGroups, "emptygroup": g.emptyGroup, "deletegroup": g.deleteGroup,
	}[action]
	if !ok {
		return textConnectCode(form, "-502")
	}
	return do(form)
}

func (g *textConnect) refuse(r *http.Request, body []byte, w string) answer {
	form, _ := textConnectForm(r, body)
	return textConnectCode(form, w)
}

// textConnectCode replies with a code. If the request has the parameter ShowErrorMessage, with any value, a line of
// text follows the code.
func textConnectCode(form url.Values, code string) answer {
	if form.Has("ShowErrorMessage") {
		return textAnswer(code + "\nThe error has the code " + code)
	}
	return textAnswer(code)
}

func (g *textConnect) credits(url.Values) answer {
	return textAnswer(strconv.FormatFloat(g.credit, 'f', -1, 64))
}

// send accepts or refuses a message to numbers, a list or a group.
func (g *textConnect) send(form url.Values) answer {
	scheduled, code := g.checkMessage(form)
	if code != "" {
		return g.refused(form, code)
	}
	switch to := form.Get("DestinationAddress"); {
	case strings.EqualFold(to, "List"):
		numbers, ok := g.lists[form.Get("ListName")]
		return g.sendStored(form, scheduled, numbers, ok, [3]string{"-410", "-516", "-408"}, "ListName")
	case strings.EqualFold(to, "Group"):
		name := form.Get("GroupName")
		return g.sendStored(form, scheduled, g.members(name), g.groups[name], [3]string{"-414", "-520", "-409"}, "GroupName")
	default:
		return g.sendNumbers(form, scheduled, strings.Split(to, ","))
	}
}

func (g *textConnect) refused(form url.Values, code string) answer {
	g.countRejected()
	return textConnectCode(form, code)
}

// checkMessage checks every part of a send except the recipients.
func (g *textConnect) checkMessage(form url.Values) (scheduled time.Time, code string) {
	from, body, ton := form.Get("SourceAddress"), form.Get("Body"), form.Get("SourceTON")
	digits := strings.Trim(strings.TrimPrefix(from, "+"), "0123456789") == ""
	seconds, err := strconv.Atoi(form.Get("ValidityPeriod"))
	switch {
	case strings.TrimSpace(from) == "":
		return scheduled, "-518"
	case !digits && utf8.RuneCountInString(from) > 11:
		return scheduled, "-402"
	case digits && (len(from) < 3 || len(from) > 16), !digits && ton == "1":
		return scheduled, "-403"
	case ton != "" && ton != "1" && ton != "5", utf8.RuneCountInString(body) > 459:
		return scheduled, "-507"
	case !form.Has("Body"):
		return scheduled, "-519"
	case strings.TrimSpace(body) == "":
		return scheduled, "-404"
	case err != nil || seconds < 1 || seconds > 86400:
		return scheduled, "-405"
	}
	if date := form.Get("ScheduleDate"); date != "" {
		scheduled, err = time.ParseInLocation("20060102150405", date, g.zone)
		if err != nil || scheduled.Before(time.Now().Add(-time.Hour)) {
			return scheduled, "-407"
		}
	}
	return scheduled, ""
}

// sendNumbers replies with an ID or a code for each number, in order. More than 200 numbers are sent in the
// background, and the whole reply is 1.
func (g *textConnect) sendNumbers(form url.Values, scheduled time.Time, to []string) answer {
	numbers := make([]uint64, 0, len(to))
	codes := make([]string, len(to))
	for i, text := range to {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || len(text) < 10 || len(text) > 15 || text[0] == '0' {
			codes[i] = "-401"
		} else if codes[i] = g.refusalCode(n); codes[i] == "" {
			numbers = append(numbers, n)
		}
	}
	if !g.hasCredit(len(numbers)) {
		return g.refused(form, "-100")
	}
	if len(numbers) == 0 {
		g.countRejected()
		return textAnswer(strings.Join(codes, ","))
	}
	call := g.acceptedCalls[g.acceptCall(form, scheduled, numbers)]
	if len(to) > 200 {
		return answer{body: []byte("1"), accepted: true}
	}
	out := make([]byte, 0, 8*len(to))
	id := call.first
	for i, code := range codes {
		if i > 0 {
			out = append(out, ',')
		}
		if code != "" {
			out = append(out, code...)
			continue
		}
		out = strconv.AppendUint(out, id, 10)
		for part := uint64(1); part < call.parts && form.Get("GetAllMessageIDs") == "1"; part++ {
			out = strconv.AppendUint(append(out, ','), id+part, 10)
		}
		id += call.parts
	}
	return answer{body: out, accepted: true}
}

// refusalCode returns the code of a refused number, or an empty string if the number is accepted.
func (g *textConnect) refusalCode(number uint64) string {
	switch word := g.replyTo(number); {
	case word == Later:
		return "-411"
	case word == Reject && g.refusals[number] != "":
		return g.refusals[number]
	case word == Reject:
		return "-401"
	}
	return ""
}

// acceptCall accepts a call and returns its index.
func (g *textConnect) acceptCall(form url.Values, scheduled time.Time, numbers []uint64) int {
	fields := map[string]string{}
	for _, name := range []string{"ValidityPeriod", "SourceTON", "ScheduleDate", "ListName", "GroupName"} {
		if form.Has(name) {
			fields[name] = form.Get(name)
		}
	}
	g.accept(AcceptedCall{Numbers: numbers, From: form.Get("SourceAddress"), Body: form.Get("Body"), Fields: fields})
	parts := uint64(1)
	if length := utf8.RuneCountInString(form.Get("Body")); length > 160 {
		parts = uint64((length + 152) / 153)
	}
	g.acceptedCalls = append(g.acceptedCalls, textConnectCall{
		first: g.nextID, parts: parts, numbers: numbers, from: form.Get("SourceAddress"), sent: time.Now().Truncate(time.Second), scheduled: scheduled,
	})
	g.nextID += parts * uint64(len(numbers))
	return len(g.acceptedCalls) - 1
}

// sendStored sends to a list or a group, in background sends of at most 200 numbers. codes are the error codes for a
// missing name, an unknown name, and a list or group without numbers.
func (g *textConnect) sendStored(form url.Values, scheduled time.Time, all []uint64, known bool, codes [3]string, field string) answer {
	switch {
	case form.Get(field) == "":
		return g.refused(form, codes[0])
	case !known:
		return g.refused(form, codes[1])
	case len(all) == 0:
		return g.refused(form, codes[2])
	case !g.hasCredit(len(all)):
		return g.refused(form, "-100")
	}
	var numbers []uint64
	for _, n := range all {
		if g.refusalCode(n) == "" {
			numbers = append(numbers, n)
		}
	}
	call := -1
	if len(numbers) > 0 {
		call = g.acceptCall(form, scheduled, numbers)
	}
	var ids []string
	for from := 0; from == 0 || from < len(numbers); from += 200 {
		g.sends = append(g.sends, textConnectSend{call: call, from: from, count: min(200, len(numbers)-from)})
		ids = append(ids, strconv.Itoa(100+len(g.sends)))
	}
	if form.Get("GetBGSendID") != "1" {
		return answer{body: []byte("1"), accepted: call >= 0}
	}
	return answer{body: []byte(strings.Join(ids, ",")), accepted: call >= 0}
}

// background returns the messages of a background send. The reply to the first request is the error "not finished".
// Errors are JSON here, unlike in the other functions.
func (g *textConnect) background(form url.Values) answer {
	const contentType = "application/json"
	i, err := strconv.Atoi(form.Get("BGSendID"))
	i -= 101
	if err != nil || i < 0 || i >= len(g.sends) {
		return answer{contentType: contentType, body: []byte(`{"error":"-521","message":"Unknown Background SendID"}`)}
	}
	send := &g.sends[i]
	if !send.asked {
		send.asked = true
		return answer{contentType: contentType, body: []byte(`{"error":"-522","message":"Background Send Not Finished"}`)}
	}
	if send.call < 0 {
		return answer{contentType: contentType, body: []byte(`{"error":"-523","message":"No messages were found"}`)}
	}
	call := g.acceptedCalls[send.call]
	rows := make([]string, send.count)
	for k := range rows {
		at := send.from + k
		rows[k] = `{"MessageID":"` + strconv.FormatUint(call.first+uint64(at)*call.parts, 10) +
			`","Destination":"` + strconv.FormatUint(call.numbers[at], 10) + `","Status":"` + g.state + `"}`
	}
	return answer{contentType: contentType, body: []byte("[" + strings.Join(rows, ",") + "]")}
}

// status returns the delivery status of a message, or of one of its segments.
func (g *textConnect) status(form url.Values) answer {
	id, err := strconv.ParseUint(form.Get("MessageID"), 10, 64)
	i := sort.Search(len(g.acceptedCalls), func(i int) bool { return g.acceptedCalls[i].first > id }) - 1
	if err != nil || i < 0 || id >= g.nextID {
		return textConnectCode(form, "-503")
	}
	return textAnswer(g.stateOf(g.acceptedCalls[i]))
}

func (g *textConnect) stateOf(call textConnectCall) string {
	if call.scheduled.After(time.Now()) {
		return "Pending"
	}
	return g.state
}

// TextConnectState sets the delivery status that TextConnect reports for every sent message. The default is
// "Delivered".
func (s *Server) TextConnectState(state string) {
	d := s.Gateway("textconnect")
	s.mu.Lock()
	defer s.mu.Unlock()
	d.vendor.(*textConnect).state = state
}

// TextConnectRefuse makes TextConnect refuse these numbers with a code, such as "-412" for a blacklisted
// number, instead of the -401 of Reject.
func (s *Server) TextConnectRefuse(code string, numbers ...uint64) {
	d := s.Gateway("textconnect")
	_ = d.SetReply(Reject, numbers...) // cannot fail: TextConnect has a reply for it
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range numbers {
		d.vendor.(*textConnect).refusals[n] = code
	}
}
