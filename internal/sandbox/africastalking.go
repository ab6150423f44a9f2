package sandbox

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
)

// africasTalking simulates Africa's Talking as the vendor's page describes it and as recorded replies show it.
// It replies with status 201 to every processed request, in XML unless the client asks for JSON. It lists the
// recipients in another order than the call. A refused number has the ID "None" and the cost "0".
type africasTalking struct {
	*Gateway
	ids idMaker

	// The server's lock guards the fields below.
	sent    uint64 // number of calls accepted so far
	refused map[string]bool
	inbox   []atMessage
}

var _ = register("africastalking", newAfricasTalking)

// atMessage is a message in the inbox.
type atMessage struct {
	XMLName struct{} `json:"-" xml:"Message"`
	LinkID  string   `json:"linkId" xml:"linkId"`
	Text    string   `json:"text" xml:"text"`
	To      string   `json:"to" xml:"to"`
	ID      uint64   `json:"id" xml:"id"`
	Date    string   `json:"date" xml:"date"`
	From    string   `json:"from" xml:"from"`
}

// atRecipient is the part of a reply about one recipient.
type atRecipient struct {
	XMLName    struct{} `json:"-" xml:"Recipient"`
	Number     string   `json:"number" xml:"number"`
	Cost       string   `json:"cost" xml:"cost"`
	Status     string   `json:"status" xml:"status"`
	StatusCode int      `json:"statusCode" xml:"statusCode"`
	MessageID  string   `json:"messageId" xml:"messageId"`
}

var atFaultReplies = map[string]string{faultLater: "GatewayError", faultCampaign: "InvalidSenderId", faultCredit: "InsufficientBalance"}

// atCodes are the status texts of refused numbers, by code. The codes of accepted numbers, 100 to 102, have the
// text "Success".
var atCodes = map[int]string{
	401: "RiskHold", 402: "InvalidSenderId", 403: "InvalidPhoneNumber", 404: "UnsupportedNumberType", 405: "InsufficientBalance",
	406: "UserInBlackList", 407: "CouldNotRoute", 409: "DoNotDisturbRejection",
	500: "InternalServerError", 501: "GatewayError", 502: "RejectedByGateway",
}

func newAfricasTalking(d *Gateway) vendorAPI {
	return &africasTalking{Gateway: d, ids: newIDMaker(d.s.options.Seed ^ 0x4154)}
}

func (a *africasTalking) reset() {
	a.sent, a.refused = 0, map[string]bool{}
	a.inbox = []atMessage{
		{Text: "JOIN", To: "28901", ID: 15071, Date: "2026-03-02T08:34:18.445Z", From: "+254711000001", LinkID: "28a92cdf-2d63-4ee3-93df-4233d3de0356"},
		{Text: "Habari? \"Sawa\" & <poa> 😀\nAsante", To: "28901", ID: 15072, Date: "2026-03-02T09:01:00.000Z", From: "+254733000002"},
		{Text: "STOP", To: "28901", ID: 15080, Date: "2026-03-03T20:15:59.120Z", From: "+2348030000000"},
	}
}

// replyScope returns ScopeNumber: the reply has a code for each recipient.
func (a *africasTalking) replyScope(Reply) ReplyScope { return ScopeNumber }

func (a *africasTalking) endpoints() map[string]endpoint {
	sends := func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost }
	return map[string]endpoint{
		"/version1/messaging": {isSend: sends, get: true, answer: a.messaging, refuse: a.refuse, faultReplies: atFaultReplies},
		"/version1/user":      {get: true, answer: a.user, refuse: a.refuse},
	}
}

func (a *africasTalking) messaging(r *http.Request, body []byte) answer {
	if r.Method == http.MethodGet {
		return a.received(r)
	}
	return a.send(r, body)
}

// atCall is a parsed request to send messages.
type atCall struct {
	user, from, message string
	to                  []string
	fields              map[string]string
	queued              bool
}

// atFields are the optional fields of a request to send messages. Each has the pattern of its valid values.
var atFields = map[string]*regexp.Regexp{
	"bulkSMSMode": regexp.MustCompile(`^[01]$`), "enqueue": regexp.MustCompile(`^[01]$`),
	"retryDurationInHours": regexp.MustCompile(`^[1-9][0-9]*$`), "keyword": regexp.MustCompile(`.`), "linkId": regexp.MustCompile(`.`),
}

