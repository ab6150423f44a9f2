package textconnect

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// code is the meaning of one of the gateway's error codes in the answer to a send.
type code struct {
	outcome providers.Outcome
	scope   providers.Scope
	cause   providers.Cause
	reason  string // the Result.Reason of a recipient with this code
	text    string // the description on the vendor's page
	// elsewhere is true if the code belongs only to other actions, so that the code has no meaning for a
	// send.
	elsewhere bool
}

func account(cause providers.Cause, text string) code {
	return code{outcome: providers.Retryable, scope: providers.Account, cause: cause, reason: string(cause), text: text}
}

func campaign(text string) code {
	return code{outcome: providers.Rejected, scope: providers.Campaign, cause: providers.CauseRefused, reason: string(providers.CauseRefused), text: text}
}

// inText returns a code about the text of a message.
func inText(text string) code {
	c := campaign(text)
	c.scope = providers.Text
	return c
}

func recipient(reason, text string) code {
	return code{outcome: providers.Rejected, scope: providers.Recipient, reason: reason, text: text}
}

// The function "doubtful" returns a code that the gateway may return even if it has sent messages.
func doubtful(text string) code {
	return code{outcome: providers.Unknown, scope: providers.Call, cause: providers.CauseGateway, reason: reasonGateway, text: text}
}

func elsewhere(text string) code {
	return code{
		outcome: providers.Unknown, scope: providers.Call, cause: providers.CauseNotUnderstood, reason: reasonNotUnderstood, text: text, elsewhere: true,
	}
}

// The map "codes" has the error codes of the vendor's table "Error Codes", with their meanings. This package
// chose the outcomes, scopes and causes.
var codes = map[int]code{
	-100: account(providers.CauseCredit, "Not Enough Credits"),
	-101: account(providers.CauseCredit, "Invalid CreditID"),

	-200: recipient("invalid_number", "Invalid Contact"),

	-300: doubtful("General Database Error"),
	-301: doubtful("Unknown Error"),
	-302: doubtful("Return XML Error"),
	-303: doubtful("Received XML Error"),
	-400: doubtful("Some numbers in list failed"), // the gateway has sent the messages to the numbers that did not fail

	-401: recipient("invalid_number", "Invalid Destination Address"),
	-402: campaign("Invalid Source Address – Alphanumeric too long"),
	-403: campaign("Invalid Source Address – Invalid Number"),
	-404: inText("Blank Body"),
	-405: campaign("Invalid Validity Period"),
	-406: recipient("no_route", "No Route Available"), // another account may have a route to the recipient
	-407: campaign("Invalid Schedule Date"),
	-408: campaign("Distribution List is Empty"),
	-409: campaign("Group is Empty"),
	-410: campaign("Invalid Distribution List"),
	dailyCap: {
		outcome: providers.Retryable, scope: providers.Recipient, reason: "daily_cap",
		text: "You have exceeded the limit of messages you can send in a single day to a single number",
	},
	-412: recipient(providers.ReasonBlacklisted, "Number is blacklisted"),
	-414: campaign("Invalid Group"),

	-501:    account(providers.CauseCredentials, "Unknown Username/Password"),
	-502:    campaign("Unknown Action"),
	-503:    elsewhere("Unknown Message ID"),
	-504:    elsewhere("Invalid From Timestamp"),
	-505:    elsewhere("Invalid To Timestamp"),
	-506:    campaign("Source Address Not Allowed (Email2SMS)"),
	-507:    inText("Invalid/Missing Details"),
	-508:    elsewhere("Error Creating User"),
	-509:    elsewhere("Unknown/Invalid User"),
	-510:    elsewhere("You cannot set a user’s credits to be less than 0"),
	-511:    account(providers.CauseGateway, "The system is down for maintenance"),
	-512:    account(providers.CauseCredentials, "User Suspended"),
	-513:    account(providers.CauseGateway, "License in use"),
	-514:    account(providers.CauseCredentials, "License expired"),
	-515:    account(providers.CauseCredentials, "No License available"),
	-516:    campaign("Unknown List"),
	-517:    elsewhere("Unable to create List"),
	-518:    campaign("Blank or Invalid Source Address"),
	-519:    inText("Blank Message Body"),
	-520:    campaign("Unknown Group"),
	-521:    elsewhere("Unknown Background Send ID"),
	notDone: elsewhere("Background Send Not Finished"),
	-523:    elsewhere("No messages were found"),

	-601: elsewhere("Unknown Report Type"),

	-701: elsewhere("No UserID Specified"),
	-702: elsewhere("Invalid Amount Specified"),
	-703: elsewhere("Invalid Currency Requested"),
}

