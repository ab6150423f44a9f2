package connectmedia

import (
	"regexp"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

const (
	opSend    = "connectmedia send"
	opBalance = "connectmedia balance"
	opHistory = "connectmedia history"
	opInbox   = "connectmedia inbox"
)

// These are the codes of successful requests, one for each action.
const (
	codeSent    = "201"
	codeBalance = "200"
	codeHistory = "202"
	codeInbox   = "302"
)

// refusals maps the gateway's error codes to their meaning, which is the same for all actions. The
// quotations are from the vendor's page, unless the comment names another source.
var refusals = map[string]providers.Error{
	// "Invalid login details."
	"100": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "No enough balance to send message."
	"101": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
	// "No action defined": the request that this package built is malformed.
	"103": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	// "Invalid message" (from public code): the gateway refuses the text.
	"105": {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
	// "Server error" (from the vendor's own clients): the gateway may have taken the message.
	"500": {Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway},
}

// codeInvalidNumber means that the recipient's number is invalid (from public code).
const codeInvalidNumber = "104"

// codeNoInbox means that the gateway could not read the inbox. The text of this code is "Error in
// fetching data (inbox)".
const codeNoInbox = "301"

// parseAnswer parses the body of an answer to a send. It returns the result of the call's single
// recipient, or an error for the call. The caller sets the error's Op. If parseAnswer does not
// understand the body, both results are nil.
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

// parseReply returns the code of a reply and all its fields. The code is "" if the body is not a reply of
// the gateway.
func parseReply(body []byte) (code string, o httpclient.Object) {
	o, ok := httpclient.ReadObject(body)
	if !ok {
		o = parsePrinted(body)
	}
	code, _ = o.Text("code")
	return code, o
}

// The pattern "printed" matches {"code":"201"," Message Sent Successfully!"}. This is not valid JSON, because
// the text has no name. But the vendor's page shows this form for the replies to its methods send and
// balance.
var printed = regexp.MustCompile(`^\s*\{\s*"code"\s*:\s*("?[0-9]{3}"?)\s*,\s*("[^"\\[:cntrl:]]{0,200}")\s*\}\s*$`)

// parsePrinted parses a reply that the pattern "printed" matches. The text has no name in such a reply,
// and becomes the field "message". parsePrinted returns nil for any other body.
func parsePrinted(body []byte) httpclient.Object {
	m := printed.FindSubmatch(body)
	if m == nil || strings.Count(string(m[1]), `"`) == 1 {
		return nil
	}
	return httpclient.Object{"code": m[1], "message": m[2]}
}

// refusal returns the error for an error code. The error is Unknown for a code that is not in the table
// "refusals". If the text is not a code, refusal returns nil.
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
