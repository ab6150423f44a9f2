// Package connectmediasim simulates the gateway Connect Media, according to the vendor's
// documentation page. The simulator shares no code with the client in package connectmedia.
package connectmediasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Simulator simulates Connect Media as the vendor's page describes it. The gateway has one path,
// and the query of the URL names the version of the API. Forms are URL-encoded or multipart. Every
// reply has a code. A list is a JSON object. Its members are the code and the rows. The keys of the
// rows are numbers, and the rows are not in order. The gateway URL-decodes every message a second
// time, as working integrations assume. After SetPlain(true) the gateway does not decode a second
// time, as the vendor's Python sample assumes. Three codes are not on the vendor's page: 104 and
// 105 are known from public code, and 102 (invalid sender) is invented.
//
// The path /api.php serves the vendor's current API. It uses JSON, and accepts the password of any
// user as the API key.
//
// Only the server calls the method Reset. All other methods are safe for concurrent use.
type Simulator struct {
	state *simulator.State

	// The server's lock guards the fields below.
	history []map[string]string // the last maxHistory messages, oldest first
	sent    int
	plain   bool
}

// New returns the simulator of Connect Media. The function has the type simulator.NewVendor.
func New(state *simulator.State) simulator.Vendor { return &Simulator{state: state} }

// Of returns the simulator of Connect Media in a server. It panics if the server does not have this
// simulator.
func Of(server *simulator.Server) *Simulator {
	return server.Gateway("connectmedia").Vendor().(*Simulator)
}

// SetPlain chooses how Connect Media reads the message of a form. If the parameter "plain" is true,
// Connect Media uses the message unchanged. If "plain" is false, which is the default, it URL-decodes
// the message once more. The vendor's samples disagree about this decoding. Reset does not change
// the choice.
func (c *Simulator) SetPlain(plain bool) {
	c.state.Lock()
	defer c.state.Unlock()
	c.plain = plain
}

// maxHistory is the largest number of messages in the history.
const maxHistory = 200

// codeTexts are the texts of the codes on the vendor's page. The page has no texts for 102, 104 and
// 105.
var codeTexts = map[string]string{
	"100": "Invalid login details",
	"101": "No enough balance to send message",
	"102": "Invalid sender",
	"103": "No action defined",
	"104": "Invalid recipient",
	"105": "Invalid message",
	"201": " Message Sent Successfully!",
	"301": "Error in fetching data",
}

// inboxRows is the content of the inbox.
var inboxRows = []map[string]string{
	{"message_text": "incoming test message", "message_datetime": "2016-06-11 06:00:27", "message_from": "254712345678"},
	{"message_text": "another test message", "message_datetime": "2016-06-11 15:03:49", "message_from": "254787654321"},
	{"message_text": "STOP <é> \"漢😀\"", "message_datetime": "2016-06-11 15:03:49", "message_from": "254110000003"},
}

// Reset implements simulator.Vendor.
func (c *Simulator) Reset() { c.history, c.sent = nil, 0 }

// ReplyScope returns ScopeNumber for Reject, because both APIs show which number is refused. In the
// older API, a call has only one number, and code 104 refuses it. The current API lists the refused
// numbers.
func (c *Simulator) ReplyScope(w simulator.Reply) simulator.ReplyScope {
	if w == simulator.Reject {
		return simulator.ScopeNumber
	}
	return simulator.ScopeNone
}

// Endpoints implements simulator.Vendor.
func (c *Simulator) Endpoints() map[string]simulator.Endpoint {
	sends := func(r *http.Request, body []byte) bool { return readForm(r, body).Get("action") == "send" }
	faults := map[string]string{simulator.FaultCampaign: "103", simulator.FaultCredit: "101", simulator.FaultText: "105"}
	return map[string]simulator.Endpoint{
		"/api.php": {
			IsSend: func(r *http.Request, body []byte) bool { return readRequest(r, body).Action == "send" },
			Answer: c.answerCurrent, Refuse: c.refuseCurrent, FaultReplies: faults,
		},
		"/user-board/": {IsSend: sends, Answer: c.answer, Refuse: c.refuse, FaultReplies: faults},
	}
}

// readForm parses a URL-encoded or multipart form. It returns an empty form if the body is neither.
func readForm(r *http.Request, body []byte) url.Values {
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err == nil {
			return form
		}
	case "multipart/form-data":
		form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
		if err == nil {
			return form.Value
		}
	}
	return url.Values{}
}

// validActions are the valid actions, by the query of the URL.
var validActions = map[string][]string{
	"api":    {"send", "balance", "history"},
	"api_v2": {"inbox"},
}

