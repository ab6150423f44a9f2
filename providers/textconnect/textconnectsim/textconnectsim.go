// Package textconnectsim simulates the gateway TextConnect, according to the vendor's documentation
// page. The simulator shares no code with the client in package textconnect.
package textconnectsim

import (
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Simulator simulates TextConnect as the vendor's page describes it. If that page has no details, the
// Simulator behaves like FastSMS, the product that TextConnect sells under another name. The methods
// are safe for concurrent use, except Reset, which the server calls.
//
// The Simulator has some contacts. It has the groups "Staff" and "Empty", and the groups of the example
// on the vendor's page: "group1", "group2" and "group3". It has the lists "Members" (3 numbers),
// "Everyone" (250 numbers) and "Vacant" (no numbers).
type Simulator struct {
	state *simulator.State
	zone  *time.Location

	// The server's lock guards the fields below.
	acceptedCalls []acceptedCall // in the order of their IDs
	nextID        uint64
	messageState  string               // the word that the gateway reports for a delivered message
	deliveries    simulator.Deliveries // decides which messages are delivered, and when
	refusals      map[uint64]string    // maps a number to the code with which the gateway refuses the number, if that code is not -401
	sends         []backgroundSend     // the background sends, in the order of their IDs
	lists         map[string][]uint64
	groups        map[string]bool
	contacts      []contact
	users         map[string]float64 // child users, with their credits

	validityRequired bool // a send without ValidityPeriod is refused
}

// acceptedCall is an accepted call. Each message has as many segments as the field "parts" says, and each segment
// has an ID. The IDs of the call are consecutive. The field "first" holds the first ID.
type acceptedCall struct {
	first, parts uint64
	numbers      []uint64
	from         string
	sent         time.Time
	scheduled    time.Time
}

// backgroundSend is a background send to at most 200 numbers of a list or group.
type backgroundSend struct {
	asked bool // true if a client has requested the messages of this send
	call  int  // index in acceptedCalls, or -1 if every number was refused
	from  int  // index in the call of the first number of this background send
	count int  // the number of recipients of the send
}

// New returns the simulator of TextConnect. The function has the type simulator.NewVendor.
func New(state *simulator.State) simulator.Vendor {
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		zone = time.UTC // without data about the time zone, the simulator's dates are one hour wrong in summer
	}
	return &Simulator{state: state, zone: zone}
}

// Of returns the simulator of TextConnect in a server. It panics if the server does not have this simulator.
func Of(server *simulator.Server) *Simulator {
	return server.Gateway("textconnect").Vendor().(*Simulator)
}

// Reset implements simulator.Vendor.
func (g *Simulator) Reset() {
	g.acceptedCalls, g.sends, g.nextID, g.messageState = nil, nil, 3509592+simulator.Mix(g.state.Seed())%1_000_000, "Delivered"
	g.refusals, g.validityRequired, g.deliveries = map[uint64]string{}, false, simulator.Deliveries{}
	g.addSampleData()
}

// SetOption sets an option. The options report_delay, report_fail and report_lost set the fields of
// simulator.Deliveries. The option "validity" is "optional", as in the example on the vendor's page, or
// "required", as in the table on that page. With "required", the reply to a send without ValidityPeriod is
// -405, as at FastSMS.
func (g *Simulator) SetOption(name, value string) (known bool, err error) {
	if name != "validity" {
		g.state.Lock()
		defer g.state.Unlock()
		return g.deliveries.SetOption(name, value)
	}
	if value != "optional" && value != "required" {
		return true, fmt.Errorf("validity: %q must be optional or required", value)
	}
	g.state.Lock()
	defer g.state.Unlock()
	g.validityRequired = value == "required"
	return true, nil
}

// ReplyScope returns ScopeNumber, because the reply has an ID or a code for each number.
func (g *Simulator) ReplyScope(w simulator.Reply) simulator.ReplyScope {
	if w == simulator.Reject || w == simulator.Later {
		return simulator.ScopeNumber
	}
	return simulator.ScopeNone
}

var faultReplies = map[string]string{simulator.FaultLater: "-511", simulator.FaultCampaign: "-518", simulator.FaultCredit: "-100",
	simulator.FaultText: "-507", simulator.FaultBlacklist: "-412"}

