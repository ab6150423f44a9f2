// Package africastalkingsim simulates the gateway Africa's Talking, according to the vendor's
// documentation page. The simulator shares no code with the client in package africastalking.
package africastalkingsim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Simulator simulates Africa's Talking according to the vendor's page and to recorded replies. It
// replies with status 201 to every processed request, in XML unless the client asks for JSON. It
// lists the recipients in another order than the call. A refused number has the ID "None" and the
// cost "0". Only the server calls the method Reset. All other methods are safe for concurrent use.
type Simulator struct {
	state *simulator.State
	ids   simulator.IDs

	// The server's lock guards the fields below.
	sent    uint64 // number of calls accepted so far
	refused map[string]bool
	inbox   []inboxMessage

	plusEscaped bool // true if an unescaped plus makes a number invalid
}

// inboxMessage is a message in the inbox.
type inboxMessage struct {
	XMLName struct{} `json:"-" xml:"Message"`
	LinkID  string   `json:"linkId" xml:"linkId"`
	Text    string   `json:"text" xml:"text"`
	To      string   `json:"to" xml:"to"`
	ID      uint64   `json:"id" xml:"id"`
	Date    string   `json:"date" xml:"date"`
	From    string   `json:"from" xml:"from"`
}

// recipient is the part of a reply about one recipient.
type recipient struct {
	XMLName    struct{} `json:"-" xml:"Recipient"`
	Number     string   `json:"number" xml:"number"`
	Cost       string   `json:"cost" xml:"cost"`
	Status     string   `json:"status" xml:"status"`
	StatusCode int      `json:"statusCode" xml:"statusCode"`
	MessageID  string   `json:"messageId" xml:"messageId"`
}

var faultReplies = map[string]string{simulator.FaultLater: "GatewayError", simulator.FaultCampaign: "InvalidSenderId", simulator.FaultCredit: "InsufficientBalance",
	simulator.FaultBlacklist: "406"}

// statusTexts are the status texts of refused numbers, by code. The codes of accepted numbers, 100 to 102, have the
// text "Success".
var statusTexts = map[int]string{
	401: "RiskHold", 402: "InvalidSenderId", 403: "InvalidPhoneNumber", 404: "UnsupportedNumberType", 405: "InsufficientBalance",
	406: "UserInBlackList", 407: "CouldNotRoute", 409: "DoNotDisturbRejection",
	500: "InternalServerError", 501: "GatewayError", 502: "RejectedByGateway",
}

// New returns the simulator of Africa's Talking. The function has the type simulator.NewVendor.
func New(state *simulator.State) simulator.Vendor {
	return &Simulator{state: state, ids: simulator.NewIDs(state.Seed() ^ 0x4154)}
}

// Of returns the simulator of Africa's Talking in a server. It panics if the server does not have this simulator.
func Of(server *simulator.Server) *Simulator {
	return server.Gateway("africastalking").Vendor().(*Simulator)
}

// Reset implements simulator.Vendor.
func (a *Simulator) Reset() {
	a.sent, a.refused, a.plusEscaped = 0, map[string]bool{}, false
	a.inbox = []inboxMessage{
		{Text: "JOIN", To: "28901", ID: 15071, Date: "2026-03-02T08:34:18.445Z", From: "+254711000001", LinkID: "28a92cdf-2d63-4ee3-93df-4233d3de0356"},
		{Text: "Habari? \"Sawa\" & <poa> 😀\nAsante", To: "28901", ID: 15072, Date: "2026-03-02T09:01:00.000Z", From: "+254733000002"},
		{Text: "STOP", To: "28901", ID: 15080, Date: "2026-03-03T20:15:59.120Z", From: "+2348030000000"},
	}
}

// ReplyScope returns ScopeNumber: the reply has a code for each recipient.
func (a *Simulator) ReplyScope(simulator.Reply) simulator.ReplyScope { return simulator.ScopeNumber }

