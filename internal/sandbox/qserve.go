package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// qserve is 254sms, or QServe, as its page says: JSON in, a list of one object out,
// statusCode and statusMessage swapped in the rows of recipients, and the text given
// back in each. What the page does not show is made up: 102 for want of credit, and
// a row that says Failed for what is no number.
type qserve struct{ *Desk }

var _ = register("qserve", func(d *Desk) gateway { return qserve{d} })

func (q qserve) reset() {}

// reach: the page knows no word for a number that is not taken.
func (q qserve) reach(Word) Reach { return Unsaid }

func (q qserve) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/version1/sendsms": {send: true, answer: q.send, refuse: q.refuse, words: map[string]string{faultCampaign: "X000"}},
		"/version1/credits": {answer: q.credits, refuse: q.refuse},
	}
}

// qserveRow is what is said of one recipient.
type qserveRow struct {
	Recipient     string `json:"recipient"`
	Message       string `json:"message"`
	StatusCode    string `json:"statusCode"`
	StatusMessage int    `json:"statusMessage"`
}

// qserveErrors are the page's codes, with its words.
var qserveErrors = map[string]string{
	"X000": "Some parameters are missing.",
	"X001": "Unknown or unvalid secret_key .",
	"X002": "Unvalid secret_key for this domain.",
	"X003": "Unknown or unvalid user token .",
}

// qserveNumber is digits in international form. (The page's own first sample has a
// digit less than a Kenyan number.)
var qserveNumber = regexp.MustCompile(`^[1-9][0-9]{9,14}$`)

// fields reads the fields of a request that must be there, as texts, and reports
// whether they all are. What is not JSON by its name is not read, and nor is what is
// not UTF-8.
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
		q.rejected()
		return q.fault("X000")
	case !q.s.login(fields["username"], fields["api_key"]):
		q.rejected()
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
	if !q.affords(len(taken)) {
		q.rejected()
		return qserveAnswer(map[string]any{"statusCode": 102, "statusMessage": "Insufficient credits", "Balance": q.credit})
	}
	if len(taken) == 0 {
		q.rejected()
	} else {
		from := fields["sender_id"]
		if from == "" {
			from = "254sms"
		}
		q.accept(Taken{Numbers: taken, From: from, Body: fields["message"]})
	}
	balance := q.credit
	reply := qserveReply(rows, balance)
	reply.taken = len(taken) > 0
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
	case !q.s.login(fields["username"], fields["api_key"]):
		return q.fault("X001")
	}
	return qserveAnswer(map[string]any{"credits": strconv.FormatFloat(q.credit, 'f', -1, 64), "statusCode": 101})
}

// refuse is a fault of the gateway: one of its codes, or any other.
func (q qserve) refuse(_ *http.Request, _ []byte, word string) answer { return q.fault(word) }

func (q qserve) fault(code string) answer {
	return qserveAnswer(map[string]any{"statusCode": code, "statusMessage": qserveErrors[code]})
}

func qserveAnswer(object any) answer {
	body, _ := json.Marshal([]any{object}) // of strings and numbers: it cannot err
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

// qserveRows takes a reply apart. A row's text is all of it; its number counts where
// a fault has put another one there.
func qserveRows(of []qserveRow, balance float64) ([]row, func([]row) []byte) {
	rows := make([]row, len(of))
	for i, r := range of {
		number, _ := strconv.ParseUint(r.Recipient, 10, 64)
		text, _ := json.Marshal(r) // of strings and numbers: it cannot err
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