// Endpoints implements simulator.Vendor.
func (g *Simulator) Endpoints() map[string]simulator.Endpoint {
	return map[string]simulator.Endpoint{"/api": {
		AllowGet: true, Answer: g.answer, Refuse: g.refuse, FaultReplies: faultReplies,
		IsSend: func(r *http.Request, body []byte) bool {
			form, ok := readForm(r, body)
			return ok && strings.EqualFold(form.Get("Action"), "Send")
		},
	}}
}

// readForm parses the parameters from the body of a POST or the query of a GET.
func readForm(r *http.Request, body []byte) (url.Values, bool) {
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

func (g *Simulator) answer(r *http.Request, body []byte) simulator.Answer {
	form, _ := readForm(r, body)
	g.state.Lock()
	defer g.state.Unlock()
	action := strings.ToLower(form.Get("Action"))
	if !g.state.HasPassword(form.Get("Token")) {
		if action == "send" {
			g.state.CountRejected()
		}
		return codeAnswer(form, "-501")
	}
	do, ok := map[string]func(url.Values) simulator.Answer{
		"checkcredits": g.credits, "checkmessagestatus": g.status, "send": g.send, "report": g.report, "getbgmessages": g.background,
		"createuser": g.createUser, "updatecredits": g.updateCredits, "importcontactscsv": g.importContacts,
		"deleteallcontacts": g.deleteAllContacts, "deleteallgroups": g.deleteAllGroups, "emptygroup": g.emptyGroup, "deletegroup": g.deleteGroup,
	}[action]
	if !ok {
		return codeAnswer(form, "-502")
	}
	return do(form)
}

func (g *Simulator) refuse(r *http.Request, body []byte, w string) simulator.Answer {
	form, _ := readForm(r, body)
	return codeAnswer(form, w)
}

// codeAnswer replies with a code. If the request has the parameter ShowErrorMessage, with any value, a line of
// text follows the code.
func codeAnswer(form url.Values, code string) simulator.Answer {
	if form.Has("ShowErrorMessage") {
		return simulator.TextAnswer(code + "\nThe error has the code " + code)
	}
	return simulator.TextAnswer(code)
}

func (g *Simulator) credits(url.Values) simulator.Answer {
	return simulator.TextAnswer(strconv.FormatFloat(g.state.Credit(), 'f', -1, 64))
}

// The method "send" accepts or refuses a message to numbers, a list or a group.
func (g *Simulator) send(form url.Values) simulator.Answer {
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

func (g *Simulator) refused(form url.Values, code string) simulator.Answer {
	g.state.CountRejected()
	return codeAnswer(form, code)
}

// checkMessage checks every part of a send except the recipients.
func (g *Simulator) checkMessage(form url.Values) (scheduled time.Time, code string) {
	from, body, ton := form.Get("SourceAddress"), form.Get("Body"), form.Get("SourceTON")
	digits := strings.Trim(strings.TrimPrefix(from, "+"), "0123456789") == ""
	seconds, err := strconv.Atoi(form.Get("ValidityPeriod"))
	if !g.validityRequired && !form.Has("ValidityPeriod") {
		seconds, err = 86400, nil // the vendor's own example of a send has no ValidityPeriod
	}
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

// sendNumbers replies with an ID or a code for each number, in order. For more than 200 numbers, it sends in the
// background and replies only "1".
func (g *Simulator) sendNumbers(form url.Values, scheduled time.Time, to []string) simulator.Answer {
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
	if !g.state.HasCredit(len(numbers)) {
		return g.refused(form, "-100")
	}
	if len(numbers) == 0 {
		g.state.CountRejected()
		return simulator.TextAnswer(strings.Join(codes, ","))
	}
	call := g.acceptedCalls[g.acceptCall(form, scheduled, numbers)]
	if len(to) > 200 {
		return simulator.Answer{Body: []byte("1"), Accepted: true}
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
	return simulator.Answer{Body: out, Accepted: true}
}

// refusalCode returns the code of a refused number, or an empty string if the number is accepted.
func (g *Simulator) refusalCode(number uint64) string {
	switch word := g.state.ReplyTo(number); {
	case word == simulator.Later:
		return "-411"
	case word == simulator.Reject && g.refusals[number] != "":
		return g.refusals[number]
	case word == simulator.Reject:
		return "-401"
	}
	return ""
}

// acceptCall accepts a call and returns its index.
func (g *Simulator) acceptCall(form url.Values, scheduled time.Time, numbers []uint64) int {
	fields := map[string]string{}
	for _, name := range []string{"ValidityPeriod", "SourceTON", "ScheduleDate", "ListName", "GroupName"} {
		if form.Has(name) {
			fields[name] = form.Get(name)
		}
	}
	g.state.Accept(simulator.AcceptedCall{Numbers: numbers, From: form.Get("SourceAddress"), Body: form.Get("Body"), Fields: fields})
	parts := uint64(1)
	if length := utf8.RuneCountInString(form.Get("Body")); length > 160 {
		parts = uint64((length + 152) / 153)
	}
	g.acceptedCalls = append(g.acceptedCalls, acceptedCall{
		first: g.nextID, parts: parts, numbers: numbers, from: form.Get("SourceAddress"), sent: time.Now().Truncate(time.Second), scheduled: scheduled,
	})
	g.nextID += parts * uint64(len(numbers))
	return len(g.acceptedCalls) - 1
}

// sendStored sends to a list or a group, in background sends of at most 200 numbers. The parameter "codes" has the
// error codes for a missing name, for an unknown name, and for a list or group without numbers.
func (g *Simulator) sendStored(form url.Values, scheduled time.Time, all []uint64, known bool, codes [3]string, field string) simulator.Answer {
	switch {
	case form.Get(field) == "":
		return g.refused(form, codes[0])
	case !known:
		return g.refused(form, codes[1])
	case len(all) == 0:
		return g.refused(form, codes[2])
	case !g.state.HasCredit(len(all)):
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
		g.sends = append(g.sends, backgroundSend{call: call, from: from, count: min(200, len(numbers)-from)})
		ids = append(ids, strconv.Itoa(100+len(g.sends)))
	}
	if form.Get("GetBGSendID") != "1" {
		return simulator.Answer{Body: []byte("1"), Accepted: call >= 0}
	}
	return simulator.Answer{Body: []byte(strings.Join(ids, ",")), Accepted: call >= 0}
}

// The method "background" returns the messages of a background send. The reply to the first request
// is the error "not finished". This method replies with errors as JSON. All other methods reply
// with errors as text.
func (g *Simulator) background(form url.Values) simulator.Answer {
	const contentType = "application/json"
	i, err := strconv.Atoi(form.Get("BGSendID"))
	i -= 101
	if err != nil || i < 0 || i >= len(g.sends) {
		return simulator.Answer{ContentType: contentType, Body: []byte(`{"error":"-521","message":"Unknown Background SendID"}`)}
	}
	send := &g.sends[i]
	if !send.asked {
		send.asked = true
		return simulator.Answer{ContentType: contentType, Body: []byte(`{"error":"-522","message":"Background Send Not Finished"}`)}
	}
	if send.call < 0 {
		return simulator.Answer{ContentType: contentType, Body: []byte(`{"error":"-523","message":"No messages were found"}`)}
	}
	call := g.acceptedCalls[send.call]
	rows := make([]string, send.count)
	for k := range rows {
		at := send.from + k
		state, _ := g.stateOf(call, at)
		rows[k] = `{"MessageID":"` + strconv.FormatUint(call.first+uint64(at)*call.parts, 10) +
			`","Destination":"` + strconv.FormatUint(call.numbers[at], 10) + `","Status":"` + state + `"}`
	}
	return simulator.Answer{ContentType: contentType, Body: []byte("[" + strings.Join(rows, ",") + "]")}
}

// The method "status" returns the delivery status of a message, or of one of its segments.
func (g *Simulator) status(form url.Values) simulator.Answer {
	id, err := strconv.ParseUint(form.Get("MessageID"), 10, 64)
	i := sort.Search(len(g.acceptedCalls), func(i int) bool { return g.acceptedCalls[i].first > id }) - 1
	if err != nil || i < 0 || id >= g.nextID {
		return codeAnswer(form, "-503")
	}
	call := g.acceptedCalls[i]
	state, _ := g.stateOf(call, int((id-call.first)/call.parts))
	return simulator.TextAnswer(state)
}

// SetState sets the delivery status that TextConnect reports for every message that is delivered. The default is "Delivered".
func (g *Simulator) SetState(state string) {
	g.state.Lock()
	defer g.state.Unlock()
	g.messageState = state
}

// Refuse makes TextConnect refuse these numbers with the given code, such as "-412" for a blacklisted number. The
// code replaces the -401 of simulator.Reject.
func (g *Simulator) Refuse(code string, numbers ...uint64) {
	g.state.Lock()
	defer g.state.Unlock()
	g.state.SetReply(simulator.Reject, numbers...)
	for _, n := range numbers {
		g.refusals[n] = code
	}
}