const (
	dailyCap = -411
	notDone  = -522
	// untilTomorrow is the wait before the next message to a recipient that has reached the daily limit.
	// The vendor's page does not state when the gateway's day ends, but 24 hours are always enough.
	untilTomorrow = 24 * time.Hour
)

// These are the reasons of recipients that are Unknown although the call was answered.
const (
	reasonNotUnderstood = "not_understood"
	reasonGateway       = "gateway_error" // an error after which the message may have been sent
)

// The function "judge" returns the meaning of a code for a send. If a code is not on the vendor's page,
// the outcome is Unknown.
func judge(n int) code {
	if c, ok := codes[n]; ok {
		return c
	}
	return elsewhere("")
}

// parseSend parses the body of a 2xx answer to a send to the given recipients. It returns one
// result for each recipient, or one error for the whole call. The caller sets the error's Op. If
// parseSend does not understand the body, both results are nil.
func parseSend(body []byte, recipients []sms.MSISDN, allIDs bool) ([]providers.Result, *providers.Error) {
	line := firstLine(body)
	if n, ok := parseCode(line); ok {
		return oneCode(n, len(recipients))
	}
	count := strings.Count(line, ",") + 1
	if allIDs && len(recipients) == 1 && count > 1 {
		return parseParts(line, recipients)
	}
	if count != len(recipients) {
		return nil, nil // it is not known to which recipients the entries belong
	}
	results := make([]providers.Result, 0, count)
	seen := make(map[string]int, count)
	understood := false
	for entry := range strings.SplitSeq(line, ",") {
		r := parseEntry(strings.TrimSpace(entry), recipients)
		understood = understood || r.Outcome != providers.Unknown || r.Code != ""
		if r.MessageID != "" {
			if first, twice := seen[r.MessageID]; twice { // two recipients have the same ID, so both are Unknown
				results[first] = providers.Result{Reason: reasonNotUnderstood}
				r = results[first]
			} else {
				seen[r.MessageID] = len(results)
			}
		}
		results = append(results, r)
	}
	if !understood {
		return nil, nil
	}
	return results, nil
}

// oneCode returns the meaning of an answer that is only a code. In a call to a single recipient the
// code applies to that recipient, and otherwise to the whole call.
func oneCode(n, recipients int) ([]providers.Result, *providers.Error) {
	c := judge(n)
	if c.scope != providers.Recipient {
		return nil, c.verdict(n)
	}
	if recipients == 1 {
		return []providers.Result{c.result(n)}, nil
	}
	// The code applies to one of the recipients, but the answer does not show to which recipient. No
	// message was sent.
	return nil, &providers.Error{
		Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Code: strconv.Itoa(n), Err: c.err(),
	}
}

// parseParts parses the IDs of one message's segments into one result. If an entry is not a valid ID, or
// if it repeats an earlier ID, both results are nil. The outcome is then Unknown, because the gateway
// may have sent some segments.
func parseParts(line string, recipients []sms.MSISDN) ([]providers.Result, *providers.Error) {
	const mostParts = 7 // 459 characters at 67 a segment
	var parts []providers.Result
	for entry := range strings.SplitSeq(line, ",") {
		r := parseEntry(strings.TrimSpace(entry), recipients)
		if len(parts) == mostParts || r.Outcome != providers.Accepted ||
			slices.ContainsFunc(parts, func(p providers.Result) bool { return p.MessageID == r.MessageID }) {
			return nil, nil
		}
		parts = append(parts, r)
	}
	for _, part := range parts[1:] {
		parts[0].SegmentIDs += "," + part.MessageID
	}
	parts[0].SegmentIDs = strings.TrimPrefix(parts[0].SegmentIDs, ",")
	return parts[:1], nil
}

