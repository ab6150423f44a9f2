// Package qservesim simulates the gateway 254sms (QServe), according to the vendor's documentation
// page. The simulator shares no code with the client in package qserve.
package qservesim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Simulator simulates 254sms (QServe) as the vendor's page describes it. A request is JSON, and a
// reply is a list of one object. In the row of a recipient, statusCode and statusMessage have
// swapped values, and the text of the message is repeated. Two replies are not on the vendor's page
// and are invented: code 102 for missing credit, and a row with "Failed" for an invalid number. The
// methods are safe for concurrent use, except Reset, which the server calls.
type Simulator struct{ state *simulator.State }

// New returns the simulator of 254sms (QServe). The function has the type simulator.NewVendor.
func New(state *simulator.State) simulator.Vendor { return &Simulator{state} }

// Reset implements simulator.Vendor.
func (q *Simulator) Reset() {}

// ReplyScope returns ScopeNone, because the vendor's page has no reply for a refused number.
func (q *Simulator) ReplyScope(simulator.Reply) simulator.ReplyScope { return simulator.ScopeNone }

// Endpoints implements simulator.Vendor.
func (q *Simulator) Endpoints() map[string]simulator.Endpoint {
	return map[string]simulator.Endpoint{
		"/version1/sendsms": {Send: true, Answer: q.send, Refuse: q.refuse, FaultReplies: map[string]string{simulator.FaultCampaign: "X000", simulator.FaultText: "X000"}},
		"/version1/credits": {Answer: q.credits, Refuse: q.refuse},
	}
}

// detail is the part of a reply about one recipient.
type detail struct {
	Recipient     string `json:"recipient"`
	Message       string `json:"message"`
	StatusCode    string `json:"statusCode"`
	StatusMessage int    `json:"statusMessage"`
}

// errorTexts maps the vendor's error codes to the vendor's texts.
var errorTexts = map[string]string{
	"X000": "Some parameters are missing.",
	"X001": "Unknown or unvalid secret_key .",
	"X002": "Unvalid secret_key for this domain.",
	"X003": "Unknown or unvalid user token .",
}

// validNumber matches a number in international format, which has 10 to 15 digits. So it also matches the
// number in the vendor's first sample. That number has 11 digits, one digit less than a Kenyan number.
var validNumber = regexp.MustCompile(`^[1-9][0-9]{9,14}$`)

// fields returns the text fields of a request. It also reports whether all fields in the parameter
// "names" are set. If the body is not UTF-8 or not valid JSON, or if its Content-Type is not JSON,
// the method returns no fields.
func (q *Simulator) fields(r *http.Request, body []byte, names ...string) (map[string]string, bool) {
	var raw map[string]any
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(mediaType) != "application/json" || !utf8.Valid(body) || json.Unmarshal(body, &raw) != nil {
		return nil, false
	}
	fields := map[string]string{}
	for name, value := range raw {
		fields[name], _ = value.(string)
	}
	for _, name := range names {
		if fields[name] == "" {
			return fields, false
		}
	}
	return fields, true
}

func (q *Simulator) send(r *http.Request, body []byte) simulator.Answer {
	fields, ok := q.fields(r, body, "username", "api_key", "phone", "message")
	q.state.Lock()
	defer q.state.Unlock()
	switch {
	case !ok:
		q.state.CountRejected()
		return q.fault("X000")
	case !q.state.ValidLogin(fields["username"], fields["api_key"]):
		q.state.CountRejected()
		return q.fault("X001")
	}
	var taken []uint64
	var rows []detail
	for text := range strings.SplitSeq(fields["phone"], ",") {
		row := detail{Recipient: text, Message: fields["message"], StatusCode: "Failed"}
		if validNumber.MatchString(text) {
			number, _ := strconv.ParseUint(text, 10, 64)
			taken = append(taken, number)
			row.StatusCode, row.StatusMessage = "Successfully Sent", 2
		}
		rows = append(rows, row)
	}
	if !q.state.HasCredit(len(taken)) {
		q.state.CountRejected()
		return listAnswer(map[string]any{"statusCode": 102, "statusMessage": "Insufficient credits", "Balance": q.state.Credit()})
	}
	if len(taken) == 0 {
		q.state.CountRejected()
	} else {
		from := fields["sender_id"]
		if from == "" {
			from = "254sms"
		}
		q.state.Accept(simulator.AcceptedCall{Numbers: taken, From: from, Body: fields["message"]})
	}
	balance := q.state.Credit()
	reply := sendReply(rows, balance)
	reply.Accepted = len(taken) > 0
	reply.Rows = func() ([]simulator.Row, func([]simulator.Row) []byte) { return splitReply(rows, balance) }
	return reply
}

func (q *Simulator) credits(r *http.Request, body []byte) simulator.Answer {
	fields, ok := q.fields(r, body, "username", "api_key")
	q.state.Lock()
	defer q.state.Unlock()
	switch {
	case !ok:
		return q.fault("X000")
	case !q.state.ValidLogin(fields["username"], fields["api_key"]):
		return q.fault("X001")
	}
	return listAnswer(map[string]any{"credits": strconv.FormatFloat(q.state.Credit(), 'f', -1, 64), "statusCode": 101})
}

// The method "refuse" returns the reply for an injected error. The parameter "word" is one of the
// vendor's codes, or any other text.
func (q *Simulator) refuse(_ *http.Request, _ []byte, word string) simulator.Answer {
	return q.fault(word)
}

func (q *Simulator) fault(code string) simulator.Answer {
	return listAnswer(map[string]any{"statusCode": code, "statusMessage": errorTexts[code]})
}

func listAnswer(object any) simulator.Answer {
	body, _ := json.Marshal([]any{object}) // this cannot fail, because the object holds only strings and numbers
	return simulator.Answer{ContentType: "application/json", Body: body}
}

func sendReply(rows []detail, balance float64) simulator.Answer {
	return listAnswer(struct {
		RecipientsCount int      `json:"recipientsCount"`
		StatusMessage   string   `json:"statusMessage"`
		StatusCode      int      `json:"statusCode"`
		Balance         float64  `json:"Balance"`
		MessageDetails  []detail `json:"messageDetails"`
	}{len(rows), "Success", 101, balance, rows})
}

// splitReply splits a reply into one row for each recipient. It also returns a function that joins rows into a
// reply. The text of a row is the recipient as JSON. A fault may have changed Row.Number. So the returned
// function replaces the number in the text by Row.Number, unless the number in the text is invalid.
func splitReply(recipients []detail, balance float64) ([]simulator.Row, func([]simulator.Row) []byte) {
	rows := make([]simulator.Row, len(recipients))
	for i, r := range recipients {
		number, _ := strconv.ParseUint(r.Recipient, 10, 64)
		text, _ := json.Marshal(r) // this cannot fail, because the values are only strings and numbers
		rows[i] = simulator.Row{Number: number, Text: string(text)}
	}
	return rows, func(rows []simulator.Row) []byte {
		details := make([]detail, len(rows))
		for i, row := range rows {
			_ = json.Unmarshal([]byte(row.Text), &details[i])
			if validNumber.MatchString(details[i].Recipient) {
				details[i].Recipient = strconv.FormatUint(row.Number, 10)
			}
		}
		return sendReply(details, balance).Body
	}
}
