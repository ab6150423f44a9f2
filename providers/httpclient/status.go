package httpclient

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// maxRetryAfter is the longest wait that a gateway may request. A request for a longer wait is
// probably a mistake of the gateway.
const maxRetryAfter = time.Hour

// StatusVerdict returns the error of a call for its HTTP status. It returns nil for a 2xx status,
// because then the body is the answer. For every other status, "op" becomes Error.Op, and
// "retryAfter" becomes Error.RetryAfter. The outcome, scope and cause are:
//
//	400 413 422          rejected,  call:    refused
//	401 403              retryable, account: credentials
//	402                  retryable, account: credit
//	429                  retryable, account: throttled
//	404 405 415          retryable, account: configuration; unknown unless errorsInBody
//	3xx                  unknown,   account: configuration
//	1xx, other 4xx, 5xx  unknown,   call:    gateway
//
// The parameter "errorsInBody" is true if the gateway answers 2xx even for its errors. Then a web
// server that is not the gateway has sent a 404, 405 or 415, e.g. at a wrong base URL or a parked
// domain. Such a server cannot have taken a message. A redirect is always Unknown, because many
// web forms redirect after they have processed the request.
func StatusVerdict(op string, status int, retryAfter time.Duration, errorsInBody bool) *providers.Error {
	if status >= 200 && status < 300 {
		return nil
	}
	e := &providers.Error{Op: op, Code: "http " + strconv.Itoa(status), RetryAfter: retryAfter}
	switch {
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		e.Outcome, e.Scope, e.Cause = providers.Rejected, providers.Call, providers.CauseRefused
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseCredentials
	case status == http.StatusPaymentRequired:
		e.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseCredit
	case status == http.StatusTooManyRequests:
		e.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseThrottled
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType:
		e.Outcome, e.Scope, e.Cause = providers.Unknown, providers.Account, providers.CauseConfiguration
		if errorsInBody {
			e.Outcome = providers.Retryable
		}
	case status >= 300 && status < 400:
		e.Outcome, e.Scope, e.Cause = providers.Unknown, providers.Account, providers.CauseConfiguration
	default:
		e.Outcome, e.Scope, e.Cause = providers.Unknown, providers.Call, providers.CauseGateway
	}
	return e
}

// ParseRetryAfter parses a Retry-After header, in seconds or as an HTTP date. It returns the
// requested wait. The parameter "now" is the present time, from which the wait to a date is counted.
// A wait of more than one hour is cut to one hour. For an empty or invalid header ParseRetryAfter
// returns 0.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if isDigits(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// NotUnderstood returns the error for a reply that differs from the gateway's documentation. Its
// outcome is Unknown, with Scope Call. The error has the kind and the size of the body, but not its
// text, because the text may repeat phone numbers and messages of the request.
func (r *Reply) NotUnderstood(op string) *providers.Error {
	kind := "text"
	body := strings.TrimSpace(string(r.Body[:min(len(r.Body), 64)]))
	switch {
	case body == "":
		kind = "empty"
	case body[0] == '<':
		kind = "HTML or XML"
	case body[0] == '{' || body[0] == '[':
		kind = "JSON"
	}
	return &providers.Error{
		Op: op, Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http " + strconv.Itoa(r.Status),
		Err: fmt.Errorf("a reply of %d bytes (%s) is not what the gateway documents", len(r.Body), kind),
	}
}