// parseEntry parses a recipient's entry of an answer. The entry is a code or a message ID.
func parseEntry(entry string, recipients []sms.MSISDN) providers.Result {
	if n, ok := parseCode(entry); ok {
		return judge(n).result(n)
	}
	if isID(entry) && !isRecipient(entry, recipients) {
		return providers.Result{Outcome: providers.Accepted, MessageID: entry}
	}
	return providers.Result{Reason: reasonNotUnderstood}
}

// The method "result" returns the result of a recipient whose entry in the answer is the code n.
func (c code) result(n int) providers.Result {
	r := providers.Result{Outcome: c.outcome, Scope: c.scope, Cause: c.cause, Reason: c.reason, Code: strconv.Itoa(n)}
	if c.outcome == providers.Unknown {
		r.Scope, r.Cause = providers.Recipient, ""
	}
	if n == dailyCap {
		r.RetryAfter = untilTomorrow
	}
	return r
}

// verdict returns the error for a whole send that was answered with the code n.
func (c code) verdict(n int) *providers.Error {
	return &providers.Error{Outcome: c.outcome, Scope: c.scope, Cause: c.cause, Code: strconv.Itoa(n), Err: c.err()}
}

func (c code) err() error {
	if c.text == "" {
		return nil
	}
	return errors.New(strings.ToLower(c.text))
}

// The function "refused" returns the error for a reply that does not contain the requested data.
// Every action except Send uses this function. A code about the account, or about a problem at the
// gateway, has the same meaning as for Send. Every other code on the vendor's page means that the
// gateway refused the request. For a reply that is not a code, the error is NotUnderstood.
func refused(op string, reply *httpclient.Reply) *providers.Error {
	n, ok := parseCode(firstLine(reply.Body))
	if !ok {
		return reply.NotUnderstood(op)
	}
	return verdictOn(op, n)
}

func verdictOn(op string, n int) *providers.Error {
	c := judge(n)
	e := c.verdict(n)
	e.Op = op
	_, known := codes[n]
	if known && e.Scope != providers.Account && e.Cause != providers.CauseGateway {
		e.Outcome, e.Scope, e.Cause = providers.Rejected, providers.Call, providers.CauseRefused
	}
	return e
}

// refusal returns the error for invalid parameters. The caller has made no request with them.
func refusal(op, reason string) *providers.Error {
	return &providers.Error{Op: op, Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Err: errors.New(reason)}
}

// firstLine returns the first non-blank line of an answer.
func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	return string(bytes.TrimSpace(line))
}

// parseCode parses a code, which is a negative whole number ("-401").
func parseCode(text string) (int, bool) {
	const longest = len("-999999")
	if len(text) < 2 || len(text) > longest || text[0] != '-' || text[1] == '0' || strings.Trim(text[1:], "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// isID reports whether s has the form of the message IDs on the vendor's page ("3509592"): 4 to 18
// digits. A number with fewer digits is more likely a status, a count or the "1" that answers a
// send to a list.
func isID(s string) bool {
	return len(s) >= 4 && len(s) <= 18 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// isRecipient reports whether the ID equals the number of one of the call's recipients. A reply
// that only repeats the list of numbers does not prove that a message was accepted.
func isRecipient(id string, recipients []sms.MSISDN) bool {
	const shortest = 7
	if len(id) < shortest {
		return false
	}
	number, ok := parseNumber(id)
	return ok && slices.Contains(recipients, number)
}

// parseNumber parses a number in the gateway's form. This is the international form, digits only.
func parseNumber(s string) (sms.MSISDN, bool) {
	const maxDigits = 15 // E.164
	if s == "" || len(s) > maxDigits || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return sms.MSISDN(n), err == nil
}
