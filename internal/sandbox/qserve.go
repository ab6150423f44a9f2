package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// qserve simulates 254sms (QServe) as the vendor's page describes it. A request is JSON, and a reply is a list of one
// object. In the row of a recipient, statusCode and statusMessage have swapped values, and the text of the message is
// repeated. Two replies are not on the vendor's page and are invented: code 102 for missing credit, and a row with
// "Failed" for an invalid number.
type qserve struct{ *Gateway }

var _ = register("qserve", func(d *Gateway) vendorAPI { return qserve{d} })

func (q qserve) reset() {}

// replyScope returns ScopeNone: the vendor's page has no reply for a refused number.
func (q qserve) replyScope(Reply) ReplyScope { return ScopeNone }

func (q qserve) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/version1/sendsms": {send: true, answer: q.send, refuse: q.refuse, faultReplies: map[string]string{faultCampaign: "X000"}},
		"/version1/credits": {answer: q.credits, refuse: q.refuse},
	}
}

// qserveRow is the part of a reply about one recipient.
type qserveRow struct {
	Recipient     string `json:"recipient"`
	Message       string `json:"message"`
	StatusCode    string `json:"statusCode"`
	StatusMessage int    `json:"statusMessage"`
}

// qserveErrors are the vendor's codes with its texts.
var qserveErrors = map[string]string{
	"X000": "Some parameters are missing.",
	"X001": "Unknown or unvalid secret_key .",
	"X002": "Unvalid secret_key for this domain.",
	"X003": "Unknown or unvalid user token .",
}

// qserveNumber matches a number in international format: 10 to 15 digits. So it also matches
// the number in the vendor's first sample, which has 11 digits, one less than a Kenyan number.
var qserveNumber = regexp.MustCompile(`^[1-9][0-9]{9,14}$`)

// fields returns the text fields of a request, and reports whether all the named ones are set. It returns no fields
// if the body is not UTF-8, or is not JSON by its type and content.
func (q qserve) fields(r *http.Request, body []byte, names ...string) (map[string]string, bool) {
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

func (q qserve) send(r *http.Request, body []byte) answer {
	fields, ok := q.fields(r, body, "username", "api_key", "phone", "message")
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	switch {
	case !ok:
		q.countRejected()
		return q.fault("X000")
	case !q.s.validLogin(fields["username"], fields["api_key"]):
		q.countRejected()
		return q.fault("X001")
	}
	var taken []uint64
	var rows []qserveRow
	for text := range strings.SplitSeq(fields["phone"], ",") {
		row := qserveRow{Recipient: text, Message: fields["message"], StatusCode: "Failed"}
		if qserveNumber.MatchString(text) {
			number, _ := strconv.ParseUint(text, 10, 64)
			taken = append(taken, number)
			row.StatusCode, row.StatusMessage = "Successfully Sent", 2
		}
		rows = append(rows, row)
	}
	if !q.hasCredit(len(taken)) {
		q.countRejected()
		return qserveAnswer(map[string]any{"statusCode": 102, "statusMessage": "Insufficient credits", "Balance": q.credit})
	}
	if len(taken) == 0 {
		q.countRejected()
	} else {
		from := fields["sender_id"]
		if from == "" {
			from = "254sms"
		}
		q.accept(AcceptedCall{Numbers: taken, From: from, Body: fields["message"]})
	}
	balance := q.credit
	reply := qserveReply(rows, balance)
	reply.accepted = len(taken) > 0
	reply.rows = func() ([]row, func([]row) []byte) { return qserveRows(rows, balance) }
	return reply
}

func (q qserve) credits(r *http.Request, body []byte) answer {
	fields, ok := q.fields(r, body, "username", "api_key")
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	switch {
	case !ok:
		return q.fault("X000")
	case !q.s.validLogin(fields["username"], fields["api_key"]):
		return q.fault("X001")
	}
	return qserveAnswer(map[string]any{"credits": strconv.FormatFloat(q.credit, 'f', -1, 64), "statusCode": 101})
}

// refuse returns the reply for an injected error. word is one of the vendor's codes, or any other text.
func (q qserve) refuse(_ *http.Request, _ []byte, word string) answer { return q.fault(word) }

func (q qserve) fault(code string) answer {
	return qserveAnswer(map[string]any{"statusCode": code, "statusMessage": qserveErrors[code]})
}

func qserveAnswer(object any) answer {
	body, _ := json.Marshal([]any{object}) // strings and numbers only, so it cannot fail
	return answer{contentType: "application/json", body: body}
}

func qserveReply(rows []qserveRow, balance float64) answer {
	return qserveAnswer(struct {
		RecipientsCount int         `json:"recipientsCount"`
		StatusMessage   string      `json:"statusMessage"`
		StatusCode      int         `json:"statusCode"`
		Balance         float64     `json:"Balance"`
		MessageDetails  []qserveRow `json:"messageDetails"`
	}{len(rows), "Success", 101, balance, rows})
}

// qserveRows splits a reply into one row for each recipient and returns a function that joins rows again.
// The text of a row is the recipient as JSON. When rows are joined, the row's number replaces the number in its
// text, because a fault may have changed it.
func qserveRows(of []qserveRow, balance float64) ([]row, func([]row) []byte) {
	rows := make([]row, len(of))
	for i, r := range of {
		number, _ := strconv.ParseUint(r.Recipient, 10, 64)
		text, _ := json.Marshal(r) // strings and numbers only, so it cannot fail
		rows[i] = row{number: number, text: string(text)}
	}
	return rows, func(rows []row) []byte {
		of := make([]qserveRow, len(rows))
		for i, row := range rows {
			_ = json.Unmarshal([]byte(row.text), &of[i])
			if qserveNumber.MatchString(of[i].Recipient) {
				of[i].Recipient = strconv.FormatUint(row.number, 10)
			}
		}
		return qserveReply(of, balance).body
	}
}
