package connectmedia

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// These are the reasons of recipients whose outcome is uncertain after the reply to the call.
const (
	reasonNotInReply    = "not_in_reply"
	reasonNotUnderstood = "not_understood"
)

// parseCurrentAnswer parses the reply of the current API to a send to the given recipients. It
// returns a result for each recipient, or an error for the call. The caller sets the error's Op. If
// parseCurrentAnswer does not understand the reply, both results are nil.
//
// Code 201 accepts the call. The vendor's own clients treat any other code as the failure of the
// whole call. The object "data" may limit code 201 to some recipients (see parseMentions).
//
// Code 104 means invalid recipients. In a call with one number, that number is Rejected. In a larger
// call, the numbers that the object "data" names as invalid are Rejected. All other numbers are
// Unknown, because the vendor does not document whether the gateway has sent to them.
func parseCurrentAnswer(body []byte, to []sms.MSISDN) ([]providers.Result, *providers.Error) {
	o, _ := httpclient.ReadObject(body)
	code, _ := o.Text("code")
	if code != codeSent && code != codeInvalidNumber {
		return nil, refusal(code)
	}
	named, ok := parseMentions(o["data"], to)
	if !ok || code == codeSent && !named.vouchFor(len(to)) {
		return nil, nil
	}
	results := make([]providers.Result, len(to))
	for i, number := range to {
		switch {
		case named.invalid[number], code == codeInvalidNumber && len(to) == 1:
			results[i] = providers.Result{Outcome: providers.Rejected, Reason: "invalid_number", Code: codeInvalidNumber}
		case named.failed[number]:
			results[i] = providers.Result{Reason: reasonNotUnderstood, Code: code}
		case code == codeInvalidNumber:
			results[i] = providers.Result{Reason: reasonNotInReply, Code: code}
		default:
			results[i] = providers.Result{Outcome: providers.Accepted}
		}
	}
	return results, nil
}

// mentions has the information about the recipients of a call in the object "data" of the reply. The
// vendor's clients do not read this object, so its form is assumed. The assumptions can only make an
// outcome Unknown, or reject a number that the reply names as invalid. They never accept a recipient.
type mentions struct {
	// The map "invalid" has the numbers in lists whose name contains "invalid". The map "failed" has
	// the numbers in lists whose name contains one of failureWords.
	invalid, failed map[sms.MSISDN]bool
	// The field "lost" is the number of recipients that the gateway has refused. Its value is the largest
	// number in the object "data" whose name contains "invalid" or one of failureWords. It is 0 if no number
	// has such a name.
	lost int
	// The field "taken" is the number of recipients that the gateway has taken. Its value is the smallest
	// number in the object "data" whose name is one of takenNames. It is -1 if no number has such a name.
	taken int
}

var (
	failureWords = []string{"failed", "failure", "reject", "error", "skipped"}
	takenNames   = []string{"recipients", "sent", "queued", "accepted"}
)

// vouchFor reports whether the gateway has taken all recipients that are neither in n.invalid nor in
// n.failed. It compares n.lost and n.taken with these maps and with the number of recipients of the
// call.
func (n mentions) vouchFor(recipients int) bool {
	out := len(n.invalid) + len(n.failed)
	return n.lost <= out && (n.taken < 0 || n.taken+out >= recipients)
}

// parseMentions parses the member "data" of a reply to a call to the given recipients. If "data" is
// missing or is not an object, the result n has no information about the recipients. The result "ok" is
// false if a list of numbers has an entry that is not a recipient of the call.
func parseMentions(data json.RawMessage, to []sms.MSISDN) (n mentions, ok bool) {
	n = mentions{invalid: map[sms.MSISDN]bool{}, failed: map[sms.MSISDN]bool{}, taken: -1}
	o, _ := httpclient.ReadObject(data)
	for name := range o {
		word := strings.ToLower(name)
		set := n.failed
		switch {
		case strings.Contains(word, "invalid"):
			set = n.invalid
		case slices.ContainsFunc(failureWords, func(failure string) bool { return strings.Contains(word, failure) }):
		default:
			if count, isCount := countUnder(o, name); isCount && slices.Contains(takenNames, word) && (n.taken < 0 || count < n.taken) {
				n.taken = count
			}
			continue
		}
		if count, isCount := countUnder(o, name); isCount {
			n.lost = max(n.lost, count)
			continue
		}
		if !addNumbers(set, o, name, to) {
			return n, false
		}
	}
	return n, true
}

// countUnder returns the whole number under a name. An empty list, an empty text, null and false count as 0.
// The result "isCount" is false for any other value.
func countUnder(o httpclient.Object, name string) (count int, isCount bool) {
	switch string(o[name]) {
	case "null", "false", `""`, "[]", "{}":
		return 0, true
	}
	text, _ := o.Text(name)
	count, err := strconv.Atoi(text)
	return count, err == nil && count >= 0 && len(text) < len("1000000")
}

// addNumbers reads the value under a name and adds its numbers to the map "set". The value is a list of texts or
// whole numbers, or one text with numbers separated by commas. addNumbers returns false if an entry is not a
// recipient of the call.
func addNumbers(set map[sms.MSISDN]bool, o httpclient.Object, name string, to []sms.MSISDN) bool {
	var entries []string
	text, isText := o.Text(name)
	list, isList := o.List(name)
	switch {
	case isText:
		entries = strings.Split(text, ",")
	case !isList:
		return false
	}
	for _, raw := range list {
		entry, isText := httpclient.Object{"": raw}.Text("")
		if !isText {
			return false
		}
		entries = append(entries, entry)
	}
	for _, entry := range entries {
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(entry), "+"), 10, 64)
		if err != nil || !slices.Contains(to, sms.MSISDN(n)) {
			return false
		}
		set[sms.MSISDN(n)] = true
	}
	return true
}
