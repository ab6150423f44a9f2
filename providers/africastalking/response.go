package africastalking

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// The type "word" has the gateway's name for a status code, and the meaning of that code.
type word struct {
	name string
	providers.Result
}

// codes maps the values of a recipient's statusCode to their meaning. The codes are from the
// vendor's page, unless a comment names another source.
var codes = map[int]word{
	100: {"Processed", providers.Result{Outcome: providers.Accepted}},
	101: {"Sent", providers.Result{Outcome: providers.Accepted}},
	102: {"Queued", providers.Result{Outcome: providers.Accepted}},
	// The vendor's page does not explain RiskHold. The name is about the traffic and not about the recipient.
	// So the code pauses the campaign, and no recipient gets a final status.
	401: {"RiskHold", providers.Result{
		Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "risk_hold",
	}},
	// The gateway gives this code for each recipient, but the cause is the sender ID. Every other
	// recipient would get the same code.
	402: {wordSender, providers.Result{
		Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "invalid_sender",
	}},
	403: {"InvalidPhoneNumber", rejected("invalid_number")},
	404: {"UnsupportedNumberType", rejected("unsupported_number")},
	405: {wordBalance, providers.Result{
		Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Reason: "no_credit",
	}},
	406: {"UserInBlackList", rejected(providers.ReasonBlacklisted)},
	407: {"CouldNotRoute", rejected("no_route")},
	// The recipient is on Nigeria's do-not-disturb list, or Nigeria has quiet hours at the moment (from public
	// sources). See deferQuiet.
	409: {"DoNotDisturbRejection", rejected(reasonDoNotDisturb)},
	// This package assumes that with these codes nothing was sent to the recipient. So a worker may send to
	// the recipient again.
	500: {"InternalServerError", providers.Result{Outcome: providers.Retryable, Reason: "gateway_error"}},
	501: {"GatewayError", providers.Result{Outcome: providers.Retryable, Reason: "gateway_error"}},
	502: {"RejectedByGateway", rejected("rejected_by_gateway")},
}

// These are the gateway's names for the codes 402 and 405. If the gateway refuses a whole call for one of
// these reasons, the reply has no recipients, and the name is in its field Message.
const (
	wordSender  = "InvalidSenderId"
	wordBalance = "InsufficientBalance"
)

// wordNotSent is a status of recipients in the replies of 2016, which had no status codes (from public
// sources). A recipient with this status had no message ID and no cost.
const wordNotSent = "Could Not Send"

func rejected(reason string) providers.Result {
	return providers.Result{Outcome: providers.Rejected, Reason: reason}
}

// words maps the values of a recipient's status to their meaning. The values are in lower case,
// because public code writes some of them with different capitals. On the vendor's page, every
// recipient with an accepting code has the status "Success".
var words = func() map[string]providers.Result {
	words := map[string]providers.Result{"success": {Outcome: providers.Accepted}, strings.ToLower(wordNotSent): rejected("could_not_send")}
	for _, w := range codes {
		words[strings.ToLower(w.name)] = w.Result
	}
	for state, report := range states { // a refused recipient may have a status that DLRs use for an undelivered message
		if name := strings.ToLower(state); report.Final && !report.Delivered {
			words[name] = rejected(name)
		}
	}
	return words
}()

// These are the reasons of recipients that are Unknown although the call was answered.
const (
	reasonMissing = "not_in_reply"
	reasonUnclear = "not_understood" // the reply names the recipient, but with a missing, unknown or contradictory status
)

// entry holds the fields of one recipient, as written in the reply.
type entry struct {
	number, code, status, id, cost string
	// The field "unclear" is true if the code or the status appears twice in the reply, or has the wrong type.
	unclear bool
}

// parseAnswer parses the body of a 2xx answer to a call to the given recipients. It returns one
// result for each recipient, or one error for the whole call. The caller sets the error's Op. If
// parseAnswer does not understand the body, both results are nil.
func parseAnswer(body []byte, recipients []sms.MSISDN) ([]providers.Result, *providers.Error) {
	body = bytes.TrimSpace(body)
	read := readJSON
	if bytes.HasPrefix(body, []byte("<")) {
		read = readXML
	}
	message, entries, ok := read(body)
	switch {
	case !ok:
		return nil, nil
	case len(entries) == 0:
		return nil, refusal(strings.TrimSpace(message))
	}
	return match(entries, recipients), nil
}

// refusal returns the error for a reply that has a message but no recipients. If the message is
// wordSender or wordBalance, the gateway has not taken the call. If the message is another key of
// the map "words", the outcome is Unknown. For any other text, refusal returns nil, because the
// text must not appear in an error.
func refusal(message string) *providers.Error {
	_, known := words[strings.ToLower(message)]
	switch {
	case strings.EqualFold(message, wordSender):
		return &providers.Error{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: message}
	case strings.EqualFold(message, wordBalance):
		return &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: message}
	case known:
		return &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: message}
	}
	return nil
}