// Endpoints implements simulator.Vendor.
func (a *Simulator) Endpoints() map[string]simulator.Endpoint {
	sends := func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost }
	return map[string]simulator.Endpoint{
		"/version1/messaging": {IsSend: sends, AllowGet: true, Answer: a.messaging, Refuse: a.refuse, FaultReplies: faultReplies},
		"/version1/user":      {AllowGet: true, Answer: a.user, Refuse: a.refuse},
	}
}

func (a *Simulator) messaging(r *http.Request, body []byte) simulator.Answer {
	if r.Method == http.MethodGet {
		return a.received(r)
	}
	return a.send(r, body)
}

// sendRequest is a parsed request to send messages.
type sendRequest struct {
	user, from, message string
	to                  []string
	fields              map[string]string
	queued              bool
}

// optionalFields are the optional fields of a request to send messages. Each has the pattern of its valid values.
var optionalFields = map[string]*regexp.Regexp{
	"bulkSMSMode": regexp.MustCompile(`^[01]$`), "enqueue": regexp.MustCompile(`^[01]$`),
	"retryDurationInHours": regexp.MustCompile(`^[1-9][0-9]*$`), "keyword": regexp.MustCompile(`.`), "linkId": regexp.MustCompile(`.`),
}

// readSend parses a request to send messages. If the request is invalid, the result "wrong" is the error text of
// the reply.
func readSend(r *http.Request, body []byte) (c sendRequest, wrong string) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return c, "The request's Content-Type is not supported"
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return c, "The request content was malformed"
	}
	c = sendRequest{
		user: form.Get("username"), from: form.Get("from"), message: form.Get("message"), to: strings.Split(form.Get("to"), ","),
		fields: map[string]string{}, queued: form.Get("enqueue") == "1",
	}
	for _, name := range []string{"username", "to", "message"} {
		if form.Get(name) == "" {
			return c, "Request is missing required form field '" + name + "'"
		}
	}
	for name, values := range form {
		pattern, optional := optionalFields[name]
		if len(values) != 1 || optional && !pattern.MatchString(values[0]) {
			return c, "The form field '" + name + "' was malformed"
		}
		if optional {
			c.fields[name] = values[0]
		}
	}
	return c, ""
}

func (a *Simulator) send(r *http.Request, body []byte) simulator.Answer {
	reply, messages := a.answerSend(r, body)
	a.state.ReportDelivery(messages)
	return reply
}

// answerSend accepts or refuses the numbers of a call. It returns the reply and the accepted messages.
func (a *Simulator) answerSend(r *http.Request, body []byte) (simulator.Answer, []simulator.ReportedMessage) {
	call, wrong := readSend(r, body)
	a.state.Lock()
	defer a.state.Unlock()
	if refusal, ok := a.admit(r, call.user, wrong); !ok {
		a.state.CountRejected()
		return refusal, nil
	}
	if !a.mayUse(call.from) {
		a.state.CountRejected()
		return replyTo(r, "InvalidSenderId", nil), nil
	}
	if call.from == "" {
		call.from = defaultSender
	}
	if !a.plusEscaped {
		call.restorePlus()
	}
	recipients, taken := a.checkRecipients(call)
	if len(taken) == 0 {
		a.state.CountRejected()
	} else {
		a.state.Accept(simulator.AcceptedCall{Numbers: taken, From: call.from, Body: call.message, Fields: call.fields})
		a.sent++
	}
	messages := make([]simulator.ReportedMessage, 0, len(taken))
	for _, x := range recipients {
		if x.StatusCode < 200 {
			messages = append(messages, simulator.ReportedMessage{ID: x.MessageID, Number: taken[len(messages)]})
		}
	}
	// The reply lists the second half of the numbers before the first half. So a client fails if it
	// relies on the order of the call, or on the reverse order.
	half := (len(recipients) + 1) / 2
	recipients = append(recipients[half:len(recipients):len(recipients)], recipients[:half]...)
	reply := replyTo(r, summaryOf(recipients), recipients)
	reply.Accepted = len(taken) > 0
	reply.Rows = func() ([]simulator.Row, func([]simulator.Row) []byte) { return splitReply(r, recipients) }
	return reply, messages
}

