package kobo

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// answers maps the gateway's error codes to their meaning for the whole call. The gateway answers with
// HTTP 200 even for errors.
var answers = map[string]providers.Error{
	// Documented on https://kobomobile.net/developer: a parameter is missing or invalid. Apart from
	// the numbers, only the text may differ between the calls of a campaign. So the Scope is Text.
	"error_param":  {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
	"error_credit": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
	// The vendor's page says that this error is usually temporary.
	"error_billing": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseBilling},
	// According to the vendor's page, the vendor's gateway is down, busy or not responding. Another
	// gateway, behind the vendor's gateway, may have started to send. So the next attempt must use
	// the same idempotency key.
	"error_gw":   {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, KeepKey: true},
	"error_user": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
	// The call has more than 500 recipients. KoboMobile is a white label of another product, which
	// also answers error_limit for one invalid number in the list. So the Scope is Call, and the
	// worker then searches for that number.
	"error_limit": {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},

	// These codes are not on the vendor's page, but public programs handle them.
	"error_number":              {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},
	"error_restricted_senderid": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	"error_msgid":               {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	"error_user_id":             {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
}

// These are the reasons of recipients that are Unknown although the call was answered.
const (
	reasonMissing = "not_in_reply"
	reasonNoID    = "not_understood" // the reply names the recipient, but without a valid message ID
)

// parseAnswer parses the body of a 2xx answer to a call to the given recipients. It returns one
// result for each recipient, or one error for the whole call. The caller sets the error's Op. If
// parseAnswer does not understand the body, both results are nil.
func parseAnswer(body []byte, recipients []sms.MSISDN) ([]providers.Result, *providers.Error) {
	if acceptsAll(body) {
		results := make([]providers.Result, len(recipients))
		for i := range results {
			results[i].Outcome = providers.Accepted
		}
		return results, nil
	}
	body = unquote(body)
	if e := refusal(body); e != nil {
		return nil, e
	}
	return parseIDs(string(body), recipients), nil
}

// acceptsAll reports whether a body is the word with which the gateway accepts a whole call without
// naming its recipients.
func acceptsAll(body []byte) bool { return string(unquote(body)) == "sent" }

// refusal returns the error for an error code. The error is Unknown for a code that is not in the table
// "answers". If the body is not an error code, refusal returns nil.
func refusal(body []byte) *providers.Error {
	if _, known := answers[string(body)]; known {
		e := answers[string(body)] // this copy is allocated on the heap, so make it only for an error
		e.Code = string(body)
		return &e
	}
	if len(body) <= maxWord && errorWord(string(body)) != "" {
		return &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: string(body)}
	}
	return nil
}

// unquote removes white space and one pair of JSON quotes. According to the vendor's page replies
// are JSON, but the examples on that page are plain text.
func unquote(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if len(body) >= 2 && body[0] == '"' && body[len(body)-1] == '"' {
		body = bytes.TrimSpace(body[1 : len(body)-1])
	}
	return body
}

// parseIDs parses "number,id~number,id", in any order. A recipient is Accepted if every entry with
// its number has a valid message ID. Otherwise the recipient is Unknown. parseIDs returns nil if
// the text names no recipient of the call.
func parseIDs(text string, recipients []sms.MSISDN) []providers.Result {
	results := make([]providers.Result, len(recipients))
	var index map[sms.MSISDN]int // built only if the order in the reply differs from the order in the call
	named, next := false, 0
	for entry, more := "", true; more; {
		entry, text, more = strings.Cut(text, "~")
		number, id, ok := cutEntry(entry)
		if !ok {
			continue
		}
		i := next
		if i >= len(recipients) || recipients[i] != number {
			if index == nil {
				index = make(map[sms.MSISDN]int, len(recipients))
				for at, n := range recipients {
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
		case !isMessageID(id) || isRecipient(id, recipients):
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

// cutEntry splits "number,id" and removes white space around the number and around the ID.
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

// isMessageID reports whether s has the form of the message IDs on the vendor's page: a UUID, or a
// short text like "4b1d777e". The text s must consist of 8 to 64 letters, digits, - and _, and
// must not begin with "err". It must also contain a digit, or consist only of hexadecimal letters
// and dashes.
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

// These are classes of characters in a message ID. Hexadecimal letters and dashes do not belong to
// any class. The lookup table is faster than comparisons, because a processor cannot predict
// branches on random characters.
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

// isRecipient reports whether the ID equals the number of one of the call's recipients. A reply
// that only repeats the list of numbers does not prove that a message was accepted.
func isRecipient(id string, recipients []sms.MSISDN) bool {
	if len(id) > 15 || strings.Trim(id, "0123456789") != "" {
		return false // most message IDs contain other characters, and for them ParseUint would allocate an error
	}
	number, err := strconv.ParseUint(id, 10, 64)
	return err == nil && slices.Contains(recipients, sms.MSISDN(number))
}

// maxWord is the maximum length of an error code in bytes. Every known error code is shorter.
const maxWord = 64

// errorWord returns the text s if s has the form of the gateway's error codes, and "" otherwise. So a
// result's Code never contains a phone number or a message.
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