// match returns one result for each recipient of the call. The reply lists recipients in any order.
// If the reply lists none of the call's recipients, match returns nil.
func match(entries []entry, recipients []sms.MSISDN) []providers.Result {
	index := make(map[sms.MSISDN]int, len(recipients))
	for i, number := range recipients {
		index[number] = i
	}
	results := make([]providers.Result, len(recipients))
	for i := range results {
		results[i].Reason = reasonMissing
	}
	named := false
	for _, e := range entries {
		number, ok := parseNumber(e.number)
		i, asked := index[number]
		if !ok || !asked {
			continue
		}
		named = true
		r, said := &results[i], e.result()
		switch {
		case r.Reason == reasonMissing:
			*r = said
		case r.Outcome != said.Outcome || r.Reason != said.Reason:
			*r = providers.Result{Reason: reasonUnclear}
		}
	}
	if !named {
		return nil
	}
	return results
}

// result returns the result for one recipient. The recipient's statusCode determines the result. If
// the recipient's status contradicts that code, the result is Unknown.
func (e entry) result() providers.Result {
	r := providers.Result{Reason: reasonUnclear}
	text := strings.TrimSpace(e.code)
	if text == "" && !e.unclear {
		return e.resultByStatus()
	}
	code, err := strconv.ParseUint(text, 10, 16)
	if e.unclear || err != nil || text != strconv.FormatUint(code, 10) {
		return r
	}
	if known, ok := codes[int(code)]; ok && known.agrees(e.status) {
		r = known.Result
	}
	if r.Outcome != providers.Accepted {
		r.Code = text
	}
	r.MessageID = messageID(e.id)
	r.Cost, r.Currency, _ = httpclient.ParseMoney(e.cost)
	return r
}

// resultByStatus returns the result for a recipient without a statusCode. Replies of 2016 had only the
// status (from public sources). An accepted recipient has a message ID, and a refused recipient has no
// message ID. If the status and the ID contradict each other, the result is Unknown.
func (e entry) resultByStatus() providers.Result {
	status, id := strings.TrimSpace(e.status), messageID(e.id)
	r, known := words[strings.ToLower(status)]
	if !known || (r.Outcome == providers.Accepted) != (id != "") {
		return providers.Result{Reason: reasonUnclear}
	}
	if r.Outcome != providers.Accepted {
		r.Code = status
	}
	r.MessageID = id
	r.Cost, r.Currency, _ = httpclient.ParseMoney(e.cost)
	return r
}

// agrees reports whether a recipient's status is consistent with a code whose meaning is w. A status is
// consistent if it is empty or unknown, or has the same outcome and scope as w.
func (w word) agrees(status string) bool {
	said, known := words[strings.ToLower(strings.TrimSpace(status))]
	return !known || said.Outcome == w.Outcome && said.Scope == w.Scope
}

// longestID is the maximum length in bytes of an ID or name. The gateway's IDs and names are
// shorter.
const longestID = 128

// messageID returns the parameter "text" if that is a message ID. It returns "" for "None",
// which the gateway writes instead of a missing ID (from public sources). It also returns "" for
// a text that is too long or has spaces or non-ASCII characters.
func messageID(text string) string {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "None") || len(text) > longestID || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return normalID(text)
}

// A message ID of the gateway has the prefix idPrefix, followed by idDigits hex digits (from the vendor's
// documentation page).
const (
	idPrefix = "ATXid_"
	idDigits = 32
	// fewestDigits is the smallest number of digits in an ID that may have lost its leading zeros.
	fewestDigits = 16
)

// normalID returns the form in which message IDs are compared. The gateway writes an ID as idPrefix and idDigits
// lower-case hex digits. In practice, reports of other gateways came with IDs in another case or without their
// leading zeros (Jasmin's issues 586 and 663), so normalID reverses both changes. It returns every other text
// unchanged.
func normalID(text string) string {
	if len(text) <= len(idPrefix) || !strings.EqualFold(text[:len(idPrefix)], idPrefix) {
		return text
	}
	digits := strings.ToLower(text[len(idPrefix):])
	if len(digits) < fewestDigits || len(digits) > idDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return text
	}
	return idPrefix + strings.Repeat("0", idDigits-len(digits)) + digits
}

// parseNumber parses "+254711000001". The plus is optional, because in a form an unescaped plus is
// read as a space.
func parseNumber(text string) (sms.MSISDN, bool) {
	const least, most = 7, 15 // E.164
	digits := strings.TrimPrefix(strings.TrimSpace(text), "+")
	if len(digits) < least || len(digits) > most || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return sms.MSISDN(n), err == nil
}