// admit reports whether a request may proceed. If it may not, admit returns the reply: 401 for a wrong key, or
// 400 for an invalid request. The caller holds the server's lock.
func (a *Simulator) admit(r *http.Request, user, wrong string) (simulator.Answer, bool) {
	key := r.Header.Get("apiKey")
	switch {
	case key == "", user != "" && !a.state.ValidLogin(user, key), user == "" && !a.state.HasPassword(key):
		return simulator.Answer{Status: http.StatusUnauthorized, ContentType: simulator.PlainText, Body: []byte("The supplied authentication is invalid")}, false
	case wrong != "":
		return simulator.Answer{Status: http.StatusBadRequest, ContentType: simulator.PlainText, Body: []byte(wrong)}, false
	}
	return simulator.Answer{}, true
}

// defaultSender is the sender ID of a message without a sender ID, as on the vendor's page.
const defaultSender = "20414"

// validSender matches a valid sender ID: 1 to 11 letters, digits, spaces or characters of "_.&-".
var validSender = regexp.MustCompile(`^[A-Za-z0-9 _.&-]{1,11}$`)

// mayUse reports whether the account may use a sender ID. An empty sender ID is allowed, because
// the gateway then uses its default sender ID. The caller holds the server's lock.
func (a *Simulator) mayUse(from string) bool {
	return from == "" || validSender.MatchString(from) && !a.refused[from]
}

// validNumber matches a number in the form that the gateway accepts.
var validNumber = regexp.MustCompile(`^\+[1-9][0-9]{9,14}$`)

// checkRecipients accepts or refuses each number. It returns the recipients for the reply, and the accepted numbers.
// The caller holds the server's lock.
func (a *Simulator) checkRecipients(call sendRequest) (recipients []recipient, taken []uint64) {
	recipients = make([]recipient, 0, len(call.to))
	accepted := 101
	if call.queued {
		accepted = 102
	}
	for _, text := range call.to {
		number, _ := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
		code := accepted
		switch word := a.state.ReplyTo(number); {
		case !validNumber.MatchString(text):
			code = 403
		case word == simulator.Later:
			code = 501
		case word == simulator.Reject && strings.HasPrefix(text, "+234"):
			code = 409
		case word == simulator.Reject && number%10 == 0:
			code = 406 // blacklisted
		case word == simulator.Reject:
			code = 403 // a dead number
		case !a.state.HasCredit(len(taken) + 1):
			code = 405
		}
		if code != accepted {
			recipients = append(recipients, refusedRecipient(text, code))
			continue
		}
		id := strings.ReplaceAll(string(a.ids.Append(nil, a.sent, uint64(len(taken)))), "-", "")
		taken = append(taken, number)
		recipients = append(recipients, recipient{Number: text, Cost: "KES 1.0000", Status: "Success", StatusCode: code, MessageID: "ATXid_" + id})
	}
	return recipients, taken
}

// refusedRecipient returns the part of a reply about a refused number.
func refusedRecipient(number string, code int) recipient {
	return recipient{Number: number, Cost: "0", Status: statusTexts[code], StatusCode: code, MessageID: "None"}
}

func summaryOf(recipients []recipient) string {
	taken := 0
	for _, r := range recipients {
		if r.StatusCode < 200 {
			taken++
		}
	}
	if taken == 0 {
		return fmt.Sprintf("Sent to 0/%d Total Cost: 0", len(recipients))
	}
	return fmt.Sprintf("Sent to %d/%d Total Cost: KES %d.0000 Message parts: 1", taken, len(recipients), taken)
}

