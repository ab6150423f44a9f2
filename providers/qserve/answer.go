package qserve

import (
	"encoding/json"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// codeDone is the statusCode of an answer that is no error, to sends and credits.
const codeDone = "101"

// answers are the documented error codes, and what each of them says of a request.
var answers = map[string]providers.Error{
	// "Some parameters are missing."
	"X000": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	// "Unknown or unvalid secret_key", or one that has expired.
	"X001": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "Unvalid secret_key for this domain."
	"X002": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// "Unknown or unvalid user token", or one that has expired.
	"X003": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
}

// errorFields are where one of the error codes may stand: the page does not say.
var errorFields = []string{"statusCode", "statusMessage", "code", "error"}

// The reasons a recipient of an answered call is Unknown.
const (
	reasonMissing       = "not_in_reply"
	reasonNotUnderstood = "not_understood" // named, but not said to be sent, or not only that
)

// parseAnswer says what the body of a 2xx means for a call to these numbers: one
// result for each, or a verdict on all of them (without Op), or neither, if nothing
// of it is understood. It has no effects.
func parseAnswer(body []byte, to []sms.MSISDN) ([]providers.Result, *providers.Error) {
	o, verdict := parseEnvelope(body)
	if o == nil {
		return nil, verdict
	}
	results := parseRows(o["messageDetails"], to)
	if results != nil {
		results[0].Balance = amount(o, "Balance")
	}
	return results, nil
}

// parseEnvelope returns the one object of a reply that is no error, or the verdict
// of its code, or neither. An error code beside another one or beside rows is a
// contradiction.
func parseEnvelope(body []byte) (object, *providers.Error) {
	list := objects(body)
	if len(list) != 1 {
		return nil, nil
	}
	o := list[0]
	var found string
	for _, name := range errorFields {
		text, _ := o.text(name)
		if _, known := answers[text]; !known || text == found {
			continue
		}
		if found != "" {
			return nil, nil
		}
		found = text
	}
	switch code, _ := o.text("statusCode"); {
	case found != "" && code != codeDone && empty(o["messageDetails"]):
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

// objects reads a list of objects, or one alone.
func objects(body []byte) []object {
	var list []object
	if json.Unmarshal(body, &list) == nil {
		return list
	}
	var o object
	if json.Unmarshal(body, &o) == nil {
		return []object{o}
	}
	return nil
}

// empty says whether a list is not there or has nothing in it.
func empty(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null" || string(raw) == "[]"
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

// parseRows reads the rows of recipients. Only a number that was asked for and
// whose row says sent is Accepted, in whatever order; a number that has another row
// besides is not. It returns nil if no number of the call is named at all.
func parseRows(raw json.RawMessage, to []sms.MSISDN) []providers.Result {
	var rows []json.RawMessage
	if json.Unmarshal(raw, &rows) != nil {
		return nil
	}
	index := make(map[string]int, len(to))
	for i, number := range to {
		index[number.String()] = i
	}
	results := make([]providers.Result, len(to))
	named := false
	for _, row := range rows {
		var o object
		if json.Unmarshal(row, &o) != nil {
			continue
		}
		number, _ := o.text("recipient")
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

// saysSent says whether one of a row's two swapped fields says that the message was
// sent ("Successfully Sent"), and the other says nothing against it: it is a number,
// or empty, or such words too. What has a word that is not in the list may mean
// anything ("not sent", "to be sent").
func saysSent(o object) bool {
	sent := false
	for _, name := range [...]string{"statusCode", "statusMessage"} {
		text, ok := o.text(name)
		if !ok {
			return false
		}
		if isDigits(text) {
			continue
		}
		for said := range strings.FieldsSeq(strings.ToLower(text)) {
			switch strings.TrimRight(said, ".!") {
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

// word returns what a row says instead of sent, if it is words only, so that a
// result's code never repeats a number.
func word(o object) string {
	for _, name := range [...]string{"statusCode", "statusMessage"} {
		text, _ := o.text(name)
		if text != "" && len(text) <= 64 && strings.Trim(text, letters+" _-") == "" {
			return text
		}
	}
	return ""
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isCode says whether s is like a code, and too short for a number or a text.
func isCode(s string) bool {
	return s != "" && len(s) <= 6 && strings.Trim(s, letters+"0123456789") == ""
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
