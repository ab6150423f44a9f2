package connectmedia

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

const (
	opSend    = "connectmedia send"
	opBalance = "connectmedia balance"
	opHistory = "connectmedia history"
	opInbox   = "connectmedia inbox"
)

// The codes of requests that went well, one for each action.
const (
	codeSent    = "201"
	codeBalance = "200"
	codeHistory = "202"
	codeInbox   = "302"
)

// refusals are the codes with which the gateway refuses a request, whatever its
// action, and what each of them says of it.
var refusals = map[string]providers.Error{
	// "Invalid login details."
	"100": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "No enough balance to send message."
	"101": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
	// "No action defined": our own request is malformed.
	"103": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
}

// rejections are the codes that refuse one message, and Tuma's word for why. They
// are not on the page, but in public code.
var rejections = map[string]string{
	"104": "invalid_number",
	"105": "invalid_message",
}

// codeNoInbox is "Error in fetching data (inbox)".
const codeNoInbox = "301"

// parseAnswer says what the body of a 2xx means for a send: a result, or a verdict on
// the call (without Op), or neither, if nothing of it is understood. The answer names
// no number, since a call has one. It has no effects.
func parseAnswer(body []byte) (*providers.Result, *providers.Error) {
	code, _ := parseReply(body)
	if code == codeSent {
		return &providers.Result{Outcome: providers.Accepted}, nil
	}
	if reason, ok := rejections[code]; ok {
		return &providers.Result{Outcome: providers.Rejected, Reason: reason, Code: code}, nil
	}
	return nil, refusal(code)
}

// parseReply reads the code of a reply and whatever else it holds; no code if it is
// not a reply of the gateway's.
func parseReply(body []byte) (code string, o object) {
	if json.Unmarshal(body, &o) != nil {
		o = parsePrinted(body)
	}
	return o.text("code"), o
}

// printed is {"code":"201"," Message Sent Successfully!"}: how the page prints the
// replies to send and balance.
var printed = regexp.MustCompile(`^\s*\{\s*"code"\s*:\s*("?[0-9]{3}"?)\s*,\s*("[^"\\[:cntrl:]]{0,200}")\s*\}\s*$`)

// parsePrinted reads a reply as the page prints it. The text without a name is taken
// for the message.
func parsePrinted(body []byte) object {
	m := printed.FindSubmatch(body)
	if m == nil || strings.Count(string(m[1]), `"`) == 1 {
		return nil
	}
	return object{"code": m[1], "message": m[2]}
}

// refusal returns the verdict of a code that refuses a request: Unknown for one that
// nobody documents, and nil for what is no code.
func refusal(code string) *providers.Error {
	e, known := refusals[code]
	if !known {
		if code == "" || len(code) > 6 || strings.Trim(code, "0123456789") != "" {
			return nil
		}
		e = providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood}
	}
	e.Code = code
	return &e
}

// refused is the verdict on a reply that is not what was asked for: that of its
// code, if it has one.
func refused(op string, reply *providers.Reply, verdict *providers.Error) *providers.Error {
	if verdict == nil {
		return reply.NotUnderstood(op)
	}
	verdict.Op = op
	return verdict
}