// replyTo returns the reply to a processed request, in the format that the client asked for.
func replyTo(r *http.Request, message string, recipients []recipient) simulator.Answer {
	if recipients == nil {
		recipients = []recipient{}
	}
	asJSON := map[string]any{"Message": message, "Recipients": recipients}
	var asXML struct {
		XMLName    struct{} `xml:"SMSMessageData"`
		Message    string
		Recipients struct{ List []recipient } // the element is written even if it is empty
	}
	asXML.Message, asXML.Recipients.List = message, recipients
	return writeDocument(r, http.StatusCreated, "SMSMessageData", asJSON, asXML)
}

// writeDocument writes a document as JSON if the client asked for JSON, and otherwise as XML.
func writeDocument(r *http.Request, status int, name string, asJSON, asXML any) simulator.Answer {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		body, _ := json.Marshal(map[string]any{name: asJSON}) // this cannot fail, because the document holds only strings and numbers
		return simulator.Answer{Status: status, ContentType: "application/json", Body: body}
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<AfricasTalkingResponse>")
	_ = xml.NewEncoder(&b).Encode(asXML)
	b.WriteString("</AfricasTalkingResponse>\n")
	return simulator.Answer{Status: status, ContentType: "application/xml", Body: b.Bytes()}
}

// splitReply splits a reply into one row for each recipient. It also returns a function that joins rows to a
// reply. The text of a row is the recipient as JSON. A fault may have changed Row.Number. So the returned
// function replaces the number in the text by Row.Number, unless the number in the text is invalid.
func splitReply(r *http.Request, recipients []recipient) ([]simulator.Row, func([]simulator.Row) []byte) {
	rows := make([]simulator.Row, len(recipients))
	for i, recipient := range recipients {
		number, _ := strconv.ParseUint(strings.TrimPrefix(recipient.Number, "+"), 10, 64)
		text, _ := json.Marshal(recipient) // this cannot fail, because a recipient holds only strings and numbers
		rows[i] = simulator.Row{Number: number, Text: string(text)}
	}
	return rows, func(rows []simulator.Row) []byte {
		recipients := make([]recipient, len(rows))
		for i, row := range rows {
			_ = json.Unmarshal([]byte(row.Text), &recipients[i])
			if validNumber.MatchString(recipients[i].Number) {
				recipients[i].Number = "+" + strconv.FormatUint(row.Number, 10)
			}
		}
		return replyTo(r, summaryOf(recipients), recipients).Body
	}
}

// refuse returns the reply for an injected error. The parameter "word" names the error. If it is
// a code of statusTexts ("405") or the text of such a code, the reply refuses every number of the
// call. For any other text, such as "InvalidSenderId", the reply has no recipients.
func (a *Simulator) refuse(r *http.Request, body []byte, word string) simulator.Answer {
	call, wrong := readSend(r, body)
	if r.Method != http.MethodPost || wrong != "" {
		return simulator.Answer{Status: http.StatusInternalServerError, ContentType: simulator.PlainText, Body: []byte(word)}
	}
	for code, name := range statusTexts {
		if word == strconv.Itoa(code) || word == name && code != 402 {
			recipients := make([]recipient, 0, len(call.to))
			for _, number := range call.to {
				recipients = append(recipients, refusedRecipient(number, code))
			}
			return replyTo(r, summaryOf(recipients), recipients)
		}
	}
	return replyTo(r, word, nil)
}

func (a *Simulator) user(r *http.Request, _ []byte) simulator.Answer {
	user := r.URL.Query().Get("username")
	a.state.Lock()
	defer a.state.Unlock()
	if refusal, ok := a.admit(r, user, missingUser(user)); !ok {
		return refusal
	}
	type data struct {
		XMLName struct{} `json:"-" xml:"UserData"`
		Balance string   `json:"balance" xml:"balance"`
	}
	d := data{Balance: "KES " + strconv.FormatFloat(a.state.Credit(), 'f', 2, 64)}
	return writeDocument(r, http.StatusOK, "UserData", d, d)
}

// RefuseSender makes Africa's Talking refuse a sender ID.
func (a *Simulator) RefuseSender(from string) {
	a.state.Lock()
	defer a.state.Unlock()
	a.refused[from] = true
}
