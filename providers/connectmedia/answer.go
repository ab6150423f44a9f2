package connectmedia

import (
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
	// "Invalid message" [public]: of the text, which all messages of a campaign share.
	"105": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
}

// codeInvalidNumber refuses one message because of its number [public].
const codeInvalidNumber = "104"

// codeNoInbox is "Error in fetching data (inbox)".
const codeNoInbox = "301"

// parseAnswer says what the body of a 2xx means for a send: a result, or a verdict on
// the call (without Op), or neither, if nothing of it is understood. The answer names
// no number, since a call has one. It has no effects.
func parseAnswer(body []byte) (*providers.Result, *providers.Error) {
	code, _ := parseReply(body)
	switch code {
	case codeSent:
		return &providers.Result{Outcome: providers.Accepted}, nil
	case codeInvalidNumber:
		return &providers.Result{Outcome: providers.Rejected, Reason: "invalid_number", Code: code}, nil
	}
	return nil, refusal(code)
}

// parseReply reads the code of a reply and whatever else it holds; no code if it is
// not a reply of the gateway's.
func parseReply(body []byte) (code string, o providers.Object) {
	o, ok := providers.ReadObject(body)
	if !ok {
		o = parsePrinted(body)
	}
	code, _ = o.Text("code")
	return code, o
}

// printed is {"code":"201"," Message Sent Successfully!"}: how the page prints the
// replies to send and balance.
var printed = regexp.MustCompile(`^\s*\{\s*"code"\s*:\s*("?[0-9]{3}"?)\s*,\s*("[^"\\[:cntrl:]]{0,200}")\s*\}\s*$`)

// parsePrinted reads a reply as the page prints it. The text without a name is taken
// for the message.
func parsePrinted(body []byte) providers.Object {
	m := printed.FindSubmatch(body)
	if m == nil || strings.Count(string(m[1]), `"`) == 1 {
		return nil
	}
	return providers.Object{"code": m[1], "message": m[2]}
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
