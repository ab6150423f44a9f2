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
	rows, _ := o.List("messageDetails")
	results := parseRows(rows, to)
	if results != nil {
		results[0].Balance = amount(o, "Balance")
	}
	return results, nil
}

// parseEnvelope returns the one object of a reply that is no error, or the verdict
// of its code, or neither. An error code beside another one or beside rows is a
// contradiction.
func parseEnvelope(body []byte) (providers.Object, *providers.Error) {
	o, ok := single(body)
	rows, rowsOK := o.List("messageDetails")
	if !ok {
		return nil, nil
	}
	var found string
	for _, name := range errorFields {
		said, _ := text(o, name)
		if _, known := answers[said]; !known || said == found {
			continue
		}
		if found != "" {
			return nil, nil
		}
		found = said
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

// single reads an object, alone or in a list by itself.
func single(body []byte) (providers.Object, bool) {
	if o, ok := providers.ReadObject(body); ok {
		return o, true
	}
	var list []providers.Object
	if json.Unmarshal(body, &list) != nil || len(list) != 1 {
		return nil, false
	}
	return list[0], true
}

// text returns the string or number under a name without white space around it.
func text(o providers.Object, name string) (text string, ok bool) {
	text, ok = o.Text(name)
	return strings.TrimSpace(text), ok
}

// parseRows reads the rows of recipients. Only a number that was asked for and
// whose row says sent is Accepted, in whatever order; a number that has another row
// besides is not. It returns nil if no number of the call is named at all.
func parseRows(rows []json.RawMessage, to []sms.MSISDN) []providers.Result {
	index := make(map[string]int, len(to))
	for i, number := range to {
		index[number.String()] = i
	}
	results := make([]providers.Result, len(to))
	named := false
	for _, row := range rows {
		o, ok := providers.ReadObject(row)
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

// saysSent says whether one of a row's two swapped fields says that the message was
// sent ("Successfully Sent"), and the other says nothing against it: it is a number,
// or empty, or such words too. What has a word that is not in the list may mean
// anything ("not sent", "to be sent").
func saysSent(o providers.Object) bool {
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

// word returns what a row says instead of sent, if it is words only, so that a
// result's code never repeats a number.
func word(o providers.Object) string {
	for _, name := range [...]string{"statusCode", "statusMessage"} {
		said, _ := text(o, name)
		if said != "" && len(said) <= 64 && strings.Trim(said, letters+" _-") == "" {
			return said
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
