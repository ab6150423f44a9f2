package kobo

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// answers are the words with which the gateway refuses a request, and what each of
// them says of it. Replies come with HTTP 200, errors too.
var answers = map[string]providers.Error{
	// Documented.
	"error_param":  {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	"error_credit": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
	// "Usually a temporary error message."
	"error_billing": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseBilling},
	// "Down, busy or not responding": a gateway behind theirs may have begun, so the same key again.
	"error_gw":   {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, KeepKey: true},
	"error_user": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// Over 500 numbers; the product it is a white label of also says so for one
	// invalid number in the list. The call's scope, so that the worker looks for that number.
	"error_limit": {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},

	// Seen in public code.
	"error_number":              {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},
	"error_restricted_senderid": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	"error_msgid":               {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	"error_user_id":             {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
}

// The reasons a recipient of an answered call is Unknown.
const (
	reasonMissing = "not_in_reply"
	reasonNoID    = "not_understood" // named, but with something that is no message id
)

// parseAnswer says what the body of a 2xx means for a call to these numbers: one
// result for each, or a verdict on all of them (without Op), or neither, if
// nothing of it is understood. It has no effects.
func parseAnswer(body []byte, to []sms.MSISDN) ([]providers.Result, *providers.Error) {
	body = unquote(body)
	if string(body) == "sent" {
		results := make([]providers.Result, len(to))
		for i := range results {
			results[i].Outcome = providers.Accepted
		}
		return results, nil
	}
	if e := refusal(body); e != nil {
		return nil, e
	}
	return parseIDs(string(body), to), nil
}

// refusal returns the verdict of an error word: Unknown for one that nobody has
// documented, and nil for what is no such word.
func refusal(body []byte) *providers.Error {
	if _, known := answers[string(body)]; known {
		e := answers[string(body)] // a copy, made only now, since it moves to the heap
		e.Code = string(body)
		return &e
	}
	if len(body) <= maxWord && errorWord(string(body)) != "" {
		return &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: string(body)}
	}
	return nil
}

// unquote cuts white space and one pair of JSON quotes: the page says replies are
// JSON, its examples are plain text.
func unquote(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if len(body) >= 2 && body[0] == '"' && body[len(body)-1] == '"' {
		body = bytes.TrimSpace(body[1 : len(body)-1])
	}
	return body
}

// parseIDs reads "number,id~number,id". Only a number that was asked for and stands
// beside an id is Accepted, in whatever order; a number that stands beside something
// else even once is not. It returns nil if no number of the call is named at all.
func parseIDs(text string, to []sms.MSISDN) []providers.Result {
	results := make([]providers.Result, len(to))
	var index map[sms.MSISDN]int // only for a reply out of order
	named, next := false, 0
	for entry, more := "", true; more; {
		entry, text, more = strings.Cut(text, "~")
		number, id, ok := cutEntry(entry)
		if !ok {
			continue
		}
		i := next
		if i >= len(to) || to[i] != number {
			if index == nil {
				index = make(map[sms.MSISDN]int, len(to))
				for at, n := range to {
					index[n] = at
				}
			}
			if i, ok = index[number]; !ok {
				continue
			}
		}
		named, next = true, i+1
		switch r := &results[i]; {
		case r.Reason != "":
		case !isMessageID(id) || isRecipient(id, to):
			*r = providers.Result{Reason: reasonNoID, Code: errorWord(id)}
		case r.Outcome == providers.Unknown:
			r.Outcome, r.MessageID = providers.Accepted, id
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

// cutEntry cuts "number,id", with white space around either.
func cutEntry(entry string) (number sms.MSISDN, id string, ok bool) {
	const maxDigits = 15 // E.164
	entry = strings.TrimSpace(entry)
	digits := 0
	for digits < len(entry) && digits <= maxDigits && '0' <= entry[digits] && entry[digits] <= '9' {
		number = number*10 + sms.MSISDN(entry[digits]-'0')
		digits++
	}
	if digits == 0 || digits > maxDigits || entry[0] == '0' {
		return 0, "", false
	}
	rest := entry[digits:]
	if !strings.HasPrefix(rest, ",") {
		if rest = strings.TrimLeft(rest, " \t"); !strings.HasPrefix(rest, ",") {
			return 0, "", false
		}
	}
	return number, strings.TrimSpace(rest[1:]), true
}

// isMessageID says whether s is like the ids the page shows (a UUID, "4b1d777e"):
// 8 to 64 letters, digits, - and _, with a digit or all hexadecimal, and no word
// that begins like an error.
func isMessageID(s string) bool {
	if len(s) < 8 || len(s) > 64 || strings.EqualFold(s[:3], "err") {
		return false
	}
	var seen byte
	for i := range len(s) {
		seen |= signs[s[i]]
	}
	return seen&signBad == 0 && (seen&signDigit != 0 || seen&signNotHex == 0)
}

// What a sign of a message id can be, besides a hexadecimal letter or a dash. A
// table, since a comparison of random digits is one that processors cannot guess.
const (
	signDigit byte = 1 << iota
	signNotHex
	signBad
)

var signs = func() (table [256]byte) {
	for c := range table {
		switch {
		case '0' <= c && c <= '9':
			table[c] = signDigit
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == '-':
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			table[c] = signNotHex
		default:
			table[c] = signBad
		}
	}
	return table
}()

// isRecipient says whether an id is one of the call's numbers: a list of numbers
// that was only given back vouches for nothing.
func isRecipient(id string, to []sms.MSISDN) bool {
	if len(id) > 15 || strings.Trim(id, "0123456789") != "" {
		return false // nearly always, and without ParseUint's error value for each id
	}
	number, err := strconv.ParseUint(id, 10, 64)
	return err == nil && slices.Contains(to, sms.MSISDN(number))
}

// maxWord is longer than any error word.
const maxWord = 64

// errorWord returns s if it is one of the gateway's error words or like one, so
// that a result's code never repeats a number or a text.
func errorWord(s string) string {
	if len(s) > maxWord || !strings.HasPrefix(s, "error") {
		return ""
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return ""
		}
	}
	return s
}
