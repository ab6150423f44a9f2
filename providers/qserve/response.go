package qserve

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// codeDone is the statusCode of a successful answer to a send or to a request for credits.
const codeDone = "101"

// The map "answers" holds the meaning of each documented error code. The quotations are from the
// vendor's page.
var answers = map[string]providers.Error{
	// "Some parameters are missing." A send always has every parameter. But the gateway may treat some
	// message text as empty, so the Scope is Text.
	"X000": {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
	// "Unknown or unvalid secret_key", or an expired key.
	"X001": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "Unvalid secret_key for this domain."
	"X002": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "Unknown or unvalid user token", or an expired token.
	"X003": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
}

// errorCode matches a text that is an error code or begins with an error code: "X001", "X001:
// Unknown or unvalid secret_key". The vendor's page does not show a reply with an error. So the
// provider accepts a code in any member of the reply outside the rows of recipients. This is
// safe, because no other text of a reply has this form.
var errorCode = regexp.MustCompile(`^\s*(X[0-9]{3})(?:[^0-9A-Za-z]|$)`)

// These are the reasons of recipients that are Unknown although the call was answered.
const (
	reasonMissing       = "not_in_reply"
	reasonNotUnderstood = "not_understood" // the reply names the recipient, but with a status other than "sent"
)

// parseAnswer parses the body of a 2xx answer to a call to the given recipients. It returns one
// result for each recipient, or one error for the whole call. The caller sets the error's Op. If
// parseAnswer does not understand the body, both results are nil.
func parseAnswer(body []byte, recipients []sms.MSISDN) ([]providers.Result, *providers.Error) {
	o, verdict := parseEnvelope(body)
	if o == nil {
		return nil, verdict
	}
	rows, _ := o.List("messageDetails")
	results := parseRows(rows, recipients)
	if results != nil {
		results[0].Balance = amount(o, "Balance")
	}
	return results, nil
}

// parseEnvelope returns the object of a successful reply, or the error for a reply with an error
// code. If parseEnvelope does not understand the reply, both results are nil. A reply with two
// error codes, or with an error code and rows of recipients, contradicts itself and also gives nil.
func parseEnvelope(body []byte) (httpclient.Object, *providers.Error) {
	o, ok := single(body)
	if !ok {
		o, ok = single(relaxed(body))
	}
	if !ok {
		return nil, bareCode(body)
	}
	rows, rowsOK := o.List("messageDetails")
	found, clear := findCode(o, 0)
	if !clear {
		return nil, nil
	}
	switch code, _ := text(o, "statusCode"); {
	case found != "" && code != codeDone && rowsOK && len(rows) == 0:
		e := answers[found]
		e.Code = found
		return nil, &e
	case found == "" && code == codeDone:
		return o, nil
	case found == "" && isCode(code):
		return nil, &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: code}
	}
	return nil, nil
}

// findCode searches the members of the object o, and of the objects in o, for a documented error
// code. It returns the code, or "" if no member has a code. The result "clear" is false if the
// members hold two different codes. The parameter "depth" is the number of objects around o.
func findCode(o httpclient.Object, depth int) (found string, clear bool) {
	const deepest = 3
	for name := range o {
		if name == "messageDetails" {
			continue
		}
		code := ""
		if inner, ok := o.Object(name); ok && depth < deepest {
			if code, clear = findCode(inner, depth+1); !clear {
				return "", false
			}
		} else if said, ok := o.Text(name); ok {
			code = codeIn(said)
		}
		if code != "" && found != "" && code != found {
			return "", false
		}
		found = cmp.Or(found, code)
	}
	return found, true
}

// codeIn returns the documented error code with which a text begins, or "".
func codeIn(text string) string {
	if m := errorCode.FindStringSubmatch(text); m != nil {
		if _, known := answers[m[1]]; known {
			return m[1]
		}
	}
	return ""
}

// bareCode returns the error for a reply that is only a text and begins with a documented error code.
// The text may be in JSON quotes. For any other reply bareCode returns nil.
func bareCode(body []byte) *providers.Error {
	code := codeIn(strings.TrimPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), `"`))
	if code == "" {
		return nil
	}
	e := answers[code]
	e.Code = code
	return &e
}