// readATCall parses a request to send messages. If the request is invalid, wrong is the error text of the reply.
func readATCall(r *http.Request, body []byte) (c atCall, wrong string) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return c, "The request's Content-Type is not supported"
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return c, "The request content was malformed"
	}
	c = atCall{
		user: form.Get("username"), from: form.Get("from"), message: form.Get("message"), to: strings.Split(form.Get("to"), ","),
		fields: map[string]string{}, queued: form.Get("enqueue") == "1",
	}
	for _, name := range []string{"username", "to", "message"} {
		if form.Get(name) == "" {
			return c, "Request is missing required form field '" + name + "'"
		}
	}
	for name, values := range form {
		pattern, optional := atFields[name]
		if len(values) != 1 || optional && !pattern.MatchString(values[0]) {
			return c, "The form field '" + name + "' was malformed"
		}
		if optional {
			c.fields[name] = values[0]
		}
	}
	return c, ""
}

func (a *africasTalking) send(r *http.Request, body []byte) answer {
	call, wrong := readATCall(r, body)
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if refusal, ok := a.admit(r, call.user, wrong); !ok {
		a.countRejected()
		return refusal
	}
	if !a.mayUse(call.from) {
		a.countRejected()
		return atReply(r, "InvalidSenderId", nil)
	}
	recipients, taken := a.checkRecipients(call)
	if len(taken) == 0 {
		a.countRejected()
	} else {
		a.accept(AcceptedCall{Numbers: taken, From: call.from, Body: call.message, Fields: call.fields})
		a.sent++
	}
	// The reply lists the second half of the numbers before the first half, so that a client cannot rely on the
	// order of the call or on its reverse.
	half := (len(recipients) + 1) / 2
	recipients = append(recipients[half:len(recipients):len(recipients)], recipients[:half]...)
	reply := atReply(r, atSummary(recipients), recipients)
	reply.accepted = len(taken) > 0
	reply.rows = func() ([]row, func([]row) []byte) { return atRows(r, recipients) }
	return reply
}

// admit reports whether a request may proceed. If not, it returns the reply: 401 for a wrong key, or 400
// for an invalid request. The caller holds the server's lock.
func (a *africasTalking) admit(r *http.Request, user, wrong string) (answer, bool) {
	key := r.Header.Get("apiKey")
	switch {
	case key == "", user != "" && !a.s.validLogin(user, key), user == "" && !a.s.hasPassword(key):
		return answer{status: http.StatusUnauthorized, contentType: plainText, body: []byte("The supplied authentication is invalid")}, false
	case wrong != "":
		return answer{status: http.StatusBadRequest, contentType: plainText, body: []byte(wrong)}, false
	}
	return answer{}, true
}

// atSender matches a valid sender ID: 1 to 11 letters, digits, spaces or characters of "_.&-".
var atSender = regexp.MustCompile(`^[A-Za-z0-9 _.&-]{1,11}$`)

// mayUse reports whether the account may use a sender ID. It is true if from is empty: then the gateway uses its
// default sender ID. The caller holds the server's lock.
func (a *africasTalking) mayUse(from string) bool {
	return from == "" || atSender.MatchString(from) && !a.refused[from]
}

// atNumber matches a number in the form that the gateway accepts.
var atNumber = regexp.MustCompile(`^\+[1-9][0-9]{9,14}$`)

// checkRecipients accepts or refuses each number. It returns the recipients for the reply, and the accepted numbers.
// The caller holds the server's lock.
func (a *africasTalking) checkRecipients(call atCall) (recipients []atRecipient, taken []uint64) {
	recipients = make([]atRecipient, 0, len(call.to))
	accepted := 101
	if call.queued {
		accepted = 102
	}
	for _, text := range call.to {
		number, _ := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
		code := accepted
		switch word := a.replyTo(number); {
		case !atNumber.MatchString(text):
			code = 403
		case word == Later:
			code = 501
		case word == Reject && strings.HasPrefix(text, "+234"):
			code = 409
		case word == Reject:
			code = 406
		case !a.hasCredit(len(taken) + 1):
			code = 405
		}
		if code != accepted {
			recipients = append(recipients, atRefused(text, code))
			continue
		}
		id := strings.ReplaceAll(string(a.ids.append(nil, a.sent, uint64(len(taken)))), "-", "")
		taken = append(taken, number)
		recipients = append(recipients, atRecipient{Number: text, Cost: "KES 1.0000", Status: "Success", StatusCode: code, MessageID: "ATXid_" + id})
	}
	return recipients, taken
}

// atRefused returns the part of a reply about a refused number.
func atRefused(number string, code int) atRecipient {
	return atRecipient{Number: number, Cost: "0", Status: atCodes[code], StatusCode: code, MessageID: "None"}
}

