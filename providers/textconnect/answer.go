package textconnect

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// code is one of the gateway's, and what it says of a send.
type code struct {
	outcome providers.Outcome
	scope   providers.Scope
	cause   providers.Cause
	reason  string // of a recipient
	text    string // the page's
	// elsewhere: it speaks of other actions and can say nothing of a send.
	elsewhere bool
}

func account(cause providers.Cause, text string) code {
	return code{outcome: providers.Retryable, scope: providers.Account, cause: cause, reason: string(cause), text: text}
}

func campaign(text string) code {
	return code{outcome: providers.Rejected, scope: providers.Campaign, cause: providers.CauseRefused, reason: string(providers.CauseRefused), text: text}
}

func recipient(reason, text string) code {
	return code{outcome: providers.Rejected, scope: providers.Recipient, reason: reason, text: text}
}

// doubtful codes may come after messages have gone out.
func doubtful(text string) code {
	return code{outcome: providers.Unknown, scope: providers.Call, cause: providers.CauseGateway, reason: reasonGateway, text: text}
}

func elsewhere(text string) code {
	return code{
		outcome: providers.Unknown, scope: providers.Call, cause: providers.CauseNotUnderstood, reason: reasonNotUnderstood, text: text, elsewhere: true,
	}
}

// codes are the page's "Error Codes", and judged here.
var codes = map[int]code{
	-100: account(providers.CauseCredit, "Not Enough Credits"),
	-101: account(providers.CauseCredit, "Invalid CreditID"),

	-200: recipient("invalid_number", "Invalid Contact"),

	-300: doubtful("General Database Error"),
	-301: doubtful("Unknown Error"),
	-302: doubtful("Return XML Error"),
	-303: doubtful("Received XML Error"),
	-400: doubtful("Some numbers in list failed"), // and some have not

	-401: recipient("invalid_number", "Invalid Destination Address"),
	-402: campaign("Invalid Source Address – Alphanumeric too long"),
	-403: campaign("Invalid Source Address – Invalid Number"),
	-404: campaign("Blank Body"),
	-405: campaign("Invalid Validity Period"),
	-406: recipient("no_route", "No Route Available"), // another account may have one
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
	-507:    campaign("Invalid/Missing Details"),
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
	-519:    campaign("Blank Message Body"),
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
	// untilTomorrow is how long a number that has had its share of a day is left
	// alone. When the gateway's day ends is not documented; a whole one is enough.
	untilTomorrow = 24 * time.Hour
)

// The reasons a recipient of an answered call is Unknown.
const (
	reasonNotUnderstood = "not_understood"
	reasonGateway       = "gateway_error" // an error after which the message may be on its way
)

// judge returns what a code says of a send. One that nobody has heard of says nothing.
func judge(n int) code {
	if c, ok := codes[n]; ok {
		return c
	}
	return elsewhere("")
}

// parseSend says what the body of a 2xx means for a send to these numbers: one
// result for each, or a verdict on all of them (without Op), or neither, if nothing
// of it is understood. It has no effects.
func parseSend(body []byte, to []sms.MSISDN, allIDs bool) ([]providers.Result, *providers.Error) {
	line := firstLine(body)
	if n, ok := parseCode(line); ok {
		return oneCode(n, len(to))
	}
	count := strings.Count(line, ",") + 1
	if allIDs && len(to) == 1 && count > 1 {
		return parseParts(line, to)
	}
	if count != len(to) {
		return nil, nil // whose entry is missing, or too many, nobody can tell
	}
	results := make([]providers.Result, 0, count)
	seen := make(map[string]int, count)
	understood := false
	for entry := range strings.SplitSeq(line, ",") {
		r := parseEntry(strings.TrimSpace(entry), to)
		understood = understood || r.Outcome != providers.Unknown || r.Code != ""
		if r.MessageID != "" {
			if first, twice := seen[r.MessageID]; twice { // one message is not two
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

// oneCode is for an answer that is nothing but a code: the whole call's, and the
// recipient's if there is only one.
func oneCode(n, recipients int) ([]providers.Result, *providers.Error) {
	c := judge(n)
	if c.scope != providers.Recipient {
		return nil, c.verdict(n)
	}
	if recipients == 1 {
		return []providers.Result{c.result(n)}, nil
	}
	// Which of them it means is not said, and none was sent.
	return nil, &providers.Error{
		Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Code: strconv.Itoa(n), Err: c.err(),
	}
}

// parseParts reads the ids of one message's parts and keeps the first. If not all of
// them went, some may have.
func parseParts(line string, to []sms.MSISDN) ([]providers.Result, *providers.Error) {
	const mostParts = 7 // 459 characters of 67
	var parts []providers.Result
	for entry := range strings.SplitSeq(line, ",") {
		r := parseEntry(strings.TrimSpace(entry), to)
		if len(parts) == mostParts || r.Outcome != providers.Accepted ||
			slices.ContainsFunc(parts, func(p providers.Result) bool { return p.MessageID == r.MessageID }) {
			return nil, nil
		}
		parts = append(parts, r)
	}
	return parts[:1], nil
}

// parseEntry reads what stands at one number's position.
func parseEntry(entry string, to []sms.MSISDN) providers.Result {
	if n, ok := parseCode(entry); ok {
		return judge(n).result(n)
	}
	if isID(entry) && !isRecipient(entry, to) {
		return providers.Result{Outcome: providers.Accepted, MessageID: entry}
	}
	return providers.Result{Reason: reasonNotUnderstood}
}

// result is what the code says when it stands at a recipient's position.
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

// verdict is what the code says of a whole send.
func (c code) verdict(n int) *providers.Error {
	return &providers.Error{Outcome: c.outcome, Scope: c.scope, Cause: c.cause, Code: strconv.Itoa(n), Err: c.err()}
}

func (c code) err() error {
	if c.text == "" {
		return nil
	}
	return errors.New(strings.ToLower(c.text))
}

// refused is the verdict on a reply to anything but a send to numbers that is not
// what was asked for: that of its code, if it is one. There a code that speaks of
// the account or of trouble at the gateway means the same, and every other one on
// the page that this request was refused.
func refused(op string, reply *providers.Reply) *providers.Error {
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

// refusal is the verdict on a request that is wrong before it is made.
func refusal(op, what string) *providers.Error {
	return &providers.Error{Op: op, Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Err: errors.New(what)}
}

// firstLine returns the first line of an answer that says anything.
func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	return string(bytes.TrimSpace(line))
}

// parseCode reads a code: a negative whole number, "-401".
func parseCode(text string) (int, bool) {
	const longest = len("-999999")
	if len(text) < 2 || len(text) > longest || text[0] != '-' || text[1] == '0' || strings.Trim(text[1:], "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// isID says whether s is like the ids the page shows ("3509592"): digits. Fewer than
// four are more likely a status, a count or the "1" of a send to a list.
func isID(s string) bool {
	return len(s) >= 4 && len(s) <= 18 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// isRecipient says whether an id is one of the call's numbers: a list of numbers
// that was only given back vouches for nothing.
func isRecipient(id string, to []sms.MSISDN) bool {
	const shortest = 7
	if len(id) < shortest {
		return false
	}
	number, ok := parseNumber(id)
	return ok && slices.Contains(to, number)
}

// parseNumber reads a number as the gateway writes it: international, digits only.
func parseNumber(s string) (sms.MSISDN, bool) {
	const maxDigits = 15 // E.164
	if s == "" || len(s) > maxDigits || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return sms.MSISDN(n), err == nil
}
