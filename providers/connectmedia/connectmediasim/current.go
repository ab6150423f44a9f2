package connectmediasim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// The type "request" is a request of the current API, with the fields that the vendor's clients send.
type request struct {
	Action           string `json:"action"`
	To               string `json:"to"`
	Message          string `json:"message"`
	Sender           string `json:"sender"`
	Schedule         int    `json:"schedule"`
	ScheduleDatetime string `json:"schedule_datetime"`
	Limit            int    `json:"limit"`
	Offset           int    `json:"offset"`
	StartDate        string `json:"start_date"`
	EndDate          string `json:"end_date"`
}

// readRequest parses the body of a request of the current API. The request is empty if the body is not
// JSON.
func readRequest(r *http.Request, body []byte) (q request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(body, &q)
	}
	return q
}

// bearer returns the API key of a request, or "".
func bearer(r *http.Request) string {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return key
}

// envelope is the form of a reply of the current API.
type envelope struct {
	Code       string         `json:"code"`
	Message    string         `json:"message"`
	Data       map[string]any `json:"data,omitempty"`
	APIVersion string         `json:"api_version"`
}

// currentTexts are the texts of codes in the current API that differ from codeTexts. The texts are from
// the vendor's clients.
var currentTexts = map[string]string{"100": "Invalid or missing API key", "201": "Queued", "104": "Invalid recipients", "200": "ok", "202": "ok", "302": "ok", "500": "Server error"}

func currentAnswer(code string, data map[string]any) simulator.Answer {
	text := currentTexts[code]
	if text == "" {
		text = codeTexts[code]
	}
	body, _ := json.Marshal(envelope{Code: code, Message: text, Data: data, APIVersion: "2"}) // this cannot fail, because the envelope holds only texts, numbers and lists
	return simulator.Answer{ContentType: "application/json", Body: body}
}

// refuseCurrent returns the current API's reply for an injected error. The parameter "word" is one of
// the vendor's codes, or any other text.
func (c *Simulator) refuseCurrent(_ *http.Request, _ []byte, word string) simulator.Answer {
	return currentAnswer(word, nil)
}

// answerCurrent answers a request of the current API, in the form that the vendor's published clients
// expect. The members of the object "data" are assumed, because these clients do not read the object.
func (c *Simulator) answerCurrent(r *http.Request, body []byte) simulator.Answer {
	q := readRequest(r, body)
	c.state.Lock()
	defer c.state.Unlock()
	switch {
	case !slices.Contains([]string{"send", "balance", "history", "inbox"}, q.Action):
		return currentAnswer("103", nil)
	case bearer(r) == "" || !c.state.HasPassword(bearer(r)):
		if q.Action == "send" {
			c.state.CountRejected()
		}
		return currentAnswer("100", nil)
	}
	switch q.Action {
	case "balance":
		return currentAnswer("200", map[string]any{"balance": strconv.FormatFloat(c.state.Credit(), 'f', -1, 64)})
	case "history":
		return currentAnswer("202", map[string]any{"messages": c.page(q)})
	case "inbox":
		return currentAnswer("302", map[string]any{"messages": inboxRows[:min(len(inboxRows), limitOf(q))]})
	}
	return c.sendCurrent(q)
}

// sendCurrent accepts or refuses the numbers of a call. The caller holds the server's lock.
func (c *Simulator) sendCurrent(q request) simulator.Answer {
	refuse := func(code string, data map[string]any) simulator.Answer {
		c.state.CountRejected()
		return currentAnswer(code, data)
	}
	switch {
	case utf8.RuneCountInString(q.Sender) > 11:
		return refuse("102", nil)
	case q.Message == "":
		return refuse("105", nil)
	case q.Schedule != 0 && len(q.ScheduleDatetime) != len("2026-12-01 09:00:00"):
		return refuse("103", nil)
	}
	var taken []uint64
	invalid := []string{}
	for part := range strings.SplitSeq(q.To, ",") {
		number, err := strconv.ParseUint(part, 10, 64)
		if err != nil || !validNumber.MatchString(part) || c.state.ReplyTo(number) == simulator.Reject {
			invalid = append(invalid, part)
			continue
		}
		taken = append(taken, number)
	}
	data := map[string]any{"recipients": len(taken), "invalid": invalid}
	switch {
	case len(taken) == 0:
		return refuse("104", data)
	case !c.state.HasCredit(len(taken)):
		return refuse("101", nil)
	}
	sender := q.Sender
	if sender == "" {
		sender = "ConectMedia"
	}
	c.state.Accept(simulator.AcceptedCall{Numbers: taken, From: strings.Clone(sender), Body: strings.Clone(q.Message)})
	for range taken {
		c.remember(strings.Clone(q.Message))
	}
	a := currentAnswer("201", data)
	a.Accepted = true
	return a
}

// limitOf returns the number of rows that a request asks for. For a request without a limit it returns
// 50, the default of the vendor's clients.
func limitOf(q request) int {
	if q.Limit <= 0 {
		return 50
	}
	return q.Limit
}

// The method "page" returns the part of the history that a request asks for. The caller holds the
// server's lock.
func (c *Simulator) page(q request) []map[string]string {
	rows := []map[string]string{}
	for _, row := range c.history {
		day, _, _ := strings.Cut(row["message_date"], " ")
		if (q.StartDate == "" || day >= q.StartDate) && (q.EndDate == "" || day <= q.EndDate) {
			rows = append(rows, row)
		}
	}
	rows = rows[min(len(rows), max(0, q.Offset)):]
	return rows[:min(len(rows), limitOf(q))]
}