func (c *Simulator) answer(r *http.Request, body []byte) simulator.Answer {
	actions, ok := validActions[r.URL.RawQuery]
	if !ok { // for a query other than api and api_v2, the vendor's site returns a web page
		return simulator.Answer{ContentType: "text/html; charset=utf-8", Body: []byte("<!DOCTYPE html>\n<html><head><title>Login</title></head></html>\n")}
	}
	form := readForm(r, body)
	c.state.Lock()
	defer c.state.Unlock()
	action := form.Get("action")
	switch {
	case !slices.Contains(actions, action):
		return codeAnswer("103")
	case form.Get("username") == "" || form.Get("password") == "" || !c.state.ValidLogin(form.Get("username"), form.Get("password")):
		if action == "send" {
			c.state.CountRejected()
		}
		return codeAnswer("100")
	}
	switch action {
	case "balance":
		return objectAnswer("200", strconv.FormatFloat(c.state.Credit(), 'f', -1, 64))
	case "history":
		return listAnswer("202", c.history)
	case "inbox":
		return listAnswer("302", inboxRows)
	}
	return c.send(form)
}

// validNumber matches one number with its country code, in digits.
var validNumber = regexp.MustCompile(`^[1-9][0-9]{9,14}$`)

// The method "send" accepts or refuses a message. The caller holds the server's lock.
func (c *Simulator) send(form url.Values) simulator.Answer {
	from, to, message := form.Get("sender"), form.Get("to"), form.Get("message")
	if !c.plain {
		message = urlDecode(message)
	}
	if from == "" {
		from = "ConectMedia"
	}
	number, _ := strconv.ParseUint(to, 10, 64)
	code := "201"
	switch {
	case utf8.RuneCountInString(from) > 11:
		code = "102"
	case !validNumber.MatchString(to), c.state.ReplyTo(number) == simulator.Reject:
		code = "104"
	case message == "":
		code = "105"
	case !c.state.HasCredit(1):
		code = "101"
	}
	if code != "201" {
		c.state.CountRejected()
		return codeAnswer(code)
	}
	c.state.Accept(simulator.AcceptedCall{Numbers: []uint64{number}, From: from, Body: message})
	c.remember(message)
	a := codeAnswer(code)
	a.Accepted = true
	return a
}

// remember adds a message to the history. The caller holds the server's lock.
func (c *Simulator) remember(message string) {
	c.sent++
	if !c.state.Counting() {
		return
	}
	at := time.Date(2016, 6, 11, 6, 0, 27, 0, time.UTC).Add(time.Duration(c.sent) * time.Second)
	c.history = append(c.history, map[string]string{
		"message_id": strconv.Itoa(c.sent), "message_text": message, "message_date": at.Format(time.DateTime),
		"message_status": "Delivered", "message_error": "OK",
	})
	c.history = c.history[max(0, len(c.history)-maxHistory):]
}

// urlDecode works like PHP's urldecode: it changes + to a space, and keeps a % that is not followed by
// two hex digits.
func urlDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		if s[i] == '+' {
			b.WriteByte(' ')
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// refuse returns the reply for an injected error. The parameter "word" is one of the vendor's codes, or
// any other text.
func (c *Simulator) refuse(_ *http.Request, _ []byte, word string) simulator.Answer {
	return codeAnswer(word)
}

func codeAnswer(code string) simulator.Answer {
	return objectAnswer(code, codeTexts[code])
}

func objectAnswer(code, message string) simulator.Answer {
	body, _ := json.Marshal(map[string]string{"code": code, "message": message}) // this cannot fail, because the map holds only strings
	return simulator.Answer{ContentType: "application/json", Body: body}
}

// listAnswer returns the reply with the given rows. The key of a row is its number. The keys are in
// descending order of their text: "9", "10", "1", "0". The code is in the middle.
func listAnswer(code string, rows []map[string]string) simulator.Answer {
	numbers := make([]string, len(rows))
	for i := range rows {
		numbers[i] = strconv.Itoa(i)
	}
	slices.SortFunc(numbers, func(a, b string) int { return strings.Compare(b, a) })
	var b bytes.Buffer
	b.WriteByte('{')
	for i, number := range numbers {
		if i == len(numbers)/2 {
			_, _ = fmt.Fprintf(&b, `"code":%q,`, code)
		}
		at, _ := strconv.Atoi(number)
		row, _ := json.Marshal(rows[at]) // this cannot fail, because the reply holds only strings
		_, _ = fmt.Fprintf(&b, `%q:%s`, number, row)
		if i < len(numbers)-1 {
			b.WriteByte(',')
		}
	}
	if len(numbers) == 0 {
		_, _ = fmt.Fprintf(&b, `"code":%q`, code)
	}
	b.WriteByte('}')
	return simulator.Answer{ContentType: "application/json", Body: b.Bytes()}
}