// The function "single" parses an object, or a list of exactly one object.
func single(body []byte) (httpclient.Object, bool) {
	if o, ok := httpclient.ReadObject(body); ok {
		return o, true
	}
	var list []httpclient.Object
	if json.Unmarshal(body, &list) != nil || len(list) != 1 {
		return nil, false
	}
	return list[0], true
}

// The function "text" returns the string or number under the given name, without white space around
// the value.
func text(o httpclient.Object, name string) (text string, ok bool) {
	text, ok = o.Text(name)
	return strings.TrimSpace(text), ok
}

// indexOf returns a map from each form in which a reply may write a number to the position of the
// recipient. Every number has its international form. A Kenyan number also has two national forms,
// with and without the leading zero. These forms are needed because the gateway serves Kenya, and
// QServe's own service shows numbers in national form. A form that fits two recipients of the call
// is left out.
func indexOf(recipients []sms.MSISDN) map[string]int {
	const kenya = "254"
	index := make(map[string]int, len(recipients))
	for i, number := range recipients {
		index[number.String()] = i
	}
	for i, number := range recipients {
		national, isKenyan := strings.CutPrefix(number.String(), kenya)
		if !isKenyan {
			continue
		}
		for _, form := range []string{"0" + national, national} {
			if _, taken := index[form]; !taken {
				index[form] = i
			} else if j := index[form]; j != i {
				delete(index, form)
			}
		}
	}
	return index
}

// parseRows parses the rows of recipients, which may be in any order. A recipient is Accepted if
// all its rows have the status "sent", and Unknown otherwise. parseRows returns nil if the rows
// do not name any recipient of the call.
func parseRows(rows []json.RawMessage, recipients []sms.MSISDN) []providers.Result {
	index := indexOf(recipients)
	results := make([]providers.Result, len(recipients))
	named := false
	for _, row := range rows {
		o, ok := httpclient.ReadObject(row)
		if !ok {
			continue
		}
		number, _ := text(o, "recipient")
		i, ok := index[strings.TrimPrefix(number, "+")]
		if !ok {
			continue
		}
		named = true
		switch r := &results[i]; {
		case r.Reason != "":
		case saysSent(o):
			r.Outcome = providers.Accepted
		default:
			*r = providers.Result{Reason: reasonNotUnderstood, Code: word(o)}
		}
	}
	if !named {
		return nil
	}
	for i := range results {
		if r := &results[i]; r.Outcome == providers.Unknown && r.Reason == "" {
			r.Reason = reasonMissing
		}
	}
	return results
}

// saysSent reports whether a row states that the message was sent ("Successfully Sent"). The text
// may be in either of the fields statusCode and statusMessage, because the vendor's page exchanges
// their values. The other field must be empty, a number, or a text of the same kind. Every word of
// the text must be in the list below, because with other words the text may mean "not sent" or "to
// be sent".
//
// saysSent also returns true for a row with the code 101 and the text "Success". The gateway uses
// this code and text in the outer object of a successful reply.
func saysSent(o httpclient.Object) bool {
	if code, _ := text(o, "statusCode"); code == codeDone {
		message, _ := text(o, "statusMessage")
		return strings.EqualFold(message, "Success") || sentText(o)
	}
	return sentText(o)
}

// sentText reports whether the text of a row states that the message was sent. See saysSent.
func sentText(o httpclient.Object) bool {
	sent := false
	for _, name := range [...]string{"statusCode", "statusMessage"} {
		said, ok := text(o, name)
		if !ok {
			return false
		}
		if isDigits(said) {
			continue
		}
		for word := range strings.FieldsSeq(strings.ToLower(said)) {
			switch strings.TrimRight(word, ".!") {
			case "sent":
				sent = true
			case "success", "successful", "successfully", "message", "sms", "ok":
			default:
				return false
			}
		}
	}
	return sent
}

// The function "word" returns the status text of a row. It returns "" if the text has any character
// except letters, spaces, _ and -. So a result's Code never contains a phone number.
func word(o httpclient.Object) string {
	for _, name := range [...]string{"statusCode", "statusMessage"} {
		said, _ := text(o, name)
		if said != "" && len(said) <= 64 && strings.Trim(said, letters+" _-") == "" {
			return said
		}
	}
	return ""
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isCode reports whether s can be a code. A code has at most 6 letters and digits. Phone numbers
// and messages are longer.
func isCode(s string) bool {
	return s != "" && len(s) <= 6 && strings.Trim(s, letters+"0123456789") == ""
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