func atSummary(recipients []atRecipient) string {
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

// atReply returns the reply to a processed request, in the format that the client asked for.
func atReply(r *http.Request, message string, recipients []atRecipient) answer {
	if recipients == nil {
		recipients = []atRecipient{}
	}
	asJSON := map[string]any{"Message": message, "Recipients": recipients}
	var asXML struct {
		XMLName    struct{} `xml:"SMSMessageData"`
		Message    string
		Recipients struct{ List []atRecipient } // written even if it is empty
	}
	asXML.Message, asXML.Recipients.List = message, recipients
	return atWrite(r, http.StatusCreated, "SMSMessageData", asJSON, asXML)
}

// atWrite writes a document as JSON if the client asked for it, and otherwise as XML.
func atWrite(r *http.Request, status int, name string, asJSON, asXML any) answer {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		body, _ := json.Marshal(map[string]any{name: asJSON}) // strings and numbers only, so it cannot fail
		return answer{status: status, contentType: "application/json", body: body}
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<AfricasTalkingResponse>")
	_ = xml.NewEncoder(&b).Encode(asXML)
	b.WriteString("</AfricasTalkingResponse>\n")
	return answer{status: status, contentType: "application/xml", body: b.Bytes()}
}

// atRows splits a reply into one row for each recipient and returns a function that joins rows again.
// The text of a row is the recipient as JSON. When rows are joined, the row's number replaces the number in its
// text, because a fault may have changed it.
func atRows(r *http.Request, recipients []atRecipient) ([]row, func([]row) []byte) {
	rows := make([]row, len(recipients))
	for i, recipient := range recipients {
		number, _ := strconv.ParseUint(strings.TrimPrefix(recipient.Number, "+"), 10, 64)
		text, _ := json.Marshal(recipient) // strings and numbers only, so it cannot fail
		rows[i] = row{number: number, text: string(text)}
	}
	return rows, func(rows []row) []byte {
		recipients := make([]atRecipient, len(rows))
		for i, row := range rows {
			_ = json.Unmarshal([]byte(row.text), &recipients[i])
			if atNumber.MatchString(recipients[i].Number) {
				recipients[i].Number = "+" + strconv.FormatUint(row.number, 10)
			}
		}
		return atReply(r, atSummary(recipients), recipients).body
	}
}

// refuse returns the reply for an injected error. If word is one of atCodes ("405") or its text, the reply refuses
// every number of the call. If it is "InvalidSenderId" or anything else, the reply has no recipients.
func (a *africasTalking) refuse(r *http.Request, body []byte, word string) answer {
	call, wrong := readATCall(r, body)
	if r.Method != http.MethodPost || wrong != "" {
		return answer{status: http.StatusInternalServerError, contentType: plainText, body: []byte(word)}
	}
	for code, name := range atCodes {
		if word == strconv.Itoa(code) || word == name && code != 402 {
			recipients := make([]atRecipient, 0, len(call.to))
			for _, number := range call.to {
				recipients = append(recipients, atRefused(number, code))
			}
			return atReply(r, atSummary(recipients), recipients)
		}
	}
	return atReply(r, word, nil)
}

func (a *africasTalking) user(r *http.Request, _ []byte) answer {
	user := r.URL.Query().Get("username")
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if refusal, ok := a.admit(r, user, atMissing(user)); !ok {
		return refusal
	}
	type data struct {
		XMLName struct{} `json:"-" xml:"UserData"`
		Balance string   `json:"balance" xml:"balance"`
	}
	d := data{Balance: "KES " + strconv.FormatFloat(a.credit, 'f', 2, 64)}
	return atWrite(r, http.StatusOK, "UserData", d, d)
}

// received returns the inbox messages with an ID above lastReceivedId, or all messages if it is missing.
func (a *africasTalking) received(r *http.Request) answer {
	query := r.URL.Query()
	user, wrong := query.Get("username"), atMissing(query.Get("username"))
	after, err := strconv.ParseUint(query.Get("lastReceivedId"), 10, 64)
	if err != nil && query.Has("lastReceivedId") {
		wrong = "The query parameter 'lastReceivedId' was malformed"
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if refusal, ok := a.admit(r, user, wrong); !ok {
		return refusal
	}
	messages := []atMessage{}
	for _, m := range a.inbox {
		if m.ID > after {
			messages = append(messages, m)
		}
	}
	type data struct {
		XMLName  struct{}    `json:"-" xml:"SMSMessageData"`
		Messages []atMessage `json:"Messages" xml:"Messages>Message"`
	}
	d := data{Messages: messages}
	return atWrite(r, http.StatusOK, "SMSMessageData", d, d)
}

func atMissing(user string) string {
	if user == "" {
		return "Request is missing required query parameter 'username'"
	}
	return ""
}

// AfricasTalkingRefuse makes Africa's Talking refuse a sender ID. It is safe for concurrent use.
func (s *Server) AfricasTalkingRefuse(from string) {
	d := s.Gateway("africastalking")
	s.mu.Lock()
	defer s.mu.Unlock()
	d.vendor.(*africasTalking).refused[from] = true
}
