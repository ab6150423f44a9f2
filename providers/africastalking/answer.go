package africastalking

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// word is what the gateway calls a status code, and what it means.
type word struct {
	name string
	providers.Result
}

// codes are the values of a recipient's statusCode [page, unless marked].
var codes = map[int]word{
	100: {"Processed", providers.Result{Outcome: providers.Accepted}},
	101: {"Sent", providers.Result{Outcome: providers.Accepted}},
	102: {"Queued", providers.Result{Outcome: providers.Accepted}},
	401: {"RiskHold", rejected("risk_hold")},
	// It is said of each number, and will be of every other one: the sender's fault.
	402: {wordSender, providers.Result{
		Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "invalid_sender",
	}},
	403: {"InvalidPhoneNumber", rejected("invalid_number")},
	404: {"UnsupportedNumberType", rejected("unsupported_number")},
	405: {"InsufficientBalance", providers.Result{
		Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Reason: "no_credit",
	}},
	406: {"UserInBlackList", rejected(providers.ReasonBlacklisted)},
	407: {"CouldNotRoute", rejected("no_route")},
	409: {"DoNotDisturbRejection", rejected("do_not_disturb")}, // [public]: Nigeria's list, and its hours
	// Assumed: the gateway says of this number that it has not sent, so it may go later.
	500: {"InternalServerError", providers.Result{Outcome: providers.Retryable, Reason: "gateway_error"}},
	501: {"GatewayError", providers.Result{Outcome: providers.Retryable, Reason: "gateway_error"}},
	502: {"RejectedByGateway", rejected("rejected_by_gateway")},
}

// wordSender is also the Message of a reply without recipients.
const wordSender = "InvalidSenderId"

func rejected(reason string) providers.Result {
	return providers.Result{Outcome: providers.Rejected, Reason: reason}
}

// words are the values of a recipient's status, in lower case: public code spells
// some of them in two ways. The page shows Success beside every code that accepts.
var words = func() map[string]providers.Result {
	words := map[string]providers.Result{"success": {Outcome: providers.Accepted}}
	for _, w := range codes {
		words[strings.ToLower(w.name)] = w.Result
	}
	for state, report := range states { // what a delivery report would say
		if name := strings.ToLower(state); report.Final && !report.Delivered {
			words[name] = rejected(name)
		}
	}
	return words
}()

// The reasons a recipient of an answered call is Unknown.
const (
	reasonMissing = "not_in_reply"
	reasonUnclear = "not_understood" // named, but with no status, an odd one or contradictory ones
)

// entry is what a reply says of one recipient, in its own words.
type entry struct {
	number, code, status, id, cost string
	// unclear says that something that must stand there once does not.
	unclear bool
}

// parseAnswer says what the body of a 2xx means for a call to these numbers: one
// result for each, or a verdict on all of them (without Op), or neither, if
// nothing of it is understood. It has no effects.
func parseAnswer(body []byte, to []sms.MSISDN) ([]providers.Result, *providers.Error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
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
	return match(entries, to), nil
}

// refusal is the verdict on a reply that names nobody and says a word instead. Only
// for a refused sender is it known that nothing was taken. A text that is no word of
// the gateway's has no verdict, and is not repeated.
func refusal(message string) *providers.Error {
	_, known := words[strings.ToLower(message)]
	switch {
	case strings.EqualFold(message, wordSender):
		return &providers.Error{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: message}
	case known:
		return &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: message}
	}
	return nil
}

// match gives every number of the call what the reply says of it. Recipients come in
// any order. It returns nil if no number of the call is named at all.
func match(entries []entry, to []sms.MSISDN) []providers.Result {
	index := make(map[sms.MSISDN]int, len(to))
	for i, number := range to {
		index[number] = i
	}
	results := make([]providers.Result, len(to))
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

// result is the verdict on one recipient: that of its statusCode, unless its status
// is a word for something else.
func (e entry) result() providers.Result {
	r := providers.Result{Reason: reasonUnclear}
	text := strings.TrimSpace(e.code)
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
	r.Cost, r.Currency, _ = providers.ParseMoney(e.cost)
	return r
}

// agrees says whether a recipient's status can stand beside a code that means w: it
// is empty, a word nobody knows, or one that means the same.
func (w word) agrees(status string) bool {
	said, known := words[strings.ToLower(strings.TrimSpace(status))]
	return !known || said.Outcome == w.Outcome && said.Scope == w.Scope
}

// longestID is more bytes than any id or name of the gateway's has.
const longestID = 128

// messageID returns an id, or nothing for "None", which stands where there is none
// [public], and for what can be no id: it is empty, long, or has odd signs.
func messageID(text string) string {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "None") || len(text) > longestID || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return text
}

// parseNumber reads "+254711000001". The plus may be missing: where it was not
// escaped on its way in a form it has become a space.
func parseNumber(text string) (sms.MSISDN, bool) {
	const least, most = 7, 15 // E.164
	digits := strings.TrimPrefix(strings.TrimSpace(text), "+")
	if len(digits) < least || len(digits) > most || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return sms.MSISDN(n), err == nil
}
